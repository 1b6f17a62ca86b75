"""What a job really needs of the memory, read at its ends; and what follows when it was too much."""

from __future__ import annotations

from lib_multipass.host import cache, keeping, memory
from lib_multipass.host.outlook import Outlook

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
        self._ran_out = False
        self._checked = False

    def read(self) -> None:
        """At the end of a job that went well, learn what its pictures took; then :meth:`check`.

        The peak counts from when the webui last set it back; a job that did not raise it teaches nothing.
        """
        peak = memory.vram_peak()
        if peak > self._peak:
            keeping.learned(self._outlook.plan.second, self._outlook.work.pixels, max(0, peak - memory.vram_used()))
        self.check(None)

    def note(self, error: BaseException) -> None:
        """Remember an error that somebody may swallow."""
        self._ran_out = self._ran_out or memory.is_out_of_memory(error)

    def check(self, error: BaseException | None) -> None:
        """At the end of any job, keep less from now on if memory ran out, and mend what that left behind.

        The device counts its failures, so those that ADetailer or X/Y/Z plot swallow are seen as well.

        Args:
            error: what the job failed with, if anything.
        """
        global _latest  # see __init__()
        if self._checked:
            return
        self._checked = True
        if _latest is self:
            _latest = None
        ran_out = self._ran_out or memory.is_out_of_memory(error)
        if (ran_out or memory.out_of_memory_count() > self._failures) and self._outlook.decision is not None:
            keeping.ran_out([checkpoint.filename for checkpoint in self._outlook.in_use], self._outlook.decision)
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
