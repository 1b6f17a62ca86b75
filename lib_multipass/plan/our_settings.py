"""Our entries on the webui's Settings page, which are also keys in ``config.json`` and of ``override_settings``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_multipass import NAME
from lib_multipass.memory.placement import AS_SET, AUTOMATIC, IN_RAM, IN_VRAM, WISHES
from lib_multipass.plan.args import short
from lib_multipass.plan.crossing import PIXEL_UPSCALER
from lib_multipass.plan.order import ORDERS
from lib_multipass.words import MultipassError

KEEP, VRAM_RESERVE, RAM_RESERVE = "multipass_keep", "multipass_vram_reserve", "multipass_ram_reserve"
"""The command-line flags have the same names."""
CROSSING_UPSCALER, READ_AHEAD = "multipass_crossing_upscaler", "multipass_read_ahead"
FAST = "multipass_fast_swaps"
STAGES, ORDER = "multipass_stages", "multipass_order"
DEFAULTS = {
    KEEP: AUTOMATIC,
    VRAM_RESERVE: 0.5,
    RAM_RESERVE: 2.0,
    CROSSING_UPSCALER: PIXEL_UPSCALER,
    READ_AHEAD: True,
    FAST: False,
    STAGES: 512,
    ORDER: AUTOMATIC,
}
"""Reserves are in GB of 1000³ bytes, what kept stages may take in MB of 1000²."""
LABELS = {
    KEEP: "Keep checkpoints",
    VRAM_RESERVE: "VRAM to leave free, in GB",
    RAM_RESERVE: "RAM to leave free, in GB",
    CROSSING_UPSCALER: "Upscaler between architectures",
    READ_AHEAD: "Read the next checkpoint while the first pass runs",
    FAST: "Fast swaps",
    STAGES: "RAM for passes and enlarged pictures that are kept for the next job, in MB",
    ORDER: "Order of the passes of a batch count",
}
CHOICES = {KEEP: WISHES, ORDER: ORDERS}
FLAGS = {"automatic": AUTOMATIC, "vram": IN_VRAM, "ram": IN_RAM, "webui": AS_SET}
"""The wishes as the flag ``--multipass-keep`` has them."""

_MOST = 1_000_000
"""Of a number; no computer has as much."""


def checked(name: str, value: Any) -> Any:
    """The value of a setting, if a job can go by it; null is the default.

    The webui stores whatever a client of its API sends, and whatever stands in ``config.json``.

    Raises:
        MultipassError: if it cannot.
    """
    usual, choices = DEFAULTS[name], CHOICES.get(name)
    if value is None or name == CROSSING_UPSCALER:  # one that is not there gives way to the plain one
        return usual if value is None else value
    if choices is not None:
        fits, allowed = value in choices, f"one of {', '.join(map(repr, choices))}"
    elif isinstance(usual, bool):
        fits, allowed = isinstance(value, bool), "true or false"
    else:  # not a number is neither
        fits, allowed = type(value) in (int, float) and 0 <= value <= _MOST, f"a number from 0 to {_MOST}"
    if not fits:
        called = f"Settings, {NAME}, {LABELS[name]} ({name})"
        raise MultipassError(f"{called}: {short(value)} is not allowed here; it has to be {allowed}.")
    return value


def require(*given: Mapping[str, Any]) -> None:
    """Refuse values that no job can go by.

    Args:
        given: settings by name: as they are stored, and what a job overrides.

    Raises:
        MultipassError: for the first one.
    """
    for values in given:
        for name in DEFAULTS:
            checked(name, values.get(name))
