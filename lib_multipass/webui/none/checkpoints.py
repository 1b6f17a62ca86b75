"""The checkpoints of a webui that Multipass cannot work in."""

from __future__ import annotations

from typing import Any

from modules import sd_models


def match(name: str) -> Any:
    """What the webui takes for this name; None if it finds nothing."""
    return sd_models.get_closet_checkpoint_match(name)
