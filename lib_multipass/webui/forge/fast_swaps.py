"""Forge Neo moves models by itself, so nothing of ours does."""

from __future__ import annotations

from typing import Any


def are_on() -> bool:
    """No."""
    return False


def bytes_beside(model: Any) -> int:
    """Bytes of RAM of a loaded model's weights that are on the device at the same time: none of our making."""
    return 0
