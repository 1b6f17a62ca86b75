"""The end of a job as page and API bring it about: they ``close`` every job that they have made, failed ones too."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from lib_multipass.job import refusal
from lib_multipass.state import running


def ending(original: Callable) -> Callable:
    """Ends the running job when it is closed, or the job of a script around its last piece.

    X/Y/Z plot never closes its cells. Copies of a job that are closed while it runs end nothing, nor do the inner jobs
    of ADetailer, which are of another class and closed at the first face.
    """

    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        job = running.job
        if job is not None and (job.owner() is self or refusal.is_whole(self)):
            job.end(sys.exc_info()[1])
        return original(self, *args, **kwargs)

    return refusal.telling(close)
