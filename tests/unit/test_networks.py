"""What a LoRA is made for, and prompts without the tags that do not fit."""

from __future__ import annotations

import json

import pytest

from lib_multipass.memory.architectures import CHROMA, FLUX2, Z_IMAGE
from lib_multipass.memory.headers import FLUX, SD1, SD2, SD3, SDXL, UNKNOWN
from lib_multipass.memory.lora_files import architecture, fits, made_for
from lib_multipass.plan.tags import without


def down(name, width):
    return {f"{name}.lora_down.weight": {"dtype": "F16", "shape": [8, width], "data_offsets": [0, 16 * width]}}


KEY = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
LORAS = {
    "SD 1.x by width": (down(KEY, 768), {}, SD1),
    "SD 2.x by width": (down(KEY, 1024), {}, SD2),
    "SDXL by width": (down(KEY, 2048), {}, SDXL),
    "width before metadata": (down(KEY, 2048), {"ss_base_model_version": "sd_v1"}, SDXL),
    "diffusers": ({"unet.mid_block.attn2.to_k.lora_A.weight": {"shape": [4, 2048]}}, {}, SDXL),
    "LoHa": ({"lora_unet_mid_block_attn2_to_v.hada_w1_b": {"shape": [4, 768]}}, {}, SD1),
    "both text encoders": (down("lora_te2_text_model_encoder_layers_0_mlp_fc1", 1280), {}, SDXL),
    "Flux": (down("lora_unet_double_blocks_0_img_attn_qkv", 3072), {}, FLUX),
    "Flux in diffusers": (down("transformer.single_transformer_blocks.0.attn.to_q", 3072), {}, FLUX),
    "SD 3 has two encoders too": (
        {**down("lora_te2_x", 1280), **down("lora_unet_joint_blocks_0_x_block", 1536)},
        {},
        SD3,
    ),
    "sd-scripts SDXL": ({}, {"ss_base_model_version": "sdxl_base_v1-0"}, SDXL),
    "sd-scripts SD 1.x": ({}, {"ss_base_model_version": "sd_v1"}, SD1),
    "sd-scripts SD 2.x": ({}, {"ss_base_model_version": "sd_v2_v"}, SD2),
    "a base version of a kind unknown here": ({}, {"ss_base_model_version": "hunyuan", "ss_v2": "False"}, UNKNOWN),
    "model spec": ({}, {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}, SDXL),
    "old sd-scripts": ({}, {"ss_v2": "True"}, SD2),
    "old sd-scripts, SD 1.x": ({}, {"ss_v2": "False"}, SD1),
    "other metadata": ({}, {"format": "pt", "ss_output_name": "sdxl_x"}, UNKNOWN),
    "self-attention alone": (down("lora_unet_down_blocks_1_attn1_to_k", 640), {}, UNKNOWN),
    "a width that nothing has": (down(KEY, 999), {}, UNKNOWN),
    "no shape": ({f"{KEY}.lora_down.weight": {}}, {}, UNKNOWN),
    "nonsense for a shape": ({f"{KEY}.lora_down.weight": {"shape": ["a", []]}}, {}, UNKNOWN),
    "nothing": ({}, {}, UNKNOWN),
}


@pytest.mark.parametrize("case", LORAS)
def test_what_a_lora_is_made_for(case):
    tensors, metadata, expected = LORAS[case]
    assert architecture(tensors, metadata) == expected


def write(path, tensors, metadata=None):
    size = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    header = json.dumps({**tensors, **({"__metadata__": metadata} if metadata else {})}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    return path


def test_files(tmp_path):
    lora = write(tmp_path / "lora.safetensors", down(KEY, 768))
    assert made_for(lora) == SD1
    write(lora, down(KEY, 2048), {"ss_base_model_version": "sdxl_base_v1-0"})
    assert made_for(lora) == SDXL
    assert made_for(str(lora)) == SDXL
    by_metadata = write(tmp_path / "m.safetensors", down("lora_unet_x", 64), {"ss_base_model_version": "sd_v1"})
    assert made_for(by_metadata) == SD1


@pytest.mark.parametrize("contents", [b"", b"\x01", b"\xff" * 8, (2).to_bytes(8, "little") + b"[]"])
def test_broken_files(tmp_path, contents):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(contents)
    assert made_for(path) == UNKNOWN


def test_what_is_no_safetensors_file(tmp_path):
    pickle = write(tmp_path / "lora.pt", down(KEY, 768))
    assert made_for(pickle) == UNKNOWN
    assert made_for(tmp_path / "nowhere.safetensors") == UNKNOWN
    assert made_for(tmp_path) == UNKNOWN
    assert made_for("a\0b.safetensors") == UNKNOWN


PROMPTS = {
    "a cat": ("a cat", []),
    "a cat <lora:x:1>": ("a cat", ["<lora:x:1>"]),
    "<lora:x:1> a cat": ("a cat", ["<lora:x:1>"]),
    "<lora:x>a cat": ("a cat", ["<lora:x>"]),
    "a <lora:x:1:0.5> cat": ("a cat", ["<lora:x:1:0.5>"]),
    "a cat, <lora:x:te=1:unet=0.5>, sunny": ("a cat, , sunny", ["<lora:x:te=1:unet=0.5>"]),
    "a <lora:x:1> <lora:x:2> cat": ("a cat", ["<lora:x:1>", "<lora:x:2>"]),
    "<lora:x:1><lora:x:2>": ("", ["<lora:x:1>", "<lora:x:2>"]),
    "(red <lora:x:1> hat:1.2)": ("(red hat:1.2)", ["<lora:x:1>"]),
    "<<lora:x:1>>": ("<>", ["<lora:x:1>"]),
    "a <lora:y:1> cat <lora:x:1>": ("a <lora:y:1> cat", ["<lora:x:1>"]),
    "a <lyco:x:1> cat": ("a <lyco:x:1> cat", []),
    "a  cat\n<lora:x:1>\nsunny": ("a  cat\n\nsunny", ["<lora:x:1>"]),
    "<lora:>, <lora:x, a < b > c": ("<lora:>, <lora:x, a < b > c", []),
    "": ("", []),
}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_tags_that_do_not_fit(prompt):
    assert without(prompt, lambda kind, name: (kind, name) == ("lora", "x")) == PROMPTS[prompt]


def test_nothing_changes_when_all_fit():
    for prompt in PROMPTS:
        assert without(prompt, lambda _kind, _name: False) == (prompt, [])


@pytest.mark.parametrize(
    ("kind", "wanted", "expected"),
    [
        (SD1, SD1, True),
        (SD1, SDXL, False),
        (UNKNOWN, Z_IMAGE, True),
        (SDXL, Z_IMAGE, False),
        (FLUX, CHROMA, True),
        (FLUX, FLUX2, True),
        (FLUX, Z_IMAGE, False),
    ],
)
def test_what_a_lora_may_do_something_in(kind, wanted, expected):
    """The names in those for Flux are Chroma's and those of Flux.2, too."""
    assert fits(kind, wanted) == expected
