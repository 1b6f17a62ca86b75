"""What a job will do, as a value that the panel, the console line and the API all print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib_multipass.memory.placement import DISK, RAM, VRAM
from lib_multipass.words import count_text, size_text

FIRST, SECOND, FACES, REFINER = "first pass", "second pass", "faces", "refiner"


@dataclass(frozen=True)
class Pass:
    """One pass and who makes it."""

    role: str
    """``FIRST``, ``SECOND``, ``FACES`` or ``REFINER``."""
    checkpoint: str
    """Name of the checkpoint, without folder and extension."""
    architecture: str
    bytes: int
    """What the checkpoint takes once loaded, estimated from the file's header."""
    is_kept: bool = False
    """Whether the last job's is kept, so that one from the same is not made again."""


@dataclass(frozen=True)
class Kept:
    """One of the job's checkpoints: where it lies now, and where it will be kept."""

    checkpoint: str
    bytes: int
    now: str
    """``VRAM``, ``RAM`` or ``disk``."""
    then: str
    """``VRAM``, ``RAM``, or ``disk`` if it will be loaded every time."""


@dataclass(frozen=True)
class MemoryReport:
    """Bytes free now and needed for the checkpoints at most; None where it cannot be told."""

    vram_free: int | None = None
    vram_total: int | None = None
    vram_needed: int = 0
    vram_reserve: int = 0
    vram_pictures: int = 0
    """Of the reserve, what is for the pictures."""
    ram_free: int | None = None
    ram_needed: int = 0
    ram_reserve: int = 0
    vram_room: int | None = None
    """What there would be without any loaded checkpoint: those of other jobs go when their place is needed."""
    ram_room: int | None = None


@dataclass(frozen=True)
class Forecast:
    """The plan of a job."""

    passes: tuple[Pass, ...]
    checkpoints: tuple[Kept, ...]
    memory: MemoryReport
    keep: str
    """The wish that the plan follows."""
    reason: str = ""
    """Why checkpoints are not kept in the best place."""
    warnings: tuple[str, ...] = ()
    not_kept: str = ""
    """A sentence that says why a pass is made anew in each job; empty where an unchanged one is not."""
    order: str = ""
    """A sentence about the order of the passes of several batches; empty where there is nothing to say."""

    def text(self) -> str:
        """One line: the passes, and what is kept."""
        return f"{passes_text(self.passes)} — {kept_text(self.checkpoints)}{self._memory()}"

    def _memory(self) -> str:
        """Of what would be free without these checkpoints, how much they take."""
        memory = self.memory
        for place, free, needed in (
            (VRAM, memory.vram_free, memory.vram_needed),
            (RAM, memory.ram_free, memory.ram_needed),
        ):
            if free is not None and any(kept.then == place for kept in self.checkpoints):
                free += sum(kept.bytes for kept in self.checkpoints if kept.now == place)
                both = size_text(needed).removesuffix(" GB"), size_text(free)
                return f" ({both[0]} of {both[1]} free)"
        return ""


def passes_text(passes: Sequence[Pass]) -> str:
    """The passes in order: ``1 cartoon · SD 1.x · 2.1 GB → 2 photo · SD 1.x · 2.1 GB → faces: photo``."""
    parts, told = [], set()
    for made in passes:
        label = {FIRST: "1 ", SECOND: "2 "}.get(made.role, f"{made.role}: ")
        about = "" if made.checkpoint in told else f" · {made.architecture} · {size_text(made.bytes)}"
        told.add(made.checkpoint)
        parts.append(f"{label}{made.checkpoint}{about}")
    return " → ".join(parts)


def kept_text(checkpoints: Sequence[Kept]) -> str:
    """Where the checkpoints stay: ``2 checkpoints stay in VRAM, photo is loaded every time``."""
    parts = []
    for place in (VRAM, RAM):
        here = [kept for kept in checkpoints if kept.then == place]
        if here:
            verb = "stays" if len(here) == 1 else "stay"
            parts.append(f"{count_text(len(here), 'checkpoint')} {verb} in {place}")
    gone = [kept.checkpoint for kept in checkpoints if kept.then == DISK]
    if gone:
        parts.append(f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} loaded every time")
    return ", ".join(parts)
