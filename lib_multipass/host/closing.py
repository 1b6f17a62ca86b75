"""The end of a job as page and API bring it about: they ``close`` every job that they have made, failed ones too."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


def closer_of(p: Any) -> Callable[[], None]:
    """What closes a job by now, for a ``close`` that takes its place on the job itself.

    A method holds its object. Held by the job in turn it would be a circle, and a job that is over would stay in
    memory, with all its pictures and latents, until Python's collector finds it; among the objects of a webui that can
    be thousands of jobs later.
    """
    close = p.close
    if getattr(close, "__self__", None) is not p:
        return close
    method = weakref.WeakMethod(close)

    def close_if_there() -> None:
        still = method()
        if still is not None:
            still()

    return close_if_there
