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

from modules import sd_models, shared

from lib_multipass.checkpoints import Checkpoint
from lib_multipass.host import features
from lib_multipass.host.running import job_of
from lib_multipass.plan import Plan

_FIRST, _SECOND, _FACES = "Pass 1 of 2", "Pass 2 of 2", "faces"


class _Told:
    """What a job has written into the webui's state."""

    def __init__(self) -> None:
        self.stage: str | None = None
        """What is being sampled; None between the passes."""
        self.text: str | None = None
        self.job: str | None = None
        self.job_before = ""

    def say(self, text: str) -> None:
        state = shared.state
        if state.job != self.job:
            self.job_before = state.job
        count = f" ({self.job_before})" if " out of " in (self.job_before or "") else ""
        self.text, self.job = text, text + count
        state.textinfo, state.job = self.text, self.job

    def clear(self) -> None:
        state = shared.state
        if state.textinfo == self.text:
            state.textinfo = None
        # A job that has ended is told from a running one by this being empty.
        if state.job == self.job:
            state.job = self.job_before


_told: _Told | None = None


def begin(plan: Plan) -> None:
    """A job is declared; its first checkpoint may have to be loaded yet."""
    global _told  # one job at a time: the webui runs them under its queue lock
    _told = _Told()
    _told.say(_text(_FIRST, plan.base))


def end() -> None:
    """The job is over, however it ended; calling it again changes nothing."""
    global _told  # see begin()
    if _told is not None:
        _told.clear()
        _told = None


def loading(checkpoint: Checkpoint) -> None:
    """A checkpoint is about to be read from disk."""
    if _told is not None:
        _told.say(f"Loading {checkpoint.name_for_extra}")


@contextmanager
def swapping() -> Iterator[None]:
    """Says afterwards what runs with the checkpoint that took over: the pass that it was swapped in for.

    Within a pass that is a refiner. Between passes nothing more is said until the next one begins.
    """
    told = _told
    try:
        yield
    finally:
        if told is not None and told is _told and told.stage:
            told.say(_text(told.stage, _active()))


def first_pass(original: Callable) -> Callable:
    """Names the first pass while it is sampled; ``sample`` also calls the hires pass."""

    @wraps(original)
    def sample(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _told is None or job_of(self) is None or features.finished_picture(self) is not None:
            return original(self, *args, **kwargs)
        with _stage(_FIRST, _active()):
            return original(self, *args, **kwargs)

    return sample


def hires_pass(original: Callable) -> Callable:
    """Names the hires pass, its swap included."""

    @wraps(original)
    def sample_hr_pass(self: Any, *args: Any, **kwargs: Any) -> Any:
        job = job_of(self)
        if _told is None or job is None or shared.state.interrupted or shared.state.skipped:
            return original(self, *args, **kwargs)
        with _stage(_SECOND, job.plan.second):
            return original(self, *args, **kwargs)

    return sample_hr_pass


def faces(original: Callable) -> Callable:
    """Names ADetailer's passes, which it marks as its own."""

    @wraps(original)
    def sample(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _told is None or not getattr(self, "_ad_inner", False):
            return original(self, *args, **kwargs)
        with _stage(_FACES, _active()):
            return original(self, *args, **kwargs)

    return sample


@contextmanager
def _stage(stage: str, checkpoint: Checkpoint | None) -> Iterator[None]:
    told = _told
    outer, told.stage = told.stage, stage
    told.say(_text(stage, checkpoint))
    try:
        yield
    finally:
        told.stage = outer


def _active() -> Checkpoint | None:
    model = sd_models.model_data.sd_model
    return None if model is None else model.sd_checkpoint_info


def _text(stage: str, checkpoint: Checkpoint | None) -> str:
    return stage if checkpoint is None else f"{stage}: {checkpoint.name_for_extra}"
