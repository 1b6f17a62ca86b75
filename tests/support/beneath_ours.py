"""A function of the webui, noted below our wrapper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def beneath(host: Any, owner: Any, name: str) -> Iterator[list[str]]:
    """The first argument of every call that reaches the webui's own function, as a text."""
    from lib_multipass import start
    from lib_multipass.webui import wrapping

    calls: list[str] = []
    host.patches.undo(wrapping.KEY, owner, name)
    original = getattr(owner, name)

    def noted(first: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(str(first))
        return original(first, *args, **kwargs)

    setattr(owner, name, noted)
    wrapping.wrap(start.wrappers())
    yield calls
    host.patches.undo(wrapping.KEY, owner, name)
    setattr(owner, name, original)
    wrapping.wrap(start.wrappers())
