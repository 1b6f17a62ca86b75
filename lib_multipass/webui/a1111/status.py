"""What the webui is doing: whether its job was ended, and the texts in which it tells of it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from modules import call_queue, shared


def is_interrupted() -> bool:
    """Whether somebody ended the running job."""
    return bool(shared.state.interrupted)


def is_stopping() -> bool:
    """Whether the running job ends after the present picture."""
    return bool(getattr(shared.state, "stopping_generation", False))


def is_over() -> bool:
    """Whether somebody ended the running job, or skipped what it is making."""
    return bool(shared.state.interrupted or shared.state.skipped)


def interrupt() -> None:
    """End the running job."""
    shared.state.interrupt()


def is_busy() -> bool:
    """Whether a job runs."""
    return bool(shared.state.job)


def job_text() -> str:
    """What ``/sdapi/v1/progress`` calls the job; empty without one."""
    return shared.state.job


def text() -> str | None:
    """What stands in the progress bar before the percentage."""
    return shared.state.textinfo


def say(text: str | None, job: str) -> None:
    """Write both; on the page :func:`text` is seen, by clients of the API both."""
    shared.state.textinfo, shared.state.job = text, job


def queue() -> AbstractContextManager:
    """The lock under which the webui runs one job at a time."""
    return call_queue.queue_lock
