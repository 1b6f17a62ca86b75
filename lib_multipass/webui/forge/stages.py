"""Stages are not kept in Forge Neo yet: scripts of its own work in the sampling, and none was looked at."""

from __future__ import annotations

from typing import Any


def why_not(p: Any) -> str:
    """Why no first pass of a job can be kept, as the end of a sentence."""
    return "that was not tried in Forge Neo"
