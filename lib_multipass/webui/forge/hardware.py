"""The memory of this computer and of its device in Forge Neo, which moves models to the device and away itself."""

from __future__ import annotations

from typing import Any

import torch
from modules import devices

from lib_multipass.memory.headers import Facts
from lib_multipass.memory.placement import RAM, VRAM


def vram_to_plan() -> tuple[int, int] | None:
    """None: what lies on the device is up to the webui (``free_memory``), so places are planned in RAM alone."""
    return None


def computes_in_half() -> bool:
    """Whether the webui computes in half precision."""
    return devices.dtype_unet != torch.float32


def place_of(model: Any) -> str:
    """Where a loaded model lies, by its diffusion model; one that lies there in part counts as on the device."""
    if devices.device.type == "cpu":
        return RAM
    weights = model.forge_objects.unet.model.parameters()
    return VRAM if any(weight.device.type == devices.device.type for weight in weights) else RAM


def is_split(facts: Facts) -> bool:
    """Models are moved in parts where the webui sees fit, which no flag tells beforehand."""
    return False


def files_go_to_the_device() -> bool:
    """Files are read into RAM."""
    return False
