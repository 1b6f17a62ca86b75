"""What a job really needs of the memory, read around its second passes; and what follows when it was too much."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lib_multipass.memory.placement import RAM, VRAM, Decision, Lack
from lib_multipass.memory.shortage import DEVICE
from lib_multipass.memory.working import Reading, is_beyond, needed
from lib_multipass.plan.decide import Plan
from lib_multipass.plan.report import SECOND_PASS
from lib_multipass.state import Part, kept, running
from lib_multipass.webui import host
from lib_multipass.words import log


class Gauge(Part):
    """Readings around the running job and each of its second passes, and the errors that were met."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._failures = host.hardware.out_of_memory_count()
        self._before: Reading | None = None
        self._arriving = 0
        self._lack: str | None = None
        self._failed = False
        self._checked = False

    def begin(self) -> None:
        """Count from here on."""
        self._count_anew()

    def second_pass_begins(self) -> None:
        """Its checkpoint is active, and the webui is about to work."""
        self._look()
        self._count_anew()
        self._arriving = host.parts.arriving_bytes(self._plan.second)

    def second_pass_made(self) -> None:
        """A second pass came to its end: learn what its pictures took.

        One that was interrupted or skipped teaches nothing, nor does one that was known from an earlier job.
        """
        after = self._look()
        if after is None or self._before is None or host.status.is_over():
            return
        if SECOND_PASS in running.job.journal.not_again:
            return
        took = needed(self._before, after, self._arriving)
        architecture = host.files.facts_of(self._plan.second).architecture
        known = kept.measured.setdefault(architecture, {})
        known[self._plan.estimate] = max(took, known.get(self._plan.estimate, 0))

    def _count_anew(self) -> None:
        self._before = host.hardware.reading()
        host.hardware.count_anew()

    def _look(self) -> Reading | None:
        """Read the device; that it took more than it had, which nobody is told, counts as an error."""
        now = host.hardware.reading()
        if self._before is not None and now is not None and is_beyond(self._before, now):
            self._lack = self._lack or (DEVICE if host.hardware.spills_over() else None)
        return now

    def read(self, missing: int) -> None:
        """At the end of a job that went well: what the device has refused meanwhile, somebody did without.

        Args:
            missing: how many of the pictures that were asked for are not there.
        """
        if not missing:
            self._failures = host.hardware.out_of_memory_count()

    def note(self, error: BaseException | None) -> None:
        """Remember an error that somebody may swallow."""
        self._lack = self._lack or host.hardware.lack_of(error)

    def failed(self, error: BaseException | None) -> None:
        """The job failed with this error, if with any."""
        self._failed = self._failed or error is not None
        self.note(error)

    def end(self) -> None:
        """At the end of any job, keep less from now on if memory ran out, and mend what that left behind.

        The device counts its refusals. They count here if nobody has seen an error and the job's pictures are not all
        there: somebody swallowed it.
        """
        if self._checked:
            return
        self._checked = True
        self._look()
        if self._lack is None and not self._failed and host.hardware.out_of_memory_count() > self._failures:
            self._lack = DEVICE
        if self._lack is not None and self._plan.decision is not None:
            used = frozenset(checkpoint.filename for checkpoint in self._plan.in_use)
            _ran_out(used, self._plan.decision, self._plan.estimate, self._lack)
            host.models.mend()


def _ran_out(used: frozenset[str], decision: Decision, estimate: int, lack: str) -> None:
    """Keep less in later jobs with these checkpoints, if that leaves more of the memory that ran out.

    Copies in RAM take nothing from the device. So its lack takes VRAM away from jobs as large or larger, and
    only the computer's own lack lowers how many are kept in RAM, by one each time.
    """
    known = kept.lacks.get(used, Lack())
    if lack == DEVICE and not (decision.at(VRAM) or decision.others):
        change = "nothing was parked there that could make room: smaller pictures or a smaller batch would fit"
    elif lack == DEVICE:
        kept.lacks[used] = replace(known, estimate=min(estimate, known.estimate or estimate))
        change = "later jobs with them, and with pictures as large or larger, park them in RAM"
    else:
        count = max(0, len(decision.at(RAM)) - 1)
        kept.lacks[used] = replace(known, count=count)
        change = f"later jobs with them keep {'none' if not count else f'at most {count}'} of them in RAM"
    log.warning("%s ran out in a job with %s; %s", lack, ", ".join(sorted(decision.names.values())), change)


def swap_failed(error: BaseException) -> None:
    """A swap failed: let its models lie whole again, and remember it for the end of the job."""
    gauge = running.part(Gauge)
    if gauge is not None:
        gauge.note(error)
    if kept.decision is not None:
        host.models.mend()


def told(original: Callable) -> Callable:
    """Notes the errors that the webui swallows and writes to the console: those of scripts, as ADetailer, and of cells.

    Not those of live previews, without which a job is as good.
    """

    def report(*args: Any, **kwargs: Any) -> Any:
        gauge = running.part(Gauge)
        if gauge is not None:
            gauge.note(sys.exc_info()[1])
        return original(*args, **kwargs)

    return report
