"""Our entries on the webui's Settings page, which are also keys in ``config.json`` and of ``override_settings``."""

from __future__ import annotations

from lib_multipass.memory.placement import AS_SET, AUTOMATIC, IN_RAM, IN_VRAM
from lib_multipass.plan.crossing import PIXEL_UPSCALER

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
FLAGS = {"automatic": AUTOMATIC, "vram": IN_VRAM, "ram": IN_RAM, "webui": AS_SET}
"""The wishes as the flag ``--multipass-keep`` has them."""
