"""Tiny files of architectures that Forge Neo alone knows: checkpoints, VAEs, text encoders, a LoRA for two of them.

Run by Neo's own Python, since they are built by its model code::

    python neo_files.py --out OUT --webui NEO

Beside a folder for each kind of file it writes ``OUT/configs``: those of Neo's repositories, in these sizes.
``multipass_probe_architectures.py`` lets Neo know them. No two text encoders are equally wide, nor as wide as those of
``real_files.py``, so that what one has encoded fits no model of another architecture, as with the real ones.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

from real_files import write_text_encoder

FLUX, KLEIN = "black-forest-labs/FLUX.1-dev", "black-forest-labs/FLUX.2-klein-4B"
Z_IMAGE, QWEN_IMAGE, CHROMA = "Tongyi-MAI/Z-Image-Turbo", "Qwen/Qwen-Image", "Chroma"
CLIP = {"hidden_size": 768, "projection_dim": 768, "num_hidden_layers": 2}  # Neo knows it by this width
T5 = {"d_model": 40, "d_ff": 64, "d_kv": 10, "num_heads": 4, "num_layers": 2}
QWEN = {"tiny": True, "intermediate_size": 64}
# Klein looks at the 28th layer.
QWEN3 = {**QWEN, "hidden_size": 24, "num_hidden_layers": 28, "num_attention_heads": 2, "num_key_value_heads": 1}
QWEN3 |= {"head_dim": 16}
# Neo knows a Qwen 2.5 by the 512 values of a bias.
QWEN25 = {**QWEN, "hidden_size": 36, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4}
VAE = {"block_out_channels": [32, 64, 96, 96], "sample_size": 64}
REPOSITORIES = {
    FLUX: {"text_encoder_2": T5, "vae": VAE},
    KLEIN: {"text_encoder": QWEN3, "vae": VAE},
    Z_IMAGE: {"text_encoder": QWEN3, "vae": VAE},
    CHROMA: {"text_encoder": T5, "vae": VAE},
    QWEN_IMAGE: {"text_encoder": QWEN25, "vae": {"base_dim": 16}},
}
"""What differs from Neo's configs, by repository and folder."""
EMBEDDINGS = ("embed_tokens.weight", "shared.weight", "token_embedding.weight", "position_embedding.weight")
SMALL = ("bias", "running_mean", "pad_token")


def write_configs(webui: Path, configs: Path) -> None:
    """Copies of Neo's, with their tokenizers; that of CLIP has one token per byte."""
    from backend import huggingface

    huggingface.process()  # unpacks the tokenizers, as at each start
    known = webui / "backend" / "huggingface"
    for repository, folders in REPOSITORIES.items():
        shutil.copytree(known / repository, configs / repository, ignore=shutil.ignore_patterns("*.index.json"))
        for folder, sizes in folders.items():
            file = configs / repository / folder / "config.json"
            file.write_text(json.dumps(read(file) | sizes), encoding="utf-8")
    shutil.copytree(known / FLUX / "tokenizer_2", configs / CHROMA / "tokenizer", dirs_exist_ok=True)
    tokenizer = configs / FLUX / "tokenizer"
    write_text_encoder(tokenizer)
    encoder = read(tokenizer / "config.json") | CLIP
    (configs / FLUX / "text_encoder" / "config.json").write_text(json.dumps(encoder), encoding="utf-8")


