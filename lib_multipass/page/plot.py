"""Our axes in the webui's X/Y/Z plot.

The plot (``scripts/xyz_grid.py``, 1.6.0 to 1.10.1) is a script like ours: its module is found through the list of
loaded scripts, and Reload UI makes a new one with a new list of axes. A cell is a shallow copy
of the plot's ``p`` on which each axis declares its value. What an axis raises while values are confirmed reaches the
user before anything is rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from lib_multipass.plan import args as fields
from lib_multipass.plan import axes
from lib_multipass.plan.axes import AXES, Axis
from lib_multipass.webui import host


def add() -> None:
    """Add the axes to the plot's list, unless they are there; does nothing in a webui without the plot.

    The webui calls it before it builds the page, when all scripts are loaded.
    """
    for module in host.ui.plots():
        there = {option.label for option in module.axis_options}
        module.axis_options.extend(_option(module, axis) for axis in AXES if axis.label not in there)


def _option(module: Any, axis: Axis) -> Any:
    # The plot of img2img, where Multipass is not, leaves these out.
    return module.AxisOptionTxt2Img(
        axis.label,
        axis.reader,
        partial(_apply, axis),
        format_value=lambda p, option, value: axes.legend(axis, value, host.checkpoints.known()),
        confirm=lambda p, values: axes.confirm(
            axis, values, host.checkpoints.known(), host.vaes.names(), host.vaes.module_names()
        ),
        cost=axis.cost,
        choices=_CHOICES.get(axis.field),
    )


def _apply(axis: Axis, p: Any, value: Any, values: list[Any]) -> None:
    # Replaced, not changed: what the plot's ``p`` has, all its cells share.
    p._multipass_axes = {**getattr(p, "_multipass_axes", {}), axis.field: value}


def _by_name() -> list[str]:
    return sorted(host.checkpoints.tiles(), key=str.casefold)


_CHOICES: dict[str, Callable[[], list[str]]] = {
    "checkpoint": _by_name,
    "adetailer": lambda: [*fields.ADETAILER_MODES, *_by_name()],
    "vae": lambda: [*fields.VAE_MODES, *host.vaes.names()],
}
