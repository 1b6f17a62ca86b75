"""Checkpoints whose files lack a part: Forge Neo takes it from a module, or does not load the file."""

from __future__ import annotations

from typing import Any

from lib_multipass.memory.headers import Facts
from lib_multipass.plan.names import Checkpoint


def parts_to_ask_for(info: Checkpoint, facts: Facts) -> tuple[str, ...]:
    """Nothing is lent."""
    return ()


def is_hollow(model: Any, part: str) -> bool:
    """A model that was loaded has all its parts."""
    return False
