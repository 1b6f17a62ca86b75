"""Files for the golden record: headers of real checkpoints without their data, and a few that can be loaded."""

from __future__ import annotations

import contextlib
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from support.layouts import Shapes, below, clip_l, header, sd1, sdxl, vae, write_hollow

VAE_NAME, TEXT_NAME, DIFFUSION_NAME = "first_stage_model.", "cond_stage_model.", "model.diffusion_model."
FIRST_CONVOLUTION = f"{DIFFUSION_NAME}input_blocks.0.0.weight"
DECODER = "decoder.conv_in.weight"
LORA_KEY = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"


def without(shapes: dict, prefix: str) -> dict:
    return {name: shape for name, shape in shapes.items() if not name.startswith(prefix)}


def marked(mark: str) -> dict:
    """An architecture that is told by one tensor."""
    shapes = {f"{DIFFUSION_NAME}{mark}": [3, 3], f"{VAE_NAME}{DECODER}": [512, 16, 3, 3]}
    return shapes | {f"{VAE_NAME}encoder.conv_in.weight": [128, 3, 3, 3]}


def two() -> dict:
    """SD 2.x: another text encoder over the first one's shapes."""
    return {**without(sd1(), TEXT_NAME), f"{TEXT_NAME}model.ln_final.weight": [1024]}


def refiner() -> dict:
    plain = {name: shape for name, shape in sdxl().items() if not name.startswith("conditioner.")}
    return {**plain, "conditioner.embedders.0.model.ln_final.weight": [1280]}


def checkpoints() -> dict[str, dict]:
    """Shapes by name; none of these is ever loaded."""
    old = sd1()
    twin = {**old, "one more": [1]}
    return {
        "old": old,
        "large": sdxl(),
        "two": two(),
        "refine": refiner(),
        "three": marked("joint_blocks.0.x_block.attn.qkv.weight"),
        "flux": marked("double_blocks.0.img_attn.qkv.weight"),
        "inpaint": {**old, FIRST_CONVOLUTION: [320, 9, 3, 3]},
        "depth": {**two(), FIRST_CONVOLUTION: [320, 5, 3, 3]},
        "no-vae": without(old, VAE_NAME),
        "no-text": without(old, TEXT_NAME),
        "no-unet": without(old, DIFFUSION_NAME),
        "a-lora": {LORA_KEY: [8, 768]},
        "a-vae": dict(below(VAE_NAME, vae())),
        "one/twin": twin,
        "two/twin": twin,
    }


def vaes() -> dict[str, dict]:
    return {
        "wide": {**dict(vae()), DECODER: [512, 16, 3, 3]},
        "sd-vae": dict(vae()),
        "a-checkpoint": {"model.diffusion_model.x.weight": [3], **dict(below(TEXT_NAME, clip_l()))},
    }


def drawn() -> dict[str, tuple[str, Shapes]]:
    """Those that can be loaded: a checkpoint of the miniature's, and what makes it look like another architecture."""
    ends = [f"{VAE_NAME}quant_conv.weight", f"{VAE_NAME}post_quant_conv.weight", FIRST_CONVOLUTION]
    old = [*ends, "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"]
    large = [*ends, "conditioner.embedders.0.transformer.x", "conditioner.embedders.1.model.ln_final.weight"]
    return {"drawn-old": ("alpha", old), "drawn-large": ("beta", large), "drawn-no-vae": ("gamma", old)}


def _write(folder: Path) -> list[Path]:
    """Below the webui's folder of models."""
    from safetensors.torch import load_file, save_file
    from torch import zeros

    made = []
    for kind, hollow in (("Stable-diffusion", checkpoints()), ("VAE", vaes())):
        for name, shapes in hollow.items():
            path = folder / kind / f"{name}.safetensors"
            path.parent.mkdir(exist_ok=True)
            made.append(write_hollow(path, header(shapes)))
    for name, kind in (("cut", "Stable-diffusion"), ("no-header", "Stable-diffusion"), ("broken", "VAE")):
        made.append(folder / kind / f"{name}.safetensors")
        made[-1].write_bytes(b"x" if name != "no-header" else b"\x02" + b"\0" * 7 + b"{}")
    for name, (source, marks) in drawn().items():
        weights = load_file(folder / "Stable-diffusion" / f"{source}.safetensors")
        weights |= {mark: zeros(1, 1, 1, 1) for mark in marks}
        if "no-vae" in name:
            weights = without(weights, VAE_NAME)
        made.append(folder / "Stable-diffusion" / f"{name}.safetensors")
        save_file(weights, made[-1])
    return made


@contextlib.contextmanager
def among(host, folder: Path) -> Iterator[None]:
    """All of them among the webui's files, and LoRAs known to its extension; afterwards nothing is left."""
    told = host.sd_models.model_hash
    host.sd_models.model_hash = lambda path: f"{zlib.crc32(Path(path).stem.encode()):08x}"
    lists = SimpleNamespace(available_networks=_loras(folder), available_network_aliases={}, loaded_networks=[])
    before, sys.modules["networks"] = sys.modules.get("networks"), lists
    lists.networks_in_memory = {}
    made = _write(Path(host.sd_models.model_path).parent)
    try:
        _list(host)
        yield
    finally:
        for path in made:
            path.unlink()
        for name in ("one", "two"):
            (Path(host.sd_models.model_path) / name).rmdir()
        del sys.modules["networks"]
        if before is not None:
            sys.modules["networks"] = before
        host.sd_models.model_hash = told
        _list(host)


def _list(host) -> None:
    host.sd_models.list_models()
    host.sd_vae.refresh_vae_list()


def _loras(folder: Path) -> dict[str, SimpleNamespace]:
    found = {}
    for name, width in (("of-old", 768), ("of-large", 2048)):
        path = write_hollow(folder / f"{name}.safetensors", header({LORA_KEY: [8, width]}))
        found[name] = SimpleNamespace(filename=str(path))
    return found
