"""Full-size SD 1.5 files with random weights, for a real webui: 2.1 GB each, in half precision.

Run by the webui's own Python, since names and shapes come from the model code in its ``repositories`` folder and from
its ``configs/v1-inference.yaml``::

    python full_size.py --out OUT --webui WEBUI alpha beta

Beside ``OUT/models/Stable-diffusion`` it writes ``OUT/shared.yaml``, which differs from the webui's config only in
where the text encoder's tokenizer and sizes come from: ``OUT/clip``, so nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import sys
from math import prod
from pathlib import Path

from layouts import header, raw_header
from real_files import write_text_encoder

CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "projection_dim": 768, "vocab_size": 49408}
BLOCK = 1 << 24
"""Random numbers that are made; larger tensors repeat them."""


def prepare(out: Path, webui: Path) -> dict[str, list[int]]:
    """Write config and text encoder's sizes, and return the shapes of the model that they make, by name."""
    import torch
    import transformers
    import yaml
    from ldm.util import instantiate_from_config

    write_text_encoder(out / "clip")
    sizes = out / "clip" / "config.json"
    clip = json.loads(sizes.read_text(encoding="utf-8")) | CLIP_L | {"num_attention_heads": 12}
    sizes.write_text(json.dumps(clip), encoding="utf-8")
    config = yaml.safe_load((webui / "configs" / "v1-inference.yaml").read_text(encoding="utf-8"))
    params = config["model"]["params"]
    params["cond_stage_config"]["params"] = {"version": str(out / "clip")}
    (out / "shared.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with torch.device("meta"):
        parts = {
            "model.diffusion_model.": instantiate_from_config(params["unet_config"]),
            "first_stage_model.": instantiate_from_config(params["first_stage_config"]),
            "cond_stage_model.transformer.": transformers.CLIPTextModel(transformers.CLIPTextConfig(**clip)),
        }
    return {prefix + name: list(w.shape) for prefix, part in parts.items() for name, w in part.state_dict().items()}


def write(path: Path, shapes: dict[str, list[int]], seed: int) -> None:
    """A file with weights that keep activations in range; written piece by piece."""
    import torch

    numbers = torch.randn(BLOCK, generator=torch.Generator().manual_seed(seed)).half()
    entries = header(shapes)
    raw = raw_header(entries, {"format": "pt"})
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        for name, entry in entries.items():
            file.write(values(name, entry, numbers))
        file.flush()
        os.fsync(file.fileno())


def values(name: str, entry: dict, numbers) -> bytes:
    import torch

    shape = entry["shape"]
    count = prod(shape)
    if entry["dtype"] == "I64":
        return torch.arange(count).numpy().tobytes()
    if len(shape) < 2:  # what normalises lets pass; the text encoder's mean may not be zero
        value = float(name.endswith("weight")) or 0.1 * name.endswith("final_layer_norm.bias")
        return torch.full((count,), value, dtype=torch.half).numpy().tobytes()
    scaled = numbers[: min(count, BLOCK)] / prod(shape[1:]) ** 0.5
    return scaled.repeat(-(-count // BLOCK))[:count].numpy().tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--webui", type=Path, required=True)
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    sys.path.insert(0, str(options.webui / "repositories" / "stable-diffusion-stability-ai"))
    out = options.out.resolve()
    shapes = prepare(out, options.webui)
    for number, name in enumerate(options.names):
        write(out / "models" / "Stable-diffusion" / f"{name}.safetensors", shapes, number)


if __name__ == "__main__":
    main()
