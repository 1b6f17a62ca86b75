"""The first swap's wait, shortened: while a pass samples, the checkpoint that comes next is read once.

Before the webui loads a file for the first time it hashes it (``CheckpointInfo.calculate_shorthash`` calls
``hashes.sha256``, which looks into the hash cache and then calls ``hashes.calculate_sha256``; 1.6.0 to 1.10.1). That
last function is wrapped, so a hash that was made ahead is taken over by the webui's own code, in the job's thread, and
stored as the webui stores it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from modules import hashes, sd_models, shared

from lib_multipass.checkpoints import Checkpoint
from lib_multipass.host import memory
from lib_multipass.messages import log
from lib_multipass.reader import Reader, worth_reading

OPTION = "multipass_read_ahead"

_reader = Reader()
_next: Checkpoint | None = None
"""What was read last in this job."""


def begin(in_use: Iterable[Checkpoint]) -> None:
    """Read the first of these checkpoints that is not loaded, unless it was read in this job already.

    Returns at once. What cannot be read is left to the webui, which says why when it needs it.

    Args:
        in_use: the job's checkpoints in the order of their use.
    """
    global _next  # one job at a time: the webui runs them under its queue lock
    wanted = next((checkpoint for checkpoint in in_use if not _in_memory(checkpoint)), None)
    if wanted is None or wanted.filename == _reader.path or not getattr(shared.opts, OPTION, True):
        return
    try:
        size = Path(wanted.filename).stat().st_size
        hash_known = shared.cmd_opts.no_hashing or hashes.sha256_from_cache(wanted.filename, _title(wanted)) is not None
    except OSError as error:
        log.info("could not read %s ahead: %s", wanted.filename, error)
        return
    # Beside the file's bytes, the swap needs room for the model that is made from them.
    if worth_reading(size, memory.ram_free(), size, hash_known):
        _next = wanted
        _reader.start(wanted.filename, not hash_known, lambda: not shared.state.interrupted)


def end() -> None:
    """End reading, at the end of the job; a hash that is ready and was not asked for goes to the webui now."""
    global _next  # see begin()
    try:
        if _next is not None and _reader.digest is not None:
            hashes.sha256(_next.filename, _title(_next))
    except Exception:
        log.exception("the hash of %s could not be stored", _next.filename)
    _next = None
    _reader.stop()


def hash_taken_over(original: Callable) -> Callable:
    """Gives the webui the hash of the file that is read ahead; what is left to be read of it is read now."""

    def calculate_sha256(filename: str) -> str:
        return _reader.finish(filename) or original(filename)

    return calculate_sha256


def _title(checkpoint: Checkpoint) -> str:
    """The checkpoint's key in the webui's hash cache (``CheckpointInfo``, 1.6.0 to 1.10.1)."""
    return f"checkpoint/{checkpoint.name}"


def _in_memory(checkpoint: Checkpoint) -> bool:
    loaded = (model.sd_checkpoint_info for model in sd_models.model_data.loaded_sd_models)
    return any(known.filename == checkpoint.filename for known in (*loaded, *sd_models.checkpoints_loaded))
