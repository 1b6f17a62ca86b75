"""Tiny files that a real webui takes for the real thing: SD 1.x checkpoints, a VAE, a face detector.

Run by the webui's own Python, since the checkpoints are built by the model code in its ``repositories`` folder::

    python real_files.py --out OUT --repositories REPOSITORIES [--detector]

The checkpoints have the key layout and block counts of SD 1.x at a tenth of the width, and the text encoder's
tokenizer is in ``OUT/clip``, which the configs name by its absolute path, so nothing is downloaded. ``alpha`` and
``beta`` share one config, ``OUT/shared.yaml``, as ordinary checkpoints share the webui's; the webui loads one into
the other's place. ``gamma`` has a wider network and a sidecar ``.yaml`` of its own, for which the webui builds the
model anew.

``epsilon`` and ``upsilon`` have the layout of SDXL, ``omicron`` that of its refiner (see ``real_sdxl``). For SD 1.x and
for SDXL there are a LoRA and a textual inversion each.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path

import real_sdxl

CHECKPOINTS = {"alpha": (1, (1, 2, 3, 3), 8), "beta": (2, (1, 2, 3, 3), 8), "gamma": (3, (1, 2, 4, 4), 4)}
WIDTH = 32


def write_text_encoder(folder: Path) -> None:
    """A CLIP config and a tokenizer with one token per byte."""
    folder.mkdir(parents=True, exist_ok=True)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(others))]
    # The end token has the highest id: the text encoder finds it by argmax.
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    start, end = len(tokens) - 2, len(tokens) - 1
    special = {"bos_token": tokens[start]} | dict.fromkeys(("eos_token", "unk_token", "pad_token"), tokens[end])
    size = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "projection_dim": WIDTH}
    files = {
        "vocab.json": {token: number for number, token in enumerate(tokens)},
        "tokenizer_config.json": {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special},
        "special_tokens_map.json": special,
        "config.json": {
            "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "vocab_size": len(tokens), **size,
            "num_hidden_layers": 12, "num_attention_heads": 4, "max_position_embeddings": 77,
            "hidden_act": "quick_gelu", "bos_token_id": start, "eos_token_id": end, "pad_token_id": end,
        },
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")


def config(clip: Path, multipliers: tuple[int, ...], heads: int) -> dict:
    """The sidecar of a checkpoint, in the form of the webui's own ``configs/v1-inference.yaml``."""
    unet = {
        "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": WIDTH,
        "attention_resolutions": [4, 2, 1], "num_res_blocks": 2, "channel_mult": list(multipliers),
        "num_heads": heads, "use_spatial_transformer": True, "transformer_depth": 1, "context_dim": WIDTH,
        "use_checkpoint": False, "legacy": False,
    }  # fmt: skip
    vae = {
        "double_z": True, "z_channels": 4, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": WIDTH,
        "ch_mult": [1, 2, 3, 3], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    first_stage = {"embed_dim": 4, "ddconfig": vae, "lossconfig": {"target": "torch.nn.Identity"}}
    params = {
        "linear_start": 0.00085, "linear_end": 0.012, "timesteps": 1000, "first_stage_key": "jpg",
        "cond_stage_key": "txt", "image_size": 64, "channels": 4, "conditioning_key": "crossattn",
        "scale_factor": 0.18215, "use_ema": False,
        "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": unet},
        "first_stage_config": {"target": "ldm.models.autoencoder.AutoencoderKL", "params": first_stage},
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder",
            "params": {"version": str(clip)},
        },
    }  # fmt: skip
    return {"model": {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": params}}


def build(content: dict, seed: int):
    """A model with random weights under which different seeds paint visibly different pictures."""
    import torch
    import transformers
    from ldm.util import instantiate_from_config

    def untrained(path, **_kwargs):
        return transformers.CLIPTextModel(transformers.CLIPTextConfig.from_pretrained(path))

    transformers.CLIPTextModel.from_pretrained = staticmethod(untrained)
    torch.manual_seed(seed)
    model = instantiate_from_config(content["model"]).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("final_layer_norm.bias", "ln_final.bias")):
                weight.normal_(0.2, 0.3, generator=generator)  # emphasis divides by the mean of the encoder's output
            elif "token_embedding" in name or "position" in name:
                weight.normal_(0, 0.5, generator=generator)
            elif weight.abs().max() == 0 and weight.dim() > 1:
                weight.normal_(0, 0.5 / math.sqrt(weight[0].numel()), generator=generator)
        _calibrate(model, generator)
    return model


def _calibrate(model, generator) -> None:
    """Scale the last convolutions so that noise estimate and picture have the range that real ones have."""
    import torch

    unet, vae = model.model.diffusion_model, model.first_stage_model
    noise = torch.randn(2, 4, 8, 8, generator=generator)
    last = unet.out[2]
    last.weight.normal_(0, 0.02, generator=generator)
    extra = {}
    if unet.num_classes is not None:
        extra["y"] = torch.randn(2, unet.label_emb[0][0].in_features, generator=generator)
    width = next(weight.shape[1] for name, weight in unet.named_parameters() if name.endswith("attn2.to_k.weight"))
    context = torch.randn(2, 77, width, generator=generator)
    last.weight.mul_(0.7 / unet(noise, torch.tensor([500, 500]), context=context, **extra).std())
    picture = vae.decode(5 * torch.randn(2, 4, 8, 8, generator=generator))
    vae.decoder.conv_out.weight.mul_(0.35 / picture.std())
    vae.decoder.conv_out.bias.copy_(torch.empty(3).uniform_(-0.5, 0.5, generator=generator))


def save(model, path: Path, prefix: str = "") -> None:
    """Write the weights below ``prefix`` in half precision, the noise schedule as it is."""
    from safetensors.torch import save_file

    weights = {}
    for name, value in model.state_dict().items():
        if name.startswith(prefix):
            half = value.is_floating_point() and value.dim() and "alphas" not in name and "betas" not in name
            weights[name[len(prefix) :]] = (value.half() if half else value).contiguous().clone()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, str(path), metadata={"format": "pt"})


