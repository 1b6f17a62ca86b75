"""Our keys in the infotext of a job, true from its first picture on.

The hash of a file that was never hashed is not known when a job is declared. The webui computes it when it loads the
file (``load_model_weights``, 1.6.0 to 1.10.1), so after each swap the keys are written anew; nothing is read twice.
"""

from __future__ import annotations

import weakref
from typing import Any

from lib_multipass.plan import Plan

_told: tuple[weakref.ref[Any], Plan] | None = None


def follow(p: Any, plan: Plan) -> None:
    """Write the keys of a job, and keep them true until :func:`stop`."""
    global _told  # one job at a time: the webui runs them under its queue lock
    _told = weakref.ref(p), plan
    swapped()


def stop() -> None:
    """The job is over, however it ended; calling it again changes nothing."""
    global _told  # see follow()
    _told = None


def swapped() -> None:
    """Note a swap within a job: a title may have got its hash."""
    p = _told[0]() if _told is not None else None
    if p is not None:
        # Replaced, not changed: copies of the job share the dict.
        p.extra_generation_params = {**p.extra_generation_params, **_told[1].infotext}
