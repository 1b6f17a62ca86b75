"""Lets this process be a Forge Neo for a while, as far as :mod:`support.neo` stands for one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.neo import Neo

OF_NEO = ("modules", "backend", "modules_forge")
BOUND = ("choice", "start", "webui.a1111", "webui.forge", "webui.none", "webui.wrapping")
"""What of ours imports the webui's modules, or those that do; all else asks the door."""


@contextmanager
def forge_neo(folder: Path) -> Iterator[Neo]:
    """While it lasts, this process is a Forge Neo: what of ours imports the webui's modules is imported anew."""
    from lib_multipass import state, webui

    before = dict(vars(webui.host)), dict(vars(state.kept)), state.running.job
    vars(state.kept).update(vars(state.Kept()))
    hidden = {name: module for name, module in sys.modules.items() if _is_the_webuis(name)}
    for name in hidden:
        _leave(name)
    neo = Neo(folder)
    sys.modules.update(neo.modules)
    try:
        yield neo
    finally:
        for name in [name for name in sys.modules if _is_the_webuis(name)]:
            _leave(name)
        for name, module in hidden.items():
            _put_back(name, module)
        for kept, now in zip(before, (webui.host, state.kept), strict=False):
            vars(now).clear()
            vars(now).update(kept)
        state.running.job = before[2]


def _leave(name: str) -> None:
    """Forget a module, in its package too: ``from package import module`` looks there first."""
    sys.modules.pop(name)
    around, _, last = name.rpartition(".")
    if around in sys.modules:
        vars(sys.modules[around]).pop(last, None)


def _put_back(name: str, module: Any) -> None:
    sys.modules[name] = module
    around, _, last = name.rpartition(".")
    if around in sys.modules:
        setattr(sys.modules[around], last, module)


def _is_the_webuis(name: str) -> bool:
    return name.partition(".")[0] in OF_NEO or name.startswith(tuple(f"lib_multipass.{room}" for room in BOUND))


def started(neo: Neo) -> Any:
    """Multipass as it starts in it; the door."""
    start = importlib.import_module("lib_multipass.start")
    start.start("multipass")
    return start.host
