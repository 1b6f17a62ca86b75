"""Models that are moved to the device in parts, which in Forge Neo is the webui's own business."""

from __future__ import annotations

from typing import Any

from lib_multipass.plan.names import Checkpoint


def is_split(model: Any) -> bool:
    """None is planned with as such."""
    return False


def arriving_bytes(checkpoint: Checkpoint) -> int:
    """Nothing of the device is planned with."""
    return 0


def held_bytes(model: Any) -> int:
    """Nothing of the device is planned with."""
    return 0
