"""Tiny SDXL checkpoints for ``real_files``: real key names with fewer layers, and two text encoders.

The second text encoder is one of open_clip's by name. None of the shipped ones is small, so this one's config is
written beside the files, and the probe extension tells open_clip about it before the webui loads a checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path

CHECKPOINTS = {"epsilon": 21, "upsilon": 22, "omicron": 23}
"""Seeds by name; ``omicron`` is a refiner."""
REFINER = "omicron"
ENCODER = "multipass-tiny.json"
"""The text encoder's config; its file name without extension is the architecture's name in open_clip."""
_NUMBER = 256
"""Width of a number among the conditions."""


def register(path: Path) -> None:
    """Write the second text encoder's config and make it known to open_clip."""
    import open_clip

    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 4}
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 8, "patch_size": 16}
    path.write_text(json.dumps({"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}), encoding="utf-8")
    open_clip.add_model_config(path)


def config(name: str, clip: Path, width: int, attention: str) -> dict:
    """A checkpoint's sidecar, in the form of ``generative-models``' own ``sd_xl_base.yaml`` and ``sd_xl_refiner.yaml``.

    Args:
        name: the checkpoint's.
        clip: folder of the first text encoder's config and tokenizer.
        width: of each text encoder and of the network's first level.
        attention: of the VAE; the webui puts its own in place of "vanilla-xformers", and of that one alone.
    """
    modules = "sgm.modules.diffusionmodules."
    texts, numbers = (1, 5) if name == REFINER else (2, 6)
    unet = {
        "adm_in_channels": width + numbers * _NUMBER, "num_classes": "sequential", "use_checkpoint": False,
        "in_channels": 4,
        "out_channels": 4, "model_channels": width, "attention_resolutions": [4, 2], "num_res_blocks": 2,
        "channel_mult": [1, 2, 3], "num_head_channels": 16, "use_spatial_transformer": True,
        "use_linear_in_transformer": True, "transformer_depth": [1, 2, 2], "context_dim": texts * width,
        "spatial_transformer_attn_type": "softmax", "legacy": False,
    }  # fmt: skip
    vae = {
        "attn_type": attention, "double_z": True, "z_channels": 4, "resolution": 64, "in_channels": 3, "out_ch": 3,
        "ch": width, "ch_mult": [1, 2, 3, 3], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    denoiser = {
        "num_idx": 1000,
        "weighting_config": {"target": modules + "denoiser_weighting.EpsWeighting"},
        "scaling_config": {"target": modules + "denoiser_scaling.EpsScaling"},
        "discretization_config": {"target": modules + "discretizer.LegacyDDPMDiscretization"},
    }
    params = {
        "scale_factor": 0.13025,
        "disable_first_stage_autocast": True,
        "denoiser_config": {"target": modules + "denoiser.DiscreteDenoiser", "params": denoiser},
        "network_config": {"target": modules + "openaimodel.UNetModel", "params": unet},
        "conditioner_config": {
            "target": "sgm.modules.GeneralConditioner",
            "params": {"emb_models": _embedders(name, clip)},
        },
        "first_stage_config": {
            "target": "sgm.models.autoencoder.AutoencoderKLInferenceWrapper",
            "params": {"embed_dim": 4, "ddconfig": vae, "lossconfig": {"target": "torch.nn.Identity"}},
        },
    }
    return {"model": {"target": "sgm.models.diffusion.DiffusionEngine", "params": params}}


def _embedders(name: str, clip: Path) -> list[dict]:
    encoders = "sgm.modules.encoders.modules."
    second = {
        "arch": Path(ENCODER).stem, "version": "", "freeze": True, "layer": "penultimate",
        "always_return_pooled": True, "legacy": False,
    }  # fmt: skip
    first = {"version": str(clip), "layer": "hidden", "layer_idx": 11}
    last = "aesthetic_score" if name == REFINER else "target_size_as_tuple"
    parts = [
        *([] if name == REFINER else [("txt", "FrozenCLIPEmbedder", first)]),
        ("txt", "FrozenOpenCLIPEmbedder2", second),
        *(
            (numbers, "ConcatTimestepEmbedderND", {"outdim": _NUMBER})
            for numbers in ("original_size_as_tuple", "crop_coords_top_left", last)
        ),
    ]
    return [
        {"is_trainable": False, "input_key": key, "target": encoders + target, "params": params}
        for key, target, params in parts
    ]
