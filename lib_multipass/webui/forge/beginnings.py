"""In Forge Neo no batch begins for a checkpoint that is not active: noise, texts and networks come from its engine."""

from __future__ import annotations

from typing import Any


def early_scripts(p: Any) -> None:
    """None, as that is not to be."""
