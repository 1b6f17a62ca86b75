"""Which Multipass job runs, and which ``p`` runs it.

The webui and other extensions copy, compare and serialise ``p``, so nothing of ours is there but plain JSON: of a job,
its number as ``p._multipass``. One job runs at a time, under the webui's queue lock, so nothing has to be looked up
in a table. A copy of ``p`` (ADetailer's re-entry, a cell of a plot) has the number and is not the owner.
"""

from __future__ import annotations

from itertools import count
from typing import Any

_numbers = count(1)
_job: Any = None


def new_number() -> int:
    """A number that nothing had before since the webui's start."""
    return next(_numbers)


def begin(p: Any, job: Any) -> None:
    """Let ``p`` run this job until :func:`end`."""
    global _job  # one job at a time: the webui runs them under its queue lock
    p._multipass = job.number
    _job = job


def end() -> None:
    """The job is over, however it ended; calling it again changes nothing."""
    global _job  # see begin()
    _job = None


def job() -> Any:
    """The running Multipass job, or None."""
    return _job


def job_of(p: Any) -> Any:
    """The Multipass job that ``p`` itself runs; a copy of ``p`` is none."""
    return _job if _job is not None and _job.owner() is p else None


def job_around(p: Any) -> Any:
    """The Multipass job that ``p`` or its original runs."""
    return _job if _job is not None and getattr(p, "_multipass", None) == _job.number else None