def read(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def build(make: Callable, seed: str, prefix: str = "") -> dict:
    """What one of Neo's modules has below ``prefix``, in random numbers: outputs are about as large as inputs."""
    import torch
    from backend.operations import using_forge_operations

    with using_forge_operations(device=torch.device("cpu"), dtype=torch.float32, manual_cast_enabled=True):
        tensors = make().state_dict()
    weights = {}
    for name, tensor in tensors.items():
        random = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
        noise = torch.randn(tensor.shape, generator=random)
        if name.endswith(SMALL):
            noise *= 0.1
        elif tensor.dim() < 2 or name.endswith("gamma"):
            noise = 1 + 0.1 * noise
        elif not name.endswith(EMBEDDINGS):
            noise /= tensor[0].numel() ** 0.5
        if name.startswith(prefix):
            weights[name.removeprefix(prefix)] = noise
    return weights


def text_encoders(configs: Path) -> dict[str, dict]:
    from backend.nn.clip import IntegratedCLIP
    from backend.nn.llm import llama
    from backend.nn.t5 import IntegratedT5
    from transformers import CLIPTextConfig, CLIPTextModel

    def config(repository, folder="text_encoder"):
        return read(configs / repository / folder / "config.json")

    clip = CLIPTextConfig(**config(FLUX))
    clip_l = build(lambda: IntegratedCLIP(CLIPTextModel, clip), "clip", "transformer.")
    return {
        "clip_l": {f"text_model.{name.removeprefix('text_model.')}": weight for name, weight in clip_l.items()},
        "t5xxl": build(lambda: IntegratedT5(config(CHROMA)), "t5", "transformer."),
        "qwen3": build(lambda: llama.Qwen3_06B(config(Z_IMAGE)), "qwen3"),
        "qwen25": build(lambda: llama.Qwen25_7BVLI(config(QWEN_IMAGE)), "qwen25"),
    }


def vaes(configs: Path) -> dict[str, dict]:
    from backend.nn.vae import AutoencoderKLFlux2, IntegratedAutoencoderKL
    from backend.nn.wan_vae import WanVAE

    def vae(kind, repository, seed):
        return build(lambda: kind.from_config(kind.load_config(configs / repository / "vae")), seed)

    return {
        "ae": vae(IntegratedAutoencoderKL, FLUX, "ae"),
        "ae-b": vae(IntegratedAutoencoderKL, FLUX, "ae-b"),
        "flux2-vae": vae(AutoencoderKLFlux2, KLEIN, "flux2"),
        "qwen-vae": vae(WanVAE, QWEN_IMAGE, "qwen"),
    }


def diffusion_models() -> dict[str, dict]:
    import multipass_probe_architectures as tiny
    from backend.nn.chroma import IntegratedChromaTransformer2DModel
    from backend.nn.flux import IntegratedFluxTransformer2DModel
    from backend.nn.lumina import NextDiT
    from backend.nn.qwen import QwenImageTransformer2DModel

    flux = {
        "in_channels": 16, "out_channels": 16, "vec_in_dim": 768, "context_in_dim": T5["d_model"], "num_heads": 1,
        "hidden_size": tiny.WIDTH, "mlp_ratio": 4.0, "depth": 1, "depth_single_blocks": 1, "axes_dim": [16, 56, 56],
        "theta": 10000, "patch_size": 2, "qkv_bias": True,
    }  # fmt: skip
    klein = {
        **flux, "in_channels": 128, "out_channels": 128, "vec_in_dim": None, "mlp_ratio": 3.0, "patch_size": 1,
        "context_in_dim": 3 * QWEN3["hidden_size"], "axes_dim": [32] * 4, "theta": 2000, "qkv_bias": False,
        "global_modulation": True, "mlp_silu_act": True, "ops_bias": False,
    }  # fmt: skip
    chroma = {**flux, **tiny.KINDS["Chroma"][1], "in_channels": 64, "out_channels": 64, "in_dim": 64, "n_layers": 5}
    z_image = {"patch_size": 2, "in_channels": 16, "dim": tiny.Z_WIDTH, "n_layers": 2, "qk_norm": True, **tiny.Z_IMAGE}
    z_image["cap_feat_dim"] = QWEN3["hidden_size"]
    qwen = {"num_layers": 1, **tiny.QWEN_IMAGE}
    made = {
        "flux": build(lambda: IntegratedFluxTransformer2DModel(**flux, guidance_embed=True), "flux"),
        "flux-b": build(lambda: IntegratedFluxTransformer2DModel(**flux, guidance_embed=True), "flux-b"),
        "klein": build(lambda: IntegratedFluxTransformer2DModel(**klein, guidance_embed=False), "klein"),
        "chroma": build(lambda: IntegratedChromaTransformer2DModel(**chroma, txt_ids_dims=[]), "chroma"),
        "z-image": build(lambda: NextDiT(**z_image), "z"),
        "z-image-b": build(lambda: NextDiT(**z_image), "z-b"),
        "qwen-image": build(lambda: QwenImageTransformer2DModel(**qwen), "qwen"),
    }
    return {name: as_published(weights) for name, weights in made.items()}


def as_published(weights: dict) -> dict:
    """Neo's names of Flux's and Chroma's norms are not those in the files."""
    norms = ("query_norm.weight", "key_norm.weight")
    scales = {name for name in weights if name.endswith(norms) or "guidance_layer.norms" in name}
    return {f"{name[:-6]}scale" if name in scales else name: weight for name, weight in weights.items()}


def baked(model: dict, vae: dict, encoder: str, weights: dict) -> dict:
    """A checkpoint with a VAE and a text encoder in it."""
    parts = {"model.diffusion_model.": model, "vae.": vae, f"text_encoders.{encoder}.": weights}
    return {prefix + name: weight for prefix, part in parts.items() for name, weight in part.items()}


def lora(model: dict, block: str, seed: int, part: str = "diffusion_model") -> dict:
    """Changes all matrices of a block; ``part`` is what a LoRA calls the model."""
    import torch

    random = torch.Generator().manual_seed(seed)
    weights = {}
    for name, weight in model.items():
        if name.startswith(block) and weight.dim() == 2:
            layer = f"{part}.{name.removesuffix('.weight')}"
            weights[f"{layer}.lora_down.weight"] = 0.3 * torch.randn(4, weight.shape[1], generator=random)
            weights[f"{layer}.lora_up.weight"] = 0.3 * torch.randn(weight.shape[0], 4, generator=random)
    return weights


def save(folder: Path, files: dict[str, dict]) -> None:
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    for name, weights in files.items():
        half = {key: weight.to(torch.bfloat16).contiguous() for key, weight in weights.items()}
        save_file(half, folder / f"{name}.safetensors")


def save_quantised(path: Path, model: dict) -> None:
    """As GGUF, with its matrices in 8 bits."""
    import gguf

    file = gguf.GGUFWriter(str(path), "tiny")
    for name, weight in model.items():
        values, kind = weight.float().numpy(), gguf.GGMLQuantizationType.Q8_0
        if weight.dim() == 2 and weight.shape[0] > 1 and weight.shape[1] % 32 == 0 and "embedder" not in name:
            file.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            file.add_tensor(name, values)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--webui", type=Path, required=True)
    options = parser.parse_args()
    sys.argv[1:] = ["--cpu"]  # Neo reads them as it is imported
    probe = Path(__file__).parent / "probe" / "scripts"
    sys.path[:0] = map(str, (options.webui, options.webui / "modules_forge" / "packages", probe))
    import multipass_probe_architectures as tiny

    tiny.take_tiny_encoders()
    out = options.out
    write_configs(options.webui, out / "configs")
    models, encoders, of_vae = diffusion_models(), text_encoders(out / "configs"), vaes(out / "configs")
    models["z-image-baked"] = baked(models["z-image"], of_vae["ae-b"], tiny.ENCODER, encoders["qwen3"])
    save(out / "Stable-diffusion", models)
    save_quantised(out / "Stable-diffusion" / "z-image-q8.gguf", models["z-image-b"])
    save(out / "VAE", of_vae)
    save(out / "text_encoder", encoders)
    loras = {
        "of-flux": lora(models["flux"], "double_blocks.0.", 1),
        "of-z-image": lora(models["z-image"], "layers.0.", 2),
        "of-qwen3": lora(encoders["qwen3"], "model.layers.0.", 3, "text_encoders.qwen3"),
    }
    save(out / "Lora", loras)


if __name__ == "__main__":
    main()
