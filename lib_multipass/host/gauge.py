"""What a job really needs of the memory, read at its ends; and what follows when it was too much."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from modules import shared

from lib_multipass.host import cache, keeping, memory
from lib_multipass.host.outlook import Outlook
from lib_multipass.shortage import DEVICE

_latest: Gauge | None = None
"""Of the latest job: X/Y/Z plot lets a cell fail without a word to anybody, so its end may not have been seen."""


class Gauge:
    """Readings at the beginning of a job, to compare with at its end."""

    def __init__(self, outlook: Outlook) -> None:
        global _latest  # one job at a time: the webui runs them under its queue lock
        _latest = self
        self._outlook = outlook
        self._peak = memory.vram_peak()
        self._failures = memory.out_of_memory_count()
        self._lack: str | None = None
        self._checked = False
        self._finished = False

    def second_pass_made(self) -> None:
        """A second pass of the job came to its end; not if it was interrupted or skipped."""
        self._finished = self._finished or not (shared.state.interrupted or shared.state.skipped)

    def read(self, missing: int) -> None:
        """At the end of a job that went well, learn what its pictures took; then :meth:`check`.

        The peak counts from when the webui last set it back; a job that did not raise it teaches nothing, nor does one
        without a whole second pass, which takes the most.

        Args:
            missing: how many of the pictures that were asked for are not there.
        """
        peak = memory.vram_peak()
        if peak > self._peak and self._finished:
            keeping.learned(self._outlook.plan.second, self._outlook.work.pixels, max(0, peak - memory.vram_used()))
        if not missing:
            self._failures = memory.out_of_memory_count()
        self.check(None)

    def note(self, error: BaseException | None) -> None:
        """Remember an error that somebody may swallow."""
        self._lack = self._lack or memory.lack_of(error)

    def check(self, error: BaseException | None) -> None:
        """At the end of any job, keep less from now on if memory ran out, and mend what that left behind.

        The device counts its refusals. They count here if nobody has seen an error and the job's pictures are not all
        there: somebody swallowed it.

        Args:
            error: what the job failed with, if anything.
        """
        global _latest  # see __init__()
        if self._checked:
            return
        self._checked = True
        if _latest is self:
            _latest = None
        self.note(error)
        if self._lack is None and error is None and memory.out_of_memory_count() > self._failures:
            self._lack = DEVICE
        if self._lack is not None and self._outlook.decision is not None:
            used = [checkpoint.filename for checkpoint in self._outlook.in_use]
            keeping.ran_out(used, self._outlook.decision, self._outlook.work, self._lack)
            cache.mend()


def end_earlier() -> None:
    """Before a job is decided on, check the one before it if its end was not seen."""
    if _latest is not None:
        _latest.check(None)


def failed(error: BaseException) -> None:
    """A swap failed: let its models lie whole again, and remember it for the end of the job."""
    if _latest is not None:
        _latest.note(error)
    if cache.decision() is not None:
        cache.mend()


def told(original: Callable) -> Callable:
    """Notes the errors that the webui swallows and writes to the console: those of scripts, as ADetailer, and of cells.

    Not those of live previews, without which a job is as good.
    """

    def report(*args: Any, **kwargs: Any) -> Any:
        if _latest is not None:
            _latest.note(sys.exc_info()[1])
        return original(*args, **kwargs)

    return report
