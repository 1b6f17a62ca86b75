"""Checkpoints with another VAE in them: what one would make by hand to have a VAE of its own in one pass."""

from __future__ import annotations

import shutil
from pathlib import Path

from support.webuis import Server


def bake(server: Server, checkpoint: str, vae: str = "other") -> str:
    """Put a copy of a checkpoint with this VAE in it into the webui and return its name."""
    from safetensors.torch import load_file, save_file

    models, name = server.data / "models", f"{checkpoint}-with-{vae}"
    made = models / "Stable-diffusion" / f"{name}.safetensors"
    if not made.exists():
        weights = load_file(made.with_name(f"{checkpoint}.safetensors"))
        own = load_file(models / "VAE" / f"{vae}.safetensors")
        save_file({**weights, **{f"first_stage_model.{key}": tensor for key, tensor in own.items()}}, made)
        sidecar = made.with_name(f"{checkpoint}.yaml")
        if sidecar.exists():
            shutil.copy(sidecar, made.with_suffix(".yaml"))
        server.client.post("/sdapi/v1/refresh-checkpoints")
    return name


def add_vae(server: Server, name: str, tensors: dict) -> Path:
    """Put a VAE file with these tensors into the webui."""
    from safetensors.torch import save_file

    path = server.data / "models" / "VAE" / f"{name}.safetensors"
    save_file(tensors, path)
    server.client.post("/sdapi/v1/refresh-vae")
    return path
