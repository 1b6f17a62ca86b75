"""Checkpoint files that lack a part, or have it from another one, as people find and make them."""

from __future__ import annotations

import shutil
from pathlib import Path

from support.webuis import Server

VAE, TEXT = "first_stage_model.", ("cond_stage_model.", "conditioner.")
PARTS = {"no VAE": (VAE,), "no text encoder": TEXT, "diffusion model alone": (VAE, *TEXT)}

MARKS = tuple(f"-{lacks.replace(' ', '-')}" for lacks in PARTS)
"""In the names of such files."""


def without_parts(server: Server, checkpoint: str, lacks: str, of: str | None = None) -> str:
    """Put a copy of a checkpoint that lacks something into the webui, or that has it from another; return its name.

    Args:
        server: a running webui, which reads its folder again.
        checkpoint: the checkpoint's name.
        lacks: a key of ``PARTS``.
        of: the checkpoint whose parts it gets instead; None for none.
    """
    from safetensors.torch import load_file, save_file

    folder = server.data / "models" / "Stable-diffusion"
    name = f"{checkpoint}-{lacks}-{of}".replace(" ", "-") if of else f"{checkpoint}-{lacks}".replace(" ", "-")
    made = folder / f"{name}.safetensors"
    if not made.exists():
        prefixes = tuple(PARTS[lacks])
        own = load_file(folder / f"{checkpoint}.safetensors")
        weights = {key: tensor for key, tensor in own.items() if not key.startswith(prefixes)}
        if of:
            others = load_file(folder / f"{of}.safetensors")
            weights |= {key: tensor for key, tensor in others.items() if key.startswith(prefixes)}
        save_file(weights, made)
        _copy_config(folder / f"{checkpoint}.yaml", made)
        server.client.post("/sdapi/v1/refresh-checkpoints")
    return name


def as_pickle(server: Server, checkpoint: str) -> str:
    """Put a ``.ckpt`` with a checkpoint's tensors into a real webui; return its name."""
    import torch
    from safetensors.torch import load_file

    made = server.data / "models" / "Stable-diffusion" / f"{checkpoint}-pickled.ckpt"
    if not made.exists():
        weights = load_file(made.with_name(f"{checkpoint}.safetensors"))
        # As the webui reads them; newer libraries put more into the other form than it allows.
        torch.save({"state_dict": weights}, made, _use_new_zipfile_serialization=False)
        _copy_config(made.with_name(f"{checkpoint}.yaml"), made)
        server.client.post("/sdapi/v1/refresh-checkpoints")
    return made.stem


def inpainting(server: Server, checkpoint: str) -> str:
    """Put an inpainting checkpoint into a real webui, made of one of SD 1.x; return its name."""
    import torch
    import yaml
    from safetensors.torch import load_file, save_file

    folder = server.data / "models" / "Stable-diffusion"
    made = folder / f"{checkpoint}-inpainting.safetensors"
    if not made.exists():
        weights = load_file(folder / f"{checkpoint}.safetensors")
        first = "model.diffusion_model.input_blocks.0.0.weight"
        more = torch.randn(weights[first].shape[0], 5, 3, 3, generator=torch.Generator().manual_seed(1))
        weights[first] = torch.cat([weights[first], (more / 20).to(weights[first])], 1)
        save_file(weights, made)
        content = yaml.safe_load((server.data / "shared.yaml").read_text(encoding="utf-8"))
        content["model"]["target"] = "ldm.models.diffusion.ddpm.LatentInpaintDiffusion"
        content["model"]["params"] |= {"conditioning_key": "hybrid", "finetune_keys": None}
        content["model"]["params"]["unet_config"]["params"]["in_channels"] = 9
        made.with_suffix(".yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        server.client.post("/sdapi/v1/refresh-checkpoints")
    return made.stem


def _copy_config(sidecar: Path, made: Path) -> None:
    if sidecar.exists():
        shutil.copy(sidecar, made.with_suffix(".yaml"))
