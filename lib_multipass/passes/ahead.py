"""The first swap's wait, shortened: while a pass samples, the checkpoint that comes next is read once.

The webui's function that hashes a file is wrapped, so a hash that was made ahead is taken over by the webui's own code,
in the job's thread, and stored as the webui stores it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lib_multipass.memory.reader import Reader, worth_reading
from lib_multipass.passes.put_off import PutOff
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.our_settings import READ_AHEAD
from lib_multipass.state import Part, running
from lib_multipass.webui import host
from lib_multipass.words import log


class Ahead(Part):
    """What the running job reads ahead."""

    def __init__(self, in_use: Sequence[Checkpoint], beside: int = 0) -> None:
        """
        Args:
            in_use: the job's checkpoints in the order of their use.
            beside: bytes of RAM that shall stay free until the next swap.
        """
        self.reader = Reader()
        self._in_use, self._beside = in_use, beside
        self._ready: Any = None
        """What makes the weights ready of what was read last; None where nothing does."""
        self._next: Checkpoint | None = None
        """What was read last."""

    def read(self) -> None:
        """Read the first of the checkpoints that is not loaded, unless it was read in this job already.

        Returns at once. What cannot be read is left to the webui, which says why when it needs it.
        """
        put_off = running.part(PutOff)
        needed = (known for known in self._in_use if put_off is None or not put_off.spares(known))
        wanted = next((known for known in needed if not host.models.is_in_memory(known)), None)
        if wanted is None or wanted.filename == self.reader.path or not host.options.get(READ_AHEAD, True):
            return
        try:
            size = Path(wanted.filename).stat().st_size
            hash_known = host.hashes.is_settled(wanted)
        except OSError as error:
            log.info("could not read %s ahead: %s", wanted.filename, error)
            return
        # Beside the file's bytes, the swap needs room for the model that is made from them.
        if worth_reading(size, host.hardware.ram_free(), size, hash_known):
            self._next, self._ready = wanted, self._made_ready(wanted)
            then = self._ready and self._ready.make
            self.reader.start(wanted.filename, not hash_known, lambda: not host.status.is_interrupted(), then)

    def _made_ready(self, wanted: Checkpoint) -> Any:
        """What makes its weights ready; None for the first pass's checkpoint, which may not be needed again."""
        is_first = wanted.filename == self._in_use[0].filename
        return None if is_first else host.files.made_ready(wanted, self._beside)

    def handed_out(self, path: str | None, state: Any) -> Any:
        """The state dict that the webui has read of a file for a swap, with those weights that were made ready."""
        ready = self._ready
        if ready is None or ready.path != path:
            return state
        try:
            return ready.hand_out(state)
        except Exception:  # the webui can do without
            log.exception("what was made ready of %s could not be used", path)
            return state

    def end(self) -> None:
        """End reading; a hash that is ready and was not asked for goes to the webui now."""
        try:
            if self._next is not None and self.reader.digest is not None:
                host.hashes.store(self._next)
        except Exception:
            log.exception("the hash of %s could not be stored", self._next.filename)
        self._next = self._ready = None
        self.reader.stop()


def with_what_is_ready(original: Callable) -> Callable:
    """Wraps a function that is told a file and returns its tensors."""

    def tensors(file: Any, *args: Any, **kwargs: Any) -> Any:
        state, ahead = original(file, *args, **kwargs), running.part(Ahead)
        return state if ahead is None else ahead.handed_out(str(file), state)

    return tensors


def hash_taken_over(original: Callable) -> Callable:
    """Gives the webui the hash of the file that is read ahead; what is left to be read of it is read now."""

    def calculate_sha256(filename: str, *args: Any, **kwargs: Any) -> str:
        ahead = running.part(Ahead)
        return (ahead and ahead.reader.finish(filename)) or original(filename, *args, **kwargs)

    return calculate_sha256
