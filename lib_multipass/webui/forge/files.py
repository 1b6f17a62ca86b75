"""Checkpoint files in Forge Neo: what they take once they are loaded."""

from __future__ import annotations

from modules import shared

from lib_multipass.memory.footprint import Loading
from lib_multipass.memory.headers import Facts
from lib_multipass.plan.names import Checkpoint
from lib_multipass.webui.a1111.hardware import vae_computes_in_half
from lib_multipass.webui.base import host


def loading(facts: Facts, other_vae: bool = False) -> Loading:
    """How this webui loads a checkpoint."""
    return Loading(
        half=host.hardware.computes_in_half(),
        half_vae=vae_computes_in_half(),
        fp8=str(shared.opts.forge_unet_storage_dtype).startswith("float8"),
        other_vae=other_vae,
    )


def read_bytes(checkpoint: Checkpoint, facts: Facts) -> int:
    """Bytes of RAM that a checkpoint's file takes while the webui loads it; a ``.safetensors`` is mapped."""
    return 0 if checkpoint.filename.lower().endswith(".safetensors") else facts.file_bytes
