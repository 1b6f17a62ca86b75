"""Models that are moved to the device in parts, which in Forge Neo is the webui's own business."""

from __future__ import annotations

from typing import Any


def is_split(model: Any) -> bool:
    """None is planned with as such."""
    return False


def held_bytes(model: Any) -> int:
    """Nothing of the device is planned with."""
    return 0