def write_networks(models: Path) -> None:
    """A LoRA and a textual inversion each for SD 1.x and SDXL.

    Each LoRA changes a layer that both architectures have under one name and in one size, as many of the real ones'
    are, and one that only its own has.
    """
    import torch
    from safetensors.torch import save_file

    shared, ending = "transformer_blocks_0_attn1_to_v", "transformer_blocks_1_attn1_to_v"
    loras = {
        "style-sd1": ("sd_v1", {f"down_blocks_1_attentions_0_{shared}": 2, f"down_blocks_0_attentions_0_{shared}": 1}),
        "style-sdxl": ("sdxl_base_v1-0", {f"input_blocks_4_1_{shared}": 2, f"input_blocks_4_1_{ending}": 2}),
    }
    generator = torch.Generator().manual_seed(5)
    folder, embeddings = models / "Lora", models.parent / "embeddings"
    folder.mkdir(parents=True, exist_ok=True)
    embeddings.mkdir(exist_ok=True)
    for name, (version, layers) in loras.items():
        weights = {}
        for layer, times in layers.items():
            weights[f"lora_unet_{layer}.lora_down.weight"] = torch.randn(4, times * WIDTH, generator=generator)
            weights[f"lora_unet_{layer}.lora_up.weight"] = torch.randn(times * WIDTH, 4, generator=generator)
            weights[f"lora_unet_{layer}.alpha"] = torch.tensor(4.0)
        save_file(weights, str(folder / f"{name}.safetensors"), metadata={"ss_base_model_version": version})
    vectors = [torch.randn(2, WIDTH, generator=generator) for _ in range(3)]
    save_file({"emb_params": vectors[0]}, str(embeddings / "mood-sd1.safetensors"))
    save_file({"clip_l": vectors[1], "clip_g": vectors[2]}, str(embeddings / "mood-sdxl.safetensors"))


def write_detector(path: Path) -> None:
    """A yolov8n that finds exactly one face in the middle of every picture.

    The last convolutions of its head have no weights, so their biases are the answer; only the coarsest level is
    confident, and at this image size it has a single anchor.
    """
    import torch
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel("yolov8n.yaml", ch=3, nc=1, verbose=False)
    model.names, model.task = {0: "face"}, "detect"
    head = model.model[-1]
    with torch.no_grad():
        for level, (box, score) in enumerate(zip(head.cv2, head.cv3, strict=True)):
            box[-1].weight.zero_()
            score[-1].weight.zero_()
            bins = torch.full((4, head.reg_max), -20.0)  # distances to the sides: a quarter of the anchor's stride
            bins[:, 0], bins[:, 1] = 0.0, -math.log(3)
            box[-1].bias.copy_(bins.flatten())
            score[-1].bias.fill_(6.0 if level == len(head.cv2) - 1 else -20.0)
    model.args = {"imgsz": 32, "task": "detect", "data": None, "single_cls": True, "model": "yolov8n.yaml"}
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "epoch": -1,
        "model": model.half().eval(),
        "ema": None,
        "train_args": model.args,
        "version": "8.3.75",
    }
    torch.save(content, str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repositories", type=Path, required=True)
    parser.add_argument("--detector", action="store_true")
    options = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", YOLO_OFFLINE="true")
    for repository in ("stable-diffusion-stability-ai", "generative-models"):
        sys.path.insert(0, str(options.repositories / repository))
    import yaml

    out = options.out.resolve()
    models = out / "models"
    write_text_encoder(out / "clip")
    for name, (seed, multipliers, heads) in CHECKPOINTS.items():
        content = config(out / "clip", multipliers, heads)
        path = models / "Stable-diffusion" / f"{name}.safetensors"
        save(build(content, seed), path)
        sidecar = path.with_suffix(".yaml") if name == "gamma" else out / "shared.yaml"
        sidecar.write_text(yaml.safe_dump(content), encoding="utf-8")
    real_sdxl.register(out / real_sdxl.ENCODER)
    for name, seed in real_sdxl.CHECKPOINTS.items():
        path = models / "Stable-diffusion" / f"{name}.safetensors"
        save(build(real_sdxl.config(name, out / "clip", WIDTH, "vanilla"), seed), path)
        content = real_sdxl.config(name, out / "clip", WIDTH, "vanilla-xformers")
        path.with_suffix(".yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    write_networks(models)
    vae_only = build(config(out / "clip", (1, 2, 3, 3), 8), 11)
    save(vae_only, models / "VAE" / "other.safetensors", "first_stage_model.")
    if options.detector:
        write_detector(models / "adetailer" / "always.pt")


if __name__ == "__main__":
    main()
