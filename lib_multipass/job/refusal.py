"""A job that is not done: its sentence reaches the user although the webui swallows what hooks raise.

On ``p`` stand a text and a number, no functions: other extensions copy and serialise it.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi.exceptions import HTTPException

from lib_multipass import words
from lib_multipass.state import running
from lib_multipass.webui import host


class MultipassError(words.MultipassError, HTTPException):
    """The same for a client of the webui's API, to whom it has the same name.

    The webui prints a traceback for every error that is no ``HTTPException``, and answers this one with the name of the
    class, ``detail`` and ``str`` (``handle_exception``, 1.6.0 to 1.10.1 and the forks).
    """

    def __init__(self, sentence: str) -> None:
        HTTPException.__init__(self, 422, sentence)

    def __str__(self) -> str:
        return self.detail


def _error(p: Any, sentence: str) -> words.MultipassError:
    """What the job fails with; through the API the sentence stands alone in the console."""
    if not getattr(p, "is_api", False):
        return words.MultipassError(sentence)
    words.log.warning("%s", sentence)
    return MultipassError(sentence)


@dataclass(frozen=True)
class _Whole:
    """A job that a script renders in pieces, which are copies of it or the job itself."""

    owner: weakref.ref[Any]
    failures: list[str] = field(default_factory=list)


_watched: dict[int, _Whole] = {}
"""By the number that its pieces share; an entry goes with its job."""


def watch_pieces(p: Any) -> None:
    """Make sure that a failure in a job that a script renders in pieces reaches the user.

    X/Y/Z plot catches the exceptions of its cells and goes on. ``close`` is what the page and the API call on every
    job at its end, outside the script, see :func:`telling`.

    Args:
        p: the job, when its arguments are there.
    """
    if p.script_args and p.script_args[0]:  # the number of the selected script
        p._multipass_pieces = number = running.new_number()
        _watched[number] = _Whole(weakref.ref(p, lambda _: _watched.pop(number, None)))


def is_whole(p: Any) -> bool:
    """Whether ``p`` is a job that a script renders in pieces, and not one of the pieces."""
    whole = _whole_of(p)
    return whole is not None and whole.owner() is p


def _whole_of(p: Any) -> _Whole | None:
    return _watched.get(getattr(p, "_multipass_pieces", None))


def refuse(p: Any, sentence: str) -> None:
    """Let the job fail with this sentence before anything is sampled, see :func:`raising`."""
    # Its checkpoint may be what is wrong, and would be loaded before.
    overrides = p.override_settings or {}
    p.override_settings = {name: value for name, value in overrides.items() if name != "sd_model_checkpoint"}
    # Over a refiner that is not there the webui would fail in its own words, before it comes to this sentence.
    refiner = getattr(p, "refiner_checkpoint", None)
    if refiner and host.checkpoints.match(refiner) is None:
        p.refiner_checkpoint = None
    p._multipass_refused = sentence
    whole = _whole_of(p)
    if whole is not None:
        whole.failures.append(sentence)
        host.status.interrupt()  # the other pieces would fail alike


def begin_anew(p: Any) -> None:
    """Forget what an earlier job with this ``p`` was refused for: scripts render it again with another prompt."""
    vars(p).pop("_multipass_refused", None)


def raising(original: Callable) -> Callable:
    """Lets a refused job fail.

    ``init`` is the first method of ``p`` that the webui calls outside its runner of hooks (``process_images_inner``,
    1.6.0 to 1.10.1), so what it raises reaches the page and the API.
    """

    def init(self: Any, *args: Any, **kwargs: Any) -> Any:
        sentence = getattr(self, "_multipass_refused", None)
        if sentence is not None:
            raise _error(self, sentence)
        return original(self, *args, **kwargs)

    return init


def telling(original: Callable) -> Callable:
    """Tells why pieces of a job were refused when the whole is closed, unless another error tells why it failed."""

    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        if is_whole(self) and _whole_of(self).failures and sys.exc_info()[0] is None:
            raise _error(self, _whole_of(self).failures[0])
        return result

    return close
