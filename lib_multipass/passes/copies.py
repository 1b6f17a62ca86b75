"""The copies that are saved on the way to the finished picture, with an infotext that makes the copy again.

The webui writes the finished picture's infotext into the copy of "Save a copy of image before applying highres fix",
ADetailer the first picture's into every copy of "Save images before ADetailer". Jobs without Multipass keep that.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from lib_multipass.passes.first_pass import FirstPass, as_plain_job
from lib_multipass.plan.replay import before_detailer_params
from lib_multipass.state import running
from lib_multipass.webui import host

BEFORE_HIRES, BEFORE_DETAILER = "-before-highres-fix", "-ad-before"
"""How the webui (1.6.0 to 1.10.1) and ADetailer mark the files."""


def true_to_itself(original: Callable) -> Callable:
    """Replaces the infotext of such a copy."""

    def save_image(*args: Any, **kwargs: Any) -> Any:
        p = kwargs.get("p")
        if p is not None and kwargs.get("info") is not None and running.job_of(p) is not None:
            if kwargs.get("suffix") == BEFORE_HIRES:
                kwargs["info"] = host.pictures.infotext(as_plain_job(p), p, _next_in_batch(p))
            elif kwargs.get("suffix") == BEFORE_DETAILER:
                kwargs["info"] = host.pictures.infotext(_as_undetailed_job(p), p, getattr(p, "batch_index", 0))
        return original(*args, **kwargs)

    return save_image


def _next_in_batch(p: Any) -> int:
    """The webui saves these copies in the order of the batch."""
    first = running.part(FirstPass)
    iteration, number = first.copied
    first.copied = p.iteration, number + 1 if iteration == p.iteration else 0
    return first.copied[1]


def _as_undetailed_job(p: Any) -> Any:
    plain = copy.copy(p)
    plain.extra_generation_params = before_detailer_params(p.extra_generation_params)
    return plain
