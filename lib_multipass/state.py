"""All that Multipass remembers: the job that runs, and what outlives jobs.

Beside these two there are only caches keyed by a file or a model, what a page collects while it is built, and the plots
that :mod:`lib_multipass.job.refusal` watches.

The webui and other extensions copy, compare and serialise ``p``, so nothing of ours is there but plain JSON: of a job,
its number as ``p._multipass``. One job runs at a time, under the webui's queue lock, so nothing has to be looked up
in a table. A copy of ``p`` (ADetailer's re-entry, a cell of a plot) has the number and is not the owner.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from lib_multipass.memory.placement import Decision, Lack
from lib_multipass.memory.store import Store


class Part:
    """Something that holds while one job runs; a job enters it once, and leaves it however the job ends."""

    def begin(self) -> None:
        """It holds from now on."""

    def end(self) -> None:
        """It holds no more; called again if it failed."""


P = TypeVar("P", bound=Part)


class Running:
    """The running job."""

    def __init__(self) -> None:
        self.job: Any = None
        """The running :class:`lib_multipass.job.jobs.Job`, or None."""
        self.is_swapping = False
        """Whether a swap runs: other extensions read checkpoints too, to merge them for instance."""
        self.before: weakref.ref[Any] | None = None
        """The model that was active when the running swap began, which may be thrown away in it."""
        self._numbers = count(1)

    def new_number(self) -> int:
        """A number that nothing had before since the webui's start."""
        return next(self._numbers)

    def begin(self, p: Any, job: Any) -> None:
        """Let ``p`` run this job until :meth:`end`."""
        p._multipass = job.number
        self.job = job

    def end(self) -> None:
        """The job is over, however it ended; calling it again changes nothing."""
        self.job = None

    def part(self, kind: type[P]) -> P | None:
        """The running job's part of this kind; None without a job, and once the part was left."""
        return None if self.job is None else self.job.parts.get(kind)

    def part_of(self, p: Any, kind: type[P]) -> P | None:
        """The part of this kind of the job that ``p`` itself runs; None for a copy of ``p``, and as :meth:`part`."""
        return None if self.job_of(p) is None else self.part(kind)

    def job_of(self, p: Any) -> Any:
        """The Multipass job that ``p`` itself runs; a copy of ``p`` is none."""
        return self.job if self.job is not None and self.job.owner() is p else None

    def job_around(self, p: Any) -> Any:
        """The Multipass job that ``p`` or its original runs."""
        return self.job if self.job is not None and getattr(p, "_multipass", None) == self.job.number else None


@dataclass
class Kept:
    """What outlives a job."""

    decision: Decision | None = None
    """Where the latest Multipass job keeps its checkpoints; None while the user's own settings govern alone."""
    room: int = 0
    """1 during a swap to a checkpoint for which a further model may be made."""
    measured: dict[str, dict[int, int]] = field(default_factory=dict)
    """What earlier jobs of this run needed on the device besides the checkpoints: bytes by their estimate, by
    architecture."""
    lacks: dict[frozenset[str], Lack] = field(default_factory=dict)
    """What ran out of memory in this run, by the file names of the checkpoints."""
    loads: int = 0
    """Checkpoints that were read from disk in this run."""
    embeddings: dict[Hashable, Any] = field(default_factory=dict)
    """The textual inversions that fit, by text encoder."""
    embeddings_for: Hashable = None
    """For which text encoder the webui's embeddings are sorted now."""
    has_swapped: bool = False
    """Whether a Multipass job has run."""
    vae_given: dict[str, str | None] = field(default_factory=dict)
    """By checkpoint file, the VAE file that it was given by a job last; None is its own."""
    vae: tuple[tuple, dict] | None = None
    """The hires pass's VAE that is kept in memory: what file it was, and its tensors."""
    recent: list[Any] = field(default_factory=list)
    """Checkpoints that were active in this run, the last one first."""
    engines: list[Any] = field(default_factory=list)
    """Where the webui itself keeps one model: the loaded ones, the active one included, the last used first."""
    own_vaes: list[tuple] = field(default_factory=list)
    """Of models with an override's VAE on them, in the order of the overrides: the model, its own VAE, its file."""
    lent: dict[str, dict[str, tuple]] = field(default_factory=dict)
    """By checkpoint file and part, where the tensors are from."""
    just_read: str | None = None
    """The checkpoint file that was read last, until its model is there."""
    as_loaded: dict[str, tuple[Any, str]] = field(default_factory=dict)
    """By checkpoint file, what the file was when it was loaded, and a digest of its weights right after that."""
    movers: list[Any] = field(default_factory=list)
    """What moves loaded models that wait in RAM."""
    pins: Any = None
    """What is page-locked for them; None before anything was."""
    last: Any = None
    """What the last finished job has to tell, a :class:`lib_multipass.plan.report.Journal`."""
    stages: Store = field(default_factory=Store)
    """Both passes and enlarged pictures, by what they were made from."""


running, kept = Running(), Kept()
