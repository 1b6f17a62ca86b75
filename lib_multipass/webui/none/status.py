"""What a webui is doing that Multipass cannot work in."""

from __future__ import annotations

from modules import shared


def interrupt() -> None:
    """End the running job."""
    shared.state.interrupt()
