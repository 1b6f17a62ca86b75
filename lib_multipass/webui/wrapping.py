"""The part of the room ``slots`` that families share: how functions are wrapped, and how all of it is given back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from modules import patches, script_callbacks

from lib_multipass.webui.base import host

KEY = "lib_multipass"

Wrapper = Callable[[Callable], Callable]


def install(
    extension: str,
    wrappers: Mapping[str, Wrapper],
    calls: Iterable[tuple[str, Callable]],
    before_unload: Callable[[], None],
) -> None:
    """Wrap what has to be wrapped, and register what is called, the undo among it.

    Args:
        extension: name of this extension's folder, under which the webui's settings disable it.
        wrappers: by slot, what makes the wrapper of its function.
        calls: events, as ``modules.script_callbacks`` has them behind ``on_``, and what is called at each.
        before_unload: called before the webui reloads its page.
    """
    for more in host.slots.MORE:
        more.install()
    wrap(wrappers)
    later = "app_started", lambda *_: wrap(wrappers)  # what was not imported before
    unload = "script_unloaded", lambda: _uninstall(extension, before_unload)
    for event, call in (later, unload, *host.slots.CALLS, *calls):
        getattr(script_callbacks, f"on_{event}")(call)


def wrap(wrappers: Mapping[str, Wrapper]) -> None:
    """Wrap what is there and not wrapped yet."""
    for owner, name, make in _places(wrappers):
        if patches.original(KEY, owner, name) is None:
            patches.patch(KEY, owner, name, make(getattr(owner, name)))


def _places(wrappers: Mapping[str, Wrapper]) -> Iterator[tuple[Any, str, Wrapper]]:
    """All that can be wrapped by now: what has the function, its name, and what makes its wrapper.

    The webui's API is left for the webui to import: its model of the options is made of those that are registered at
    that moment (``modules/api/models.py``, 1.6.0 to 1.10.1), and extensions register theirs after the scripts are
    loaded. Any that come later are missing from ``GET /sdapi/v1/options``.
    """
    fitted = {**wrappers, **{slot: fit(wrappers[slot]) for slot, fit in host.slots.FITS.items()}}
    yield from ((owner, name, fitted[slot]) for slot, owner, name in host.slots.SLOTS)
    yield from host.slots.OWN
    served = sys.modules.get("modules.api.api")
    if served and host.ui.serves_api():
        yield served.Api, "init_script_args", fitted["request"]


def _uninstall(extension: str, before_unload: Callable[[], None]) -> None:
    """The webui calls this when it reloads its page, before it runs the entry script again."""
    before_unload()
    host.slots.let_go(host.options.disables(extension))
    give_back()


def give_back() -> None:
    """Undo :func:`install`, however far it has come."""
    script_callbacks.remove_current_script_callbacks()  # those that this file has registered
    for owner, name in [*patches.originals[KEY]]:
        patches.undo(KEY, owner, name)
    for more in host.slots.MORE:
        more.uninstall()
