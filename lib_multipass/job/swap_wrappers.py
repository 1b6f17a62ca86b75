"""Swaps of checkpoints: put off between the passes, timed, counted, and told to those parts of the job that follow."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from lib_multipass.passes.ahead import Ahead
from lib_multipass.passes.control import Control
from lib_multipass.passes.first_pass import puts_off
from lib_multipass.passes.gauge import swap_failed
from lib_multipass.passes.infotext import Keys
from lib_multipass.passes.networks import Tags
from lib_multipass.passes.progress import Progress
from lib_multipass.passes.put_off import PutOff
from lib_multipass.plan.names import Checkpoint, called
from lib_multipass.plan.report import Swap
from lib_multipass.state import kept, running
from lib_multipass.webui import host


def governed(original: Callable) -> Callable:
    """Wraps the swap: puts off the one between the passes, times the others of a job, and lets the job follow."""

    def reload_model_weights(*args: Any, **kwargs: Any) -> Any:
        target, put_off = host.swaps.target(args, kwargs), running.part(PutOff)
        if puts_off(target) or (put_off is not None and put_off.puts_off(target)):
            return host.swaps.active_model()
        before, loads, started = host.models.active(), kept.loads, time.perf_counter()
        progress = running.part(Progress)
        try:
            with nullcontext() if progress is None else progress.swapping():
                result = host.swaps.perform(original, args, kwargs)
        except Exception as error:
            swap_failed(error)
            raise
        now = host.models.active()
        if running.job is not None and now is not None and (before is None or now.filename != before.filename):
            swap = Swap(called(now, running.job.plan.in_use), time.perf_counter() - started, kept.loads - loads)
            running.job.journal.swapped(swap)
            _follow(before, now)
        return result

    return reload_model_weights


def _follow(before: Checkpoint | None, now: Checkpoint) -> None:
    tags, keys, control = running.part(Tags), running.part(Keys), running.part(Control)
    if tags is not None:
        tags.swapped(before, now)
    if keys is not None:
        keys.swapped()
    if control is not None:
        control.swapped(host.swaps.active_model())


def counted(original: Callable) -> Callable:
    """Counts the checkpoints that are read from disk, and completes those that lack a part.

    The webui's own cache of state dicts does not count.
    """

    def get_checkpoint_state_dict(checkpoint_info: Any, *args: Any, **kwargs: Any) -> Any:
        cached = host.swaps.is_cached(checkpoint_info)
        kept.just_read = None if cached else getattr(checkpoint_info, "filename", None)
        if not cached:
            kept.loads += 1
            progress = running.part(Progress)
            if progress is not None:
                progress.loading(checkpoint_info)
        state, ahead = original(checkpoint_info, *args, **kwargs), running.part(Ahead)
        if ahead is not None and running.is_swapping and not cached:
            state = ahead.handed_out(checkpoint_info.filename, state)
        return host.swaps.completed(checkpoint_info, state, cached)

    return get_checkpoint_state_dict
