"""Our axes in the webui's X/Y/Z plot.

The plot (``scripts/xyz_grid.py``, 1.6.0 to 1.10.1) is a script like ours: its module is found through the list of
loaded scripts, and Reload UI makes a new one with a new list of axes. A cell is a shallow copy
of the plot's ``p`` on which each axis declares its value. What an axis raises while values are confirmed reaches the
user before anything is rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import PurePath
from typing import Any

from modules import script_callbacks, scripts

from lib_multipass import args as fields
from lib_multipass import axes
from lib_multipass.axes import AXES, Axis
from lib_multipass.host import checkpoints, vaes

PLOT = "xyz_grid.py"
"""The name of the plot's file; its module's is the same, but for 1.9.0 and 1.9.1."""


def install() -> None:
    """Add the axes whenever the page is about to be built, when all scripts are loaded."""
    script_callbacks.on_before_ui(add)


def add() -> None:
    """Add the axes to the plot's list, unless they are there; does nothing in a webui without the plot."""
    for data in scripts.scripts_data:
        if PurePath(data.path).name == PLOT and hasattr(data.module, "axis_options"):
            there = {option.label for option in data.module.axis_options}
            data.module.axis_options.extend(_option(data.module, axis) for axis in AXES if axis.label not in there)


def over(p: Any, args: fields.PassArgs) -> fields.PassArgs:
    """The settings of a job: the panel's, and the axes' if it is a cell of a plot."""
    return axes.over(args, getattr(p, "_multipass_axes", {}))


def _option(module: Any, axis: Axis) -> Any:
    # The plot of img2img, where Multipass is not, leaves these out.
    return module.AxisOptionTxt2Img(
        axis.label,
        axis.reader,
        partial(_apply, axis),
        format_value=lambda p, option, value: axes.legend(axis, value, checkpoints.known()),
        confirm=lambda p, values: axes.confirm(axis, values, checkpoints.known(), vaes.names()),
        cost=axis.cost,
        choices=_CHOICES.get(axis.field),
    )


def _apply(axis: Axis, p: Any, value: Any, values: list[Any]) -> None:
    # Replaced, not changed: what the plot's ``p`` has, all its cells share.
    p._multipass_axes = {**getattr(p, "_multipass_axes", {}), axis.field: value}


def _by_name() -> list[str]:
    return sorted(checkpoints.tiles(), key=str.casefold)


_CHOICES: dict[str, Callable[[], list[str]]] = {
    "checkpoint": _by_name,
    "adetailer": lambda: [*fields.ADETAILER_MODES, *_by_name()],
    "vae": lambda: [*fields.VAE_MODES, *vaes.names()],
}
