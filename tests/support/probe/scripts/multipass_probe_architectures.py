"""Lets Forge Neo know the tests' tiny checkpoints of its newer architectures (``neo_files.py``).

Neo's own files are not changed. It takes the first kind of its list that fits, and most of these fit in any size, so
the tiny kinds come first, each with a size that no real checkpoint has: real ones load as ever.
"""

import importlib.util
import os
import sys
from pathlib import Path

IS_NEO = importlib.util.find_spec("backend") is not None and importlib.util.find_spec("modules_forge") is not None
CONFIGS = os.environ.get("PROBE_ARCHITECTURES")
"""The folder with configs by the names of Neo's repositories."""

WIDTH = 128
"""Of a diffusion model: one head."""
Z_WIDTH = 2 * WIDTH
"""Of Z-Image's, which takes 256 values of a step."""
TINY = "tiny"
"""A key in the config of a text encoder."""
ENCODER = "qwen3_8b.transformer"
"""What Neo calls a Qwen 3 that is neither 1024 nor 2560 wide."""
Z_IMAGE = {
    "n_heads": 2, "n_kv_heads": 2, "axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512], "rope_theta": 256.0,
    "ffn_dim_multiplier": 2.0, "z_image_modulation": True, "time_scale": 1000.0, "pad_tokens_multiple": 32,
}  # fmt: skip
QWEN_IMAGE = {"num_attention_heads": 1, "joint_attention_dim": 36}
KINDS = {
    "Flux": ({"image_model": "flux", "guidance_embed": True, "hidden_size": WIDTH}, {}, None),
    "Flux2K4B": ({"image_model": "flux2", "hidden_size": WIDTH}, {}, ENCODER),
    "Chroma": ({"image_model": "chroma", "hidden_size": WIDTH}, {"out_dim": WIDTH, "hidden_dim": 64}, None),
    "ZImage": ({"image_model": "lumina2", "dim": Z_WIDTH}, Z_IMAGE, ENCODER),
    "QwenImage": ({"image_model": "qwen_image", "num_layers": 1}, QWEN_IMAGE, None),
}
"""For each kind of Neo's: what the tiny one is known by, sizes that Neo does not read off a file, its text encoder."""


def like(known, known_by, sizes, encoder):
    """A kind of checkpoint that differs from a known one in its sizes alone."""
    own = {"huggingface_repo": str(Path(CONFIGS) / known.huggingface_repo)}
    own |= {"unet_config": known_by, "unet_extra_config": sizes}
    if encoder:
        own["clip_target"] = lambda self, state_dict=None: {encoder: "text_encoder"}
    return type(f"Tiny{known.__name__}", (known,), own)


def take_tiny_kinds():
    from backend import loader
    from huggingface_guess import model_list

    for name, sizes in KINDS.items():
        known = getattr(model_list, name)
        tiny = like(known, *sizes)
        model_list.models.insert(0, tiny)
        for engine in loader.possible_models:
            if known in engine.matched_guesses:
                engine.matched_guesses.append(tiny)


def take_tiny_encoders():
    """Neo builds these in the sizes of the real ones, whatever their configs say."""
    from backend.nn.llm import llama

    llama.Qwen3_06B = either(llama.Qwen3_06B, llama.Qwen3_4B, llama.Qwen3_4BConfig)
    llama.Qwen25_7BVLI = either(llama.Qwen25_7BVLI, llama.Qwen25_7BVLI, llama.Qwen25_7BVLI_Config)


def either(real, base, config_class):
    """The real text encoder, or one in the sizes of a config that says so; without the part that looks at pictures."""
    import torch
    from backend.nn.llm import llama

    class Tiny(base):
        def __init__(self, sizes):
            torch.nn.Module.__init__(self)
            config = config_class()
            for key in sizes.keys() & {*dir(config)}:
                setattr(config, key, sizes[key])
            self.num_layers = config.num_hidden_layers
            self.model = llama.Llama2_(config)

    return lambda sizes: (Tiny if sizes.get(TINY) else real)(sizes)


if IS_NEO and CONFIGS and not hasattr(sys.modules["backend"], "takes_architectures"):
    sys.modules["backend"].takes_architectures = True  # Reload UI runs this again
    take_tiny_kinds()
    take_tiny_encoders()
