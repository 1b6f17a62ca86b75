"""Lets a fork that knows checkpoints by the sizes in them know the tests' tiny ones (``tests/support/real_files.py``).

The fork's own files are not changed: tiny kinds come after those that it recognises, so real checkpoints load as ever.
"""

import gc
import importlib.util
import json
import os
from contextlib import contextmanager
from pathlib import Path

WIDTH = 32
"""Of each text encoder, and of the first level of UNet and VAE."""
NUMBER = 256
"""Width of a number among the conditions of SDXL."""
VAE_LEVELS = (1, 2, 3, 3)
IS_REFORGE = importlib.util.find_spec("ldm_patched") is not None


def sizes():
    """The two text encoders' sizes, as the files' own configs have them."""
    first = json.loads((Path(os.environ["PROBE_TOKENIZER"]) / "config.json").read_text(encoding="utf-8"))
    text = json.loads(Path(os.environ["PROBE_TEXT_ENCODER"]).read_text(encoding="utf-8"))["text_cfg"]
    second = {
        "num_hidden_layers": text["layers"],
        "num_attention_heads": text["heads"],
        "intermediate_size": 4 * text["width"],
        "vocab_size": text["vocab_size"],
        "hidden_act": "gelu",
    }
    return first, {**first, **second}


@contextmanager
def tiny_encoders():
    """Around the making of text encoders and tokenizers: they are made in the tests' sizes."""
    from ldm_patched.modules import sd1_clip, sdxl_clip

    encoder, tokenizer = sd1_clip.SDClipModel.__init__, sd1_clip.SDTokenizer.__init__
    first, second = sizes()

    def encoder_init(self, *args, **kwargs):
        config = second if isinstance(self, sdxl_clip.SDXLClipG) else first
        ends = {"start": config["bos_token_id"], "end": config["eos_token_id"], "pad": config["pad_token_id"]}
        encoder(self, *args, **{**kwargs, "textmodel_json_config": config, "special_tokens": ends})

    def tokenizer_init(self, _path=None, *args, **kwargs):
        folder = os.environ["PROBE_TOKENIZER"]
        tokenizer(self, *args, **{**kwargs, "tokenizer_path": folder, "embedding_size": WIDTH})

    sd1_clip.SDClipModel.__init__, sd1_clip.SDTokenizer.__init__ = encoder_init, tokenizer_init
    try:
        yield
    finally:
        sd1_clip.SDClipModel.__init__, sd1_clip.SDTokenizer.__init__ = encoder, tokenizer


def tiny(make):
    """A maker of text encoders or tokenizers, in the tests' sizes."""

    def made(*args, **kwargs):
        with tiny_encoders():
            return make(*args, **kwargs)

    return made


def like(known, unet, **more):
    """A kind of checkpoint that differs from a known one in its sizes."""

    def clip_target(self, state_dict=None):
        target = known.clip_target(self, state_dict or {})
        target.tokenizer, target.clip = tiny(target.tokenizer), tiny(target.clip)
        return target

    sizes_of_unet = {"model_channels": WIDTH, "use_temporal_attention": False, **unet}
    return type(f"Tiny{known.__name__}", (known,), {"unet_config": sizes_of_unet, "clip_target": clip_target, **more})


def kinds():
    from ldm_patched.modules import supported_models as known

    heads = {"unet_extra_config": {"num_heads": -1, "num_head_channels": 16}}
    sd1 = {"context_dim": WIDTH, "use_linear_in_transformer": False, "adm_in_channels": None}
    sdxl = {"context_dim": 2 * WIDTH, "use_linear_in_transformer": True, "adm_in_channels": WIDTH + 6 * NUMBER}
    refiner = {"context_dim": WIDTH, "use_linear_in_transformer": True, "adm_in_channels": WIDTH + 5 * NUMBER}
    return [
        like(known.SD15, sd1),
        like(known.SDXL, sdxl, **heads),
        like(known.SDXLRefiner, refiner, **heads),
    ]


def take_tiny_vaes():
    """A VAE is made in the size that the tests' have if its first layer is as wide as theirs."""
    from ldm_patched.modules import sd

    original = sd.VAE.__init__
    layers = {
        "ch": WIDTH, "ch_mult": list(VAE_LEVELS), "num_res_blocks": 2, "attn_resolutions": [], "double_z": True,
        "z_channels": 4, "resolution": 64, "in_channels": 3, "out_ch": 3, "dropout": 0.0,
    }  # fmt: skip
    config = {"params": {"ddconfig": layers, "embed_dim": 4}}

    def init(self, *args, **kwargs):
        weights = kwargs.get("sd", args[0] if args else None) or {}
        first = weights.get("decoder.conv_in.weight")
        if first is not None and first.shape[0] == WIDTH * VAE_LEVELS[-1]:
            kwargs.setdefault("config", config)
        original(self, *args, **kwargs)

    sd.VAE.__init__ = init


if IS_REFORGE and os.environ.get("PROBE_TOKENIZER"):
    from ldm_patched.modules import supported_models

    if not hasattr(supported_models, "takes_tiny"):  # Reload UI runs this again
        supported_models.takes_tiny = True
        supported_models.models.extend(kinds())
        take_tiny_vaes()
        gc.freeze()  # reForge looks through all objects at every load, and most belong to what is imported
