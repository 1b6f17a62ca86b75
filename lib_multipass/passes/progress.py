"""What runs, in words: "Pass 2 of 2: photo", "Loading photo", "faces: photo".

People see it in the progress bar, before the percentage: ``javascript/progressbar.js`` shows there what stands in
``shared.state.textinfo`` (1.6.0 to 1.10.1). ``shared.state.job``, which nothing on the page shows, says the same to
clients of ``/sdapi/v1/progress``, which has both; where the webui counts batches or cells of a plot in it, its count
follows in parentheses. Steps and their total are the webui's own and are not touched: it counts the passes of a job in
``init``, when Multipass has switched Hires. fix on.

Jobs without Multipass pass through unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from lib_multipass.passes.put_off import PutOff
from lib_multipass.plan.decide import Plan
from lib_multipass.plan.forecast import FACES, FIRST, SECOND
from lib_multipass.plan.names import Checkpoint, called
from lib_multipass.state import Part, running
from lib_multipass.webui import host

_NAMES = {FIRST: "Pass 1 of 2", SECOND: "Pass 2 of 2", FACES: "faces"}
"""What people read, by the role of the pass."""


class Progress(Part):
    """What the running job has written into the webui's state."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.stage: str | None = None
        """The role of the pass that is being sampled; None between the passes."""
        self.text: str | None = None
        self.job: str | None = None
        self.job_before = ""

    def begin(self) -> None:
        """A job is declared; its first checkpoint may have to be loaded yet."""
        self.say(self._text(FIRST, self._plan.base))

    def say(self, text: str) -> None:
        """Write what runs."""
        if host.status.job_text() != self.job:
            self.job_before = host.status.job_text()
        count = f" ({self.job_before})" if " out of " in (self.job_before or "") else ""
        self.text, self.job = text, text + count
        host.status.say(self.text, self.job)

    def loading(self, checkpoint: Checkpoint) -> None:
        """A checkpoint is about to be read from disk."""
        self.say(f"Loading {self._called(checkpoint)}")

    def end(self) -> None:
        """Take back what is still there."""
        text, job = host.status.text(), host.status.job_text()
        # A job that has ended is told from a running one by its text being empty.
        host.status.say(None if text == self.text else text, self.job_before if job == self.job else job)

    @contextmanager
    def swapping(self) -> Iterator[None]:
        """Says afterwards what runs with the checkpoint that took over: the pass that it was swapped in for.

        Within a pass that is a refiner. Between passes nothing more is said until the next one begins.
        """
        try:
            yield
        finally:
            if running.part(Progress) is self and self.stage:
                self.say(self._text(self.stage, host.models.active()))

    @contextmanager
    def at(self, stage: str, checkpoint: Checkpoint | None) -> Iterator[None]:
        """While this stage is sampled; the job's journal notes how long it takes."""
        outer, self.stage = self.stage, stage
        self.say(self._text(stage, checkpoint))
        try:
            with running.job.journal.making(stage, "" if checkpoint is None else self._called(checkpoint)):
                yield
        finally:
            self.stage = outer

    def _text(self, stage: str, checkpoint: Checkpoint | None) -> str:
        return _NAMES[stage] if checkpoint is None else f"{_NAMES[stage]}: {self._called(checkpoint)}"

    def _called(self, checkpoint: Checkpoint) -> str:
        return called(checkpoint, self._plan.in_use)


def first_pass(original: Callable) -> Callable:
    """Names the first pass while it is sampled; ``sample`` also calls the hires pass."""

    @wraps(original)
    def sample(self: Any, *args: Any, **kwargs: Any) -> Any:
        told = running.part_of(self, Progress)
        if told is None or host.features.finished_picture(self) is not None:
            return original(self, *args, **kwargs)
        with told.at(FIRST, _first_checkpoint()):
            return original(self, *args, **kwargs)

    return sample


def _first_checkpoint() -> Checkpoint | None:
    """Whose pass it is; a kept one needs no checkpoint, so another one may be active."""
    put_off = running.part(PutOff)
    return host.models.active() if put_off is None or put_off.found is None else put_off.base


def hires_pass(original: Callable) -> Callable:
    """Names the hires pass, its swap included."""

    @wraps(original)
    def sample_hr_pass(self: Any, *args: Any, **kwargs: Any) -> Any:
        told = running.part_of(self, Progress)
        if told is None or host.status.is_over():
            return original(self, *args, **kwargs)
        with told.at(SECOND, running.job.plan.second):
            return original(self, *args, **kwargs)

    return sample_hr_pass


def faces(original: Callable) -> Callable:
    """Names ADetailer's passes, which it marks as its own."""

    @wraps(original)
    def sample(self: Any, *args: Any, **kwargs: Any) -> Any:
        told = running.part(Progress)
        if told is None or not getattr(self, "_ad_inner", False):
            return original(self, *args, **kwargs)
        with told.at(FACES, host.models.active()):
            return original(self, *args, **kwargs)

    return sample
