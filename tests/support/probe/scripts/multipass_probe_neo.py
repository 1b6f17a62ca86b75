"""Lets Forge Neo know the tests' tiny checkpoints (``real_files.py``), which it recognises by the sizes in them.

Neo's own files are not changed: tiny kinds come after those that it recognises, so real checkpoints load as ever. It
builds a model from a folder of configs by the name of the kind's repository; those of the tiny kinds are made of Neo's
at start, in the sizes of the tests' files.
"""

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

IS_NEO = importlib.util.find_spec("backend") is not None and importlib.util.find_spec("modules_forge") is not None
WIDTH = 32
"""Of each text encoder, and of the first level of UNet and VAE."""
NUMBER = 256
"""Width of a number among the conditions of SDXL."""
VAE = {"block_out_channels": [WIDTH, 2 * WIDTH, 3 * WIDTH, 3 * WIDTH], "sample_size": 64}
UNNEEDED = ("safety_checker", "feature_extractor", "tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2")
KNOWN_WIDTHS = {768: WIDTH, 1280: WIDTH, 2048: 2 * WIDTH}
"""Widths of the real text encoders, and of the tiny ones that stand in their places."""


def encoders():
    """Configs of the two text encoders, and the folder of the tokenizer of both."""
    tokenizer = Path(os.environ["PROBE_TOKENIZER"])
    first = json.loads((tokenizer / "config.json").read_text(encoding="utf-8"))
    text = json.loads(Path(os.environ["PROBE_TEXT_ENCODER"]).read_text(encoding="utf-8"))["text_cfg"]
    second = {
        **first,
        "num_hidden_layers": text["layers"],
        "num_attention_heads": text["heads"],
        "intermediate_size": 4 * text["width"],
        "vocab_size": text["vocab_size"],
        "hidden_act": "gelu",
        "architectures": ["CLIPTextModelWithProjection"],
    }
    return first, second, tokenizer


def write_configs(known, out, by_folder):
    """A copy of a repository's configs, with these text encoders and with tiny VAE."""
    shutil.copytree(known, out, ignore=shutil.ignore_patterns(*UNNEEDED, "vae_*"), dirs_exist_ok=True)
    tokenizer = encoders()[-1]
    for folder, config in by_folder.items():
        (out / folder).mkdir(exist_ok=True)
        (out / folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        beside = out / folder.replace("text_encoder", "tokenizer")
        shutil.copytree(tokenizer, beside, ignore=shutil.ignore_patterns("config.json"), dirs_exist_ok=True)
    change(out / "vae" / "config.json", lambda config: {**config, **VAE})
    change(out / "model_index.json", lambda index: {key: index[key] for key in index if key not in UNNEEDED[:2]})


def change(file, make):
    file.write_text(json.dumps(make(json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")


def like(known, repositories, by_folder, context, numbers=None, linear=True):
    """A kind of checkpoint that differs from a known one in its sizes alone."""
    out = Path(os.environ["PROBE_TOKENIZER"]).parent / "neo-configs" / known.__name__
    write_configs(repositories / known.huggingface_repo, out, by_folder)
    sizes = {
        "model_channels": WIDTH,
        "use_temporal_attention": False,
        "context_dim": context * WIDTH,
        "use_linear_in_transformer": linear,
        "adm_in_channels": None if numbers is None else WIDTH + numbers * NUMBER,
    }
    own = {"huggingface_repo": str(out), "unet_config": sizes}
    if linear:
        own["unet_extra_config"] = {"num_heads": -1, "num_head_channels": 16}
    return type(f"Tiny{known.__name__}", (known,), own)


def take_tiny_kinds():
    from backend import loader
    from huggingface_guess import model_list as known

    repositories = Path(loader.__file__).parent / "huggingface"
    first, second, _ = encoders()
    kinds = {
        known.SD15: ({"text_encoder": first}, 1, None, False),
        known.SDXL: ({"text_encoder": first, "text_encoder_2": second}, 2, 6),
        known.SDXLRefiner: ({"text_encoder": second}, 1, 5),
    }
    for kind, sizes in kinds.items():
        tiny = like(kind, repositories, *sizes)
        known.models.append(tiny)
        for engine in loader.possible_models:
            if kind in engine.matched_guesses:
                engine.matched_guesses.append(tiny)


def take_tiny_embeddings():
    """Textual inversions of the tiny width fit a text encoder with the tokenizer of one token a byte."""
    from backend.text_processing import textual_inversion

    original = textual_inversion.EmbeddingDatabase.__init__

    def init(self, tokenizer, expected_shape=-1):
        is_tiny = len(tokenizer) < 1000
        original(self, tokenizer, KNOWN_WIDTHS.get(expected_shape, expected_shape) if is_tiny else expected_shape)

    textual_inversion.EmbeddingDatabase.__init__ = init


if IS_NEO and os.environ.get("PROBE_TOKENIZER") and not hasattr(sys.modules["backend"], "takes_tiny"):
    sys.modules["backend"].takes_tiny = True  # Reload UI runs this again
    take_tiny_kinds()
    take_tiny_embeddings()
