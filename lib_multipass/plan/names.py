"""Which checkpoint a name means: everything that the webui takes, but never a silent guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PureWindowsPath
from typing import Protocol

from lib_multipass.plan.args import LONGEST_NAME, short
from lib_multipass.words import MultipassError, nearest_names


class Checkpoint(Protocol):
    """The part of the webui's ``sd_models.CheckpointInfo`` (1.6.0 to 1.10.1) that is used here."""

    filename: str
    """Path of the file; two checkpoints are the same when this is equal."""
    name: str
    """Path below the checkpoint folder, with extension."""
    name_for_extra: str
    """File name without folder and extension."""
    title: str
    """``name [short hash]``, or ``name`` while the file was never hashed."""
    ids: list[str]
    """All names that the webui registers for this file."""
    hash: str
    """The old 8-digit model hash of a small part of the file."""
    shorthash: str | None
    """First ten digits of the SHA-256, if known."""
    sha256: str | None


_HASH_SUFFIX = re.compile(r"\[([0-9A-Fa-f]{8,64})]$")
_EXTENSIONS = (".safetensors", ".ckpt", ".pt", ".pth", ".sft", ".bin", ".gguf")


def resolve(query: str, known: Iterable[Checkpoint], field: str) -> Checkpoint:
    """The one checkpoint that ``query`` names.

    Tried in this order:

    1. the path below the checkpoint folder, or the title;
    2. any other name of the webui's: file name without extension, ``name [hash]``, a bare hash;
    3. the same with other slashes, case or extension;
    4. a hash in brackets behind another name, since the file may have been renamed;
    5. a part of a title.

    The first way that finds one decides. Files with the same contents (SHA-256) count as one.

    Args:
        query: what the user gave.
        known: the webui's checkpoints.
        field: what the user calls the setting, for the message.

    Raises:
        MultipassError: when nothing fits or several do, with the nearest names.
    """
    known = list(known)
    text = query.strip()
    if not text:
        raise MultipassError(f"{field}: no checkpoint is chosen; choose the one that the pass is to be made with.")
    found = meant(text, known)
    if not found:
        raise MultipassError(f"{field}: {absent(query, known)}.")
    if len(found) > 1:
        several = f"means {len(found)} checkpoints ({some(found)})"
        raise MultipassError(f"{field}: {quoted(query)} {several}; give one of these names.")
    return found[0]


def meant(text: str, known: Iterable[Checkpoint]) -> list[Checkpoint]:
    """All that a name may mean, see :func:`resolve`."""
    known = list(known)
    ways = (_distinct(filter(fits, known)) for fits in _tests(text))
    return next(filter(None, ways), [])


def some(found: Iterable[Checkpoint]) -> str:
    """The names of a few, for a message."""
    return ", ".join(sorted(checkpoint.name for checkpoint in found)[:5])


def called(checkpoint: Checkpoint, others: Iterable[Checkpoint]) -> str:
    """What a checkpoint is called beside others: without folder and extension, unless another file is called so too."""
    is_shared = any(
        one.name_for_extra == checkpoint.name_for_extra and one.filename != checkpoint.filename for one in others
    )
    return checkpoint.name if is_shared else checkpoint.name_for_extra


def absent(query: str, known: Iterable[Checkpoint]) -> str:
    """What to say of a name that leads nowhere: that it does, and the nearest names; not a whole sentence."""
    return f"there is no checkpoint {quoted(query)}; {_nearest(query.strip(), list(known))}"


def quoted(query: str) -> str:
    """A name as a message shows it: in quotes, with the backslashes of a path on Windows as they are."""
    return repr(query).replace("\\\\", "\\") if len(query) <= LONGEST_NAME else short(query)


def _tests(text: str) -> list[Callable[[Checkpoint], bool]]:
    looked_for = plain(text)
    tests: list[Callable[[Checkpoint], bool]] = [
        lambda c: text in (c.name, c.title, c.filename),
        lambda c: text in c.ids,
        lambda c: looked_for in (plain(c.name), plain(c.name_for_extra)),
    ]
    name, digest = _split(text)
    if not digest:
        return [*tests, lambda c: looked_for in c.name.casefold().replace("\\", "/")]
    name = plain(name)
    return [
        *tests,
        lambda c: digest == c.hash or (c.sha256 or c.shorthash or "").startswith(digest),
        # A file that was never hashed may be the one that is meant; one with another hash is another model.
        lambda c: c.shorthash is None and name in (plain(c.name), plain(c.name_for_extra)),
    ]


def _split(text: str) -> tuple[str, str]:
    """A name, and the hash that stands in brackets behind it; empty if there is none."""
    suffix = _HASH_SUFFIX.search(text)
    return (text, "") if suffix is None else (text[: suffix.start()].rstrip(), suffix[1].lower())


def plain(name: str) -> str:
    """A file's name without what people leave out or write otherwise: extension, case, slashes."""
    name = name.replace("\\", "/").casefold()
    return next((name[: -len(end)] for end in _EXTENSIONS if name.endswith(end)), name)


def _distinct(found: Iterable[Checkpoint]) -> list[Checkpoint]:
    return list({(c.sha256 or c.filename): c for c in found}.values())


def _nearest(text: str, known: list[Checkpoint]) -> str:
    """What is called nearly so; of several files of one name, the one in the folder that was named comes first."""
    paths = {checkpoint.title: PureWindowsPath(plain(checkpoint.name)) for checkpoint in known}
    wanted = PureWindowsPath(plain(_split(text)[0][-LONGEST_NAME:]))
    near = nearest_names(wanted.name, dict.fromkeys(path.name for path in paths.values()))
    found = [title for name in near for title in paths if paths[title].name == name]
    found.sort(key=lambda title: (near.index(paths[title].name), paths[title].parent != wanted.parent))
    if found:
        return "the nearest are " + ", ".join(found[:3])
    return "refresh the checkpoint list if the file is new" if known else "the webui has no checkpoints at all"
