import hashlib
import json
from functools import lru_cache
from pathlib import Path

from modules import paths, shared

_store = Path(paths.data_path) / "cache.json"


def _read_store():
    return json.loads(_store.read_text(encoding="utf8")) if _store.exists() else {}


def calculate_sha256(filename):
    return hashlib.sha256(Path(filename).read_bytes()).hexdigest()


@lru_cache(maxsize=1000)
def _short_of(filename, _written):
    return calculate_sha256(filename)[-8:]


def sha256_from_cache(filename, title, use_addnet_hash=False):
    """The hash that an earlier run left behind, if the file is still as old as then."""
    known = _read_store().get(title)
    return known["sha256"] if known and known["mtime"] == Path(filename).stat().st_mtime else None


def sha256(filename, title, use_addnet_hash=False):
    known = sha256_from_cache(filename, title)
    if known is not None or shared.cmd_opts.no_hashing:
        return known
    known = calculate_sha256(filename)
    entry = {"mtime": Path(filename).stat().st_mtime, "sha256": known}
    _store.write_text(json.dumps({**_read_store(), title: entry}, indent=1), encoding="utf8")
    return known
