"""The running job: the parts that hold while it runs, entered in one place and left in one place."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from lib_multipass.passes.ahead import Ahead
from lib_multipass.passes.control import Control
from lib_multipass.passes.first_pass import FirstPass
from lib_multipass.passes.gauge import Gauge
from lib_multipass.passes.infotext import Keys
from lib_multipass.passes.networks import Tags
from lib_multipass.passes.once import Stages
from lib_multipass.passes.progress import Progress
from lib_multipass.passes.put_off import PutOff
from lib_multipass.plan.decide import Plan
from lib_multipass.plan.report import Journal
from lib_multipass.state import Part, kept, running
from lib_multipass.webui import host
from lib_multipass.words import log


class Job:
    """A Multipass job while it runs; ``p`` has its number."""

    def __init__(self, p: Any, plan: Plan) -> None:
        self.number = running.new_number()
        self.owner: Callable[[], Any] = weakref.ref(p)
        self.plan = plan
        self.journal = Journal()
        self.parts: dict[type[Part], Part] = {}
        """By kind, what holds now."""
        self._stack = ExitStack()
        self._failed: list[Part] = []
        """Parts whose end failed."""

    def begin(self, p: Any) -> None:
        """Enter every part; one that fails leaves those before it entered, for :meth:`end`."""
        running.begin(p, self)
        allowance = host.stages.allowance(p)
        for part in (
            Gauge(self.plan),
            Progress(self.plan),
            Control(p),
            Keys(p, self.plan.roles),
            Tags(p, self.plan),
            host.pass_vae.PassVae(self.plan.vaes),
            FirstPass(is_shown=self.plan.roles.args.show_first_pass),
            PutOff(p, self.plan, allowance),
            Stages(self.plan.not_kept, allowance),
            Ahead(self.plan.in_use, _to_stay_free(self.plan)),
        ):
            self._enter(part)

    def _enter(self, part: Part) -> None:
        self._stack.callback(self._leave, part)
        self.parts[type(part)] = part
        part.begin()

    def _leave(self, part: Part) -> None:
        try:
            part.end()
        except Exception:
            log.exception("something of the job could not be cleared up")
            self._failed.append(part)
        else:
            self.parts.pop(type(part), None)

    def end(self, error: BaseException | None = None) -> None:
        """Leave every part, whatever happens; calling it again changes nothing.

        What fails here neither keeps the rest from it nor takes the place of the error that ended the job. The job then
        counts as running on, so that the webui's next call at its end tries again.

        Args:
            error: what the job failed with, if anything.
        """
        gauge = self.parts.get(Gauge)
        try:
            if gauge is not None:
                gauge.failed(error)
        except Exception:
            log.exception("it could not be told whether memory was short")
        self._stack.close()
        failed, self._failed = self._failed, []
        for part in reversed(failed):
            self._stack.callback(self._leave, part)
        if not failed and running.job is self:
            running.end()


def _to_stay_free(plan: Plan) -> int:
    """Bytes of RAM that stay for a swap: the reserve, and room for the checkpoint that is parked there."""
    sizes = [known.bytes for known in plan.forecast.checkpoints]
    return plan.forecast.memory.ram_reserve + max(sizes, default=0)


def leave() -> None:
    """The page is about to be loaded anew, with extensions that may have changed."""
    end_running()
    kept.stages.clear()


def end_running() -> None:
    """End a job whose end was not seen: X/Y/Z plot lets a cell fail without a word to anybody."""
    if running.job is not None:
        running.job.end()
