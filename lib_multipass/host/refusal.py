"""A job that is not done: its sentence reaches the user although the webui swallows what hooks raise."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from modules import shared

from lib_multipass.host.closing import closer_of
from lib_multipass.messages import MultipassError


def watch_pieces(p: Any, end: Callable[[], None]) -> None:
    """Make sure that a failure in a job that a script renders in pieces reaches the user.

    X/Y/Z plot catches the exceptions of its cells and goes on. ``close`` is what the page and the API call on every
    job at its end, outside the script.

    Args:
        p: the job, when its arguments are there.
        end: what else is to be done at its end.
    """
    if p.script_args and p.script_args[0]:  # the number of the selected script
        p._multipass_failures = failures = []
        close = closer_of(p)

        def close_and_tell() -> None:
            end()
            close()
            if failures and sys.exc_info()[0] is None:
                raise MultipassError(failures[0])

        p.close = close_and_tell


def refuse(p: Any, sentence: str) -> None:
    """Let the job fail with this sentence before anything is sampled.

    ``init`` is the first method of ``p`` that the webui calls outside its runner of hooks (``process_images_inner``,
    1.6.0 to 1.10.1), so what it raises reaches the page and the API.
    """

    # Its checkpoint may be what is wrong, and would be loaded before.
    overrides = p.override_settings or {}
    p.override_settings = {name: value for name, value in overrides.items() if name != "sd_model_checkpoint"}

    def init(*_args: Any, **_kwargs: Any) -> None:
        raise MultipassError(sentence) from None

    p.init = init
    failures = getattr(p, "_multipass_failures", None)
    if failures is not None:
        failures.append(sentence)
        shared.state.interrupt()  # the other pieces would fail alike
