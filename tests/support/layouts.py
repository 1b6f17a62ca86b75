"""Names and shapes of the tensors in full-size checkpoint files, and files that have such a header and no data.

The layouts follow the models as the webui builds them from ``configs/v1-inference.yaml`` and, for SDXL, from
``sd_xl_base.yaml``: 1,131 tensors and 1,066,235,384 numbers, 2,515 tensors and 3,468,837,945 numbers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path

Shapes = Iterator[tuple[str, list[int]]]

BYTES = {"F8_E4M3": 1, "F16": 2, "BF16": 2, "F32": 4, "I64": 8}
TOKENS, PLACES = 49408, 77


def linear(name: str, taken: int, given: int, bias: bool = True) -> Shapes:
    yield f"{name}.weight", [given, taken]
    if bias:
        yield f"{name}.bias", [given]


def convolution(name: str, taken: int, given: int, kernel: int = 3) -> Shapes:
    yield f"{name}.weight", [given, taken, kernel, kernel]
    yield f"{name}.bias", [given]


def norm(name: str, width: int) -> Shapes:
    yield f"{name}.weight", [width]
    yield f"{name}.bias", [width]


def residual(name: str, taken: int, given: int) -> Shapes:
    """A block of the diffusion model, which also takes the time."""
    yield from norm(f"{name}.in_layers.0", taken)
    yield from convolution(f"{name}.in_layers.2", taken, given)
    yield from linear(f"{name}.emb_layers.1", 1280, given)
    yield from norm(f"{name}.out_layers.0", given)
    yield from convolution(f"{name}.out_layers.3", given, given)
    if taken != given:
        yield from convolution(f"{name}.skip_connection", taken, given, 1)


def attention(name: str, width: int, depth: int, context: int, linear_ends: bool) -> Shapes:
    """``depth`` transformer blocks between two projections."""
    project = linear if linear_ends else lambda *names: convolution(*names, 1)
    yield from norm(f"{name}.norm", width)
    yield from project(f"{name}.proj_in", width, width)
    for number in range(depth):
        block = f"{name}.transformer_blocks.{number}"
        for part, source in (("attn1", width), ("attn2", context)):
            yield from linear(f"{block}.{part}.to_q", width, width, bias=False)
            yield from linear(f"{block}.{part}.to_k", source, width, bias=False)
            yield from linear(f"{block}.{part}.to_v", source, width, bias=False)
            yield from linear(f"{block}.{part}.to_out.0", width, width)
        yield from linear(f"{block}.ff.net.0.proj", width, 8 * width)
        yield from linear(f"{block}.ff.net.2", 4 * width, width)
        for part in ("norm1", "norm2", "norm3"):
            yield from norm(f"{block}.{part}", width)
    yield from project(f"{name}.proj_out", width, width)


def diffusion_model(depths: tuple[int, ...], middle: int, context: int, linear_ends: bool) -> Shapes:
    """A diffusion model of 320 channels; ``depths`` are the transformer blocks at each scale."""
    widths = [320 * factor for factor in (1, 2, 4, 4)[: len(depths)]]
    yield from linear("time_embed.0", 320, 1280)
    yield from linear("time_embed.2", 1280, 1280)
    yield from convolution("input_blocks.0.0", 4, 320)
    number, width, kept = 0, 320, [320]
    for level, (given, depth) in enumerate(zip(widths, depths, strict=True)):
        for _ in range(2):
            number += 1
            yield from residual(f"input_blocks.{number}.0", width, given)
            if depth:
                yield from attention(f"input_blocks.{number}.1", given, depth, context, linear_ends)
            width = given
            kept.append(width)
        if level < len(widths) - 1:
            number += 1
            yield from convolution(f"input_blocks.{number}.0.op", width, width)
            kept.append(width)
    yield from residual("middle_block.0", width, width)
    yield from attention("middle_block.1", width, middle, context, linear_ends)
    yield from residual("middle_block.2", width, width)
    for number in range(3 * len(widths)):
        level = len(widths) - 1 - number // 3
        given, depth = widths[level], depths[level]
        yield from residual(f"output_blocks.{number}.0", width + kept.pop(), given)
        if depth:
            yield from attention(f"output_blocks.{number}.1", given, depth, context, linear_ends)
        if number % 3 == 2 and level:
            yield from convolution(f"output_blocks.{number}.{2 if depth else 1}.conv", given, given)
        width = given
    yield from norm("out.0", 320)
    yield from convolution("out.2", 320, 4)


def vae_block(name: str, taken: int, given: int) -> Shapes:
    yield from norm(f"{name}.norm1", taken)
    yield from convolution(f"{name}.conv1", taken, given)
    yield from norm(f"{name}.norm2", given)
    yield from convolution(f"{name}.conv2", given, given)
    if taken != given:
        yield from convolution(f"{name}.nin_shortcut", taken, given, 1)


def vae_middle(name: str) -> Shapes:
    yield from vae_block(f"{name}.block_1", 512, 512)
    yield from norm(f"{name}.attn_1.norm", 512)
    for part in ("q", "k", "v", "proj_out"):
        yield from convolution(f"{name}.attn_1.{part}", 512, 512, 1)
    yield from vae_block(f"{name}.block_2", 512, 512)


def vae() -> Shapes:
    widths = (128, 256, 512, 512)
    yield from convolution("encoder.conv_in", 3, 128)
    width = 128
    for level, given in enumerate(widths):
        for number in range(2):
            yield from vae_block(f"encoder.down.{level}.block.{number}", width, given)
            width = given
        if level < 3:
            yield from convolution(f"encoder.down.{level}.downsample.conv", width, width)
    yield from vae_middle("encoder.mid")
    yield from norm("encoder.norm_out", 512)
    yield from convolution("encoder.conv_out", 512, 8)
    yield from convolution("decoder.conv_in", 4, 512)
    yield from vae_middle("decoder.mid")
    for level in (3, 2, 1, 0):
        given = widths[level]
        for number in range(3):
            yield from vae_block(f"decoder.up.{level}.block.{number}", width, given)
            width = given
        if level:
            yield from convolution(f"decoder.up.{level}.upsample.conv", width, width)
    yield from norm("decoder.norm_out", 128)
    yield from convolution("decoder.conv_out", 128, 3)
    yield from convolution("quant_conv", 8, 8, 1)
    yield from convolution("post_quant_conv", 4, 4, 1)


def clip_l() -> Shapes:
    yield "text_model.embeddings.position_ids", [1, PLACES]
    yield "text_model.embeddings.token_embedding.weight", [TOKENS, 768]
    yield "text_model.embeddings.position_embedding.weight", [PLACES, 768]
    for number in range(12):
        layer = f"text_model.encoder.layers.{number}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from linear(f"{layer}.self_attn.{part}", 768, 768)
        yield from norm(f"{layer}.layer_norm1", 768)
        yield from linear(f"{layer}.mlp.fc1", 768, 3072)
        yield from linear(f"{layer}.mlp.fc2", 3072, 768)
        yield from norm(f"{layer}.layer_norm2", 768)
    yield from norm("text_model.final_layer_norm", 768)


def clip_g() -> Shapes:
    yield "positional_embedding", [PLACES, 1280]
    yield "text_projection", [1280, 1280]
    yield "logit_scale", []
    for number in range(32):
        block = f"transformer.resblocks.{number}"
        yield from norm(f"{block}.ln_1", 1280)
        yield f"{block}.attn.in_proj_weight", [3840, 1280]
        yield f"{block}.attn.in_proj_bias", [3840]
        yield from linear(f"{block}.attn.out_proj", 1280, 1280)
        yield from norm(f"{block}.ln_2", 1280)
        yield from linear(f"{block}.mlp.c_fc", 1280, 5120)
        yield from linear(f"{block}.mlp.c_proj", 5120, 1280)
    yield "token_embedding.weight", [TOKENS, 1280]
    yield from norm("ln_final", 1280)


def below(prefix: str, shapes: Shapes) -> Shapes:
    return ((prefix + name, shape) for name, shape in shapes)


def sd1() -> dict[str, list[int]]:
    """SD 1.5, without the noise schedule that some files hold."""
    return {
        **dict(below("model.diffusion_model.", diffusion_model((1, 1, 1, 0), 1, 768, linear_ends=False))),
        **dict(below("first_stage_model.", vae())),
        **dict(below("cond_stage_model.transformer.", clip_l())),
    }


def sdxl() -> dict[str, list[int]]:
    """SDXL base."""
    size = [("label_emb.0.0", 2816), ("label_emb.0.2", 1280)]
    sizes = [entry for name, width in size for entry in linear(name, width, 1280)]
    return {
        **dict(below("model.diffusion_model.", diffusion_model((0, 2, 10), 10, 2048, linear_ends=True))),
        **dict(below("model.diffusion_model.", iter(sizes))),
        **dict(below("first_stage_model.", vae())),
        **dict(below("conditioner.embedders.0.transformer.", clip_l())),
        **dict(below("conditioner.embedders.1.model.", clip_g())),
    }


def header(shapes: dict[str, list[int]], dtype: str = "F16") -> dict[str, dict]:
    """The tensors' entries in the order of the library that writes such files: wide dtypes first, then by name."""
    dtypes = {name: "I64" if name.endswith("position_ids") else dtype for name in shapes}
    entries, place = {}, 0
    for name in sorted(shapes, key=lambda name: (-BYTES[dtypes[name]], name)):
        end = place + prod(shapes[name]) * BYTES[dtypes[name]]
        entries[name] = {"dtype": dtypes[name], "shape": shapes[name], "data_offsets": [place, end]}
        place = end
    return entries


def bytes_of(shapes: dict[str, list[int]]) -> int:
    """Bytes of the data under such a header."""
    return max(entry["data_offsets"][1] for entry in header(shapes).values())


def raw_header(entries: dict[str, dict], texts: dict[str, str] | None = None) -> bytes:
    """A header as it stands in a file."""
    metadata = {"__metadata__": texts} if texts else {}
    raw = json.dumps({**metadata, **entries}, separators=(",", ":")).encode()
    return raw + b" " * (-len(raw) % 8)


def write_hollow(path: Path, entries: dict[str, dict], texts: dict[str, str] | None = None) -> Path:
    """A file of the full size with that header; its data is a hole, which takes no room on most disks."""
    raw = raw_header(entries, texts)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + max(entry["data_offsets"][1] for entry in entries.values()))
    return path
