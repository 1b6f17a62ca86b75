"""What a checkpoint file is, from its header."""

import json
import os
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_multipass.memory import header_text, headers
from lib_multipass.memory.architectures import ANIMA, CHROMA, FLUX2, LUMINA, QWEN, WAN, Z_IMAGE
from lib_multipass.memory.headers import (
    CHECKPOINT,
    CONDITIONING,
    DIFFUSION,
    DIFFUSION_ALONE,
    FLUX,
    LORA,
    OTHER,
    REFINER,
    SD1,
    SD2,
    SD3,
    SDXL,
    T5,
    TEXT,
    UNKNOWN,
    VAE,
    VAE_ALONE,
    Facts,
    read_facts,
    remembered,
)
from support.stored import HOSTILE, MODEL, SD1_TEXT, entries, entry, store, stored_bytes, unet


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


OLD_SD1_TEXT = "cond_stage_model.transformer.embeddings.token_embedding.weight"
SD2_TEXT = "cond_stage_model.model.ln_final.weight"
FIRST_ENCODER, SECOND_ENCODER = (f"conditioner.embedders.{number}.model.ln_final.weight" for number in (0, 1))
VAE_WEIGHT = "first_stage_model.decoder.conv_in.weight"


def facts_of(path, shapes, **kwargs):
    return read_facts(store(path, entries(shapes, **kwargs)))


VAE_SHAPE = {VAE_WEIGHT: [8, 4, 3, 3]}
ARCHITECTURES = [
    (SD1, {**unet(768), SD1_TEXT: [99, 768]}),
    (SD1, {**unet(32), SD1_TEXT: [99, 32]}),
    (SD1, {**unet(768), OLD_SD1_TEXT: [99, 768]}),
    (SD1, {**unet(1024), "cond_stage_model.roberta.embeddings.word_embeddings.weight": [99, 1024]}),
    (SD2, {**unet(1024), SD2_TEXT: [1024]}),
    (SD2, {**unet(32), SD2_TEXT: [32]}),
    (SD2, {**unet(1024), FIRST_ENCODER: [1024]}),
    (SDXL, {**unet(2048), SECOND_ENCODER: [1280]}),
    (SDXL, {**unet(64), SECOND_ENCODER: [32]}),
    (REFINER, {**unet(1280), FIRST_ENCODER: [1280]}),
    (REFINER, {**unet(32), FIRST_ENCODER: [32]}),
    (SD3, {f"{MODEL}joint_blocks.0.x_block.attn.qkv.weight": [8, 8], **VAE_SHAPE}),
    (FLUX, {f"{MODEL}double_blocks.0.img_attn.qkv.weight": [8, 8], "vae.decoder.conv_in.weight": [8, 16, 3, 3]}),
    (UNKNOWN, {f"{MODEL}palette.weight": [8, 8], "cond_stage_model.table.weight": [9, 9]}),
    (UNKNOWN, {**unet(32), "conditioner.embedders.0.transformer.weight": [9]}),
]


@pytest.mark.parametrize(("expected", "shapes"), ARCHITECTURES, ids=range(len(ARCHITECTURES)))
def test_checkpoints(path, expected, shapes):
    facts = facts_of(path, shapes)
    assert (facts.architecture, facts.kind, facts.problem) == (expected, CHECKPOINT, None)
    assert facts.latent == headers.LATENTS.get(expected)
    assert facts.file_bytes == path.stat().st_size


@pytest.mark.parametrize("prefix", [MODEL, "diffusion_model.", ""])
@pytest.mark.parametrize(("width", "expected"), [(768, SD1), (1024, SD2), (2048, SDXL), (1280, REFINER), (32, UNKNOWN)])
def test_diffusion_model_alone(path, prefix, width, expected):
    facts = facts_of(path, unet(width, prefix=prefix))
    assert (facts.architecture, facts.kind) == (expected, DIFFUSION_ALONE)
    assert facts.parameters == {DIFFUSION: {"F16": 8 * 4 * 9 + 8 + 8 * width + 64}}


@pytest.mark.parametrize("prefix", [MODEL, "diffusion_model.", ""])
@pytest.mark.parametrize(
    ("name", "expected"), [("double_blocks.0.img_attn", FLUX), ("joint_blocks.0.x_block.attn", SD3)]
)
def test_transformer_alone(path, prefix, name, expected):
    facts = facts_of(path, {f"{prefix}{name}.qkv.weight": [6, 2], f"{prefix}final_layer.linear.bias": [4]})
    assert (facts.architecture, facts.kind) == (expected, DIFFUSION_ALONE)
    assert facts.parameters == {DIFFUSION: {"F16": 16}}


NEWER = [
    (
        FLUX2,
        "Flux.2",
        {"double_blocks.0.img_attn.qkv.weight": [6, 2], "double_stream_modulation_img.lin.weight": [6, 2]},
    ),
    (CHROMA, "Flux", {"double_blocks.0.img_attn.qkv.weight": [6, 2], "distilled_guidance_layer.norms.0.scale": [2]}),
    (CHROMA, "Flux", {"double_blocks.0.img_attn.qkv.weight": [6, 2], "distilled_guidance_layer.0.norms.0.scale": [2]}),
    (LUMINA, "Flux", {"cap_embedder.1.weight": [2304, 2], "noise_refiner.0.attention.k_norm.weight": [2]}),
    (Z_IMAGE, "Flux", {"cap_embedder.1.weight": [3840, 2], "noise_refiner.0.attention.k_norm.weight": [2]}),
    (Z_IMAGE, "Flux", {"cap_pad_token": [1, 2], "noise_refiner.0.attention.k_norm.weight": [2]}),
    (QWEN, "Wan", {"txt_norm.weight": [2], "transformer_blocks.0.attn.to_q.weight": [2, 2]}),
    (WAN, "Wan", {"head.modulation": [1, 2, 2], "blocks.0.ffn.0.weight": [2, 2]}),
    (ANIMA, "Wan", {"llm_adapter.blocks.0.cross_attn.q_proj.weight": [2, 2], "blocks.0.mlp.layer1.weight": [2, 2]}),
]


@pytest.mark.parametrize("prefix", [MODEL, "net.", ""])
@pytest.mark.parametrize(("expected", "latent", "shapes"), NEWER, ids=range(len(NEWER)))
def test_newer_architectures(path, prefix, expected, latent, shapes):
    facts = facts_of(path, {f"{prefix}{name}": shape for name, shape in shapes.items()})
    assert (facts.architecture, facts.kind, facts.latent) == (expected, DIFFUSION_ALONE, latent)
    assert [*facts.parameters] == [DIFFUSION]
    assert facts.lacks == ()


@pytest.mark.parametrize(("channels", "expected"), [(4, False), (8, False), (9, True)])
@pytest.mark.parametrize("text", [SD1_TEXT, SD2_TEXT, SECOND_ENCODER])
def test_inpainting(path, channels, expected, text):
    assert facts_of(path, {**unet(channels=channels), text: [32]}).inpainting is expected


OTHER_FILES = [
    (VAE_ALONE, {"encoder.conv_in.weight": [8, 3, 3, 3], "decoder.conv_in.weight": [8], "quant_conv.bias": [8]}),
    (VAE_ALONE, VAE_SHAPE),
    (LORA, {"lora_unet_down_blocks_0.lora_up.weight": [8, 2], "lora_unet_down_blocks_0.alpha": []}),
    (LORA, {"diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight": [2, 8]}),
    (LORA, {"unet.up_blocks.0.hada_w1_a": [2, 8]}),
    (UNKNOWN, {"transformer_blocks.0.mlp_fc1.qweight": [8, 4], "transformer_blocks.0.mlp_fc1.lora_down": [8, 2]}),
    (UNKNOWN, {"shared.weight": [9, 9], "encoder.block.0.weight": [9], "decoder.block.0.weight": [9]}),
    (UNKNOWN, {"text_model.embeddings.token_embedding.weight": [9, 9]}),
    (UNKNOWN, {"emb_params": [2, 768]}),
    (UNKNOWN, {"control_model.input_blocks.0.0.weight": [8, 4, 3, 3]}),
    (UNKNOWN, {SD1_TEXT: [9, 9], VAE_WEIGHT: [9]}),
    (UNKNOWN, {}),
]


@pytest.mark.parametrize(("expected", "shapes"), OTHER_FILES, ids=range(len(OTHER_FILES)))
def test_files_that_are_no_checkpoints(path, expected, shapes):
    facts = facts_of(path, shapes)
    assert (facts.kind, facts.architecture, facts.latent, facts.problem) == (expected, UNKNOWN, None, None)
    if expected == VAE_ALONE:
        assert set(facts.parameters) == {VAE}


def test_components(path):
    shapes = {
        **unet(),
        SD1_TEXT: [99, 32],
        "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight": [8, 4],
        "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight": [6, 2],
        "text_encoders.clip_g.transformer.text_projection.weight": [3, 3],
        "text_encoders.t5xxl.transformer.shared.weight": [5, 5],
        **VAE_SHAPE,
        "depth_model.model.weight": [7],
        "model_ema.diffusion_modelinput_blocks00weight": [1000],
        "betas": [1000],
        "alphas": [],
    }
    facts = facts_of(path, shapes)
    assert facts.parameters == {
        DIFFUSION: {"F16": 288 + 8 + 256 + 64},
        TEXT: {"F16": 99 * 32 + 32 + 12 + 9},
        T5: {"F16": 25},
        VAE: {"F16": 288},
        CONDITIONING: {"F16": 7},
        OTHER: {"F16": 2001},
    }
    assert facts.matrices == {DIFFUSION: 288 + 256 + 64, TEXT: 32 + 9, T5: 25, VAE: 288}
    assert (stored_bytes(facts, TEXT), stored_bytes(facts, "nothing")) == (2 * (99 * 32 + 53), 0)


def test_dtypes_are_counted_apart(path):
    header = {
        f"{MODEL}a": {"dtype": "F8_E4M3", "shape": [4, 4], "data_offsets": [0, 16]},
        f"{MODEL}b": {"dtype": "F32", "shape": [3], "data_offsets": [24, 36]},
        f"{MODEL}c": {"dtype": "I64", "shape": [], "data_offsets": [16, 24]},
        f"{MODEL}d": {"dtype": "F32", "shape": [0, 9], "data_offsets": [36, 36]},
    }
    facts = read_facts(store(path, header))
    assert facts.parameters == {DIFFUSION: {"F8_E4M3": 16, "F32": 3, "I64": 1}}
    assert stored_bytes(facts, DIFFUSION) == 36


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_header(path, name):
    header, words = HOSTILE[name]
    facts = read_facts(store(path, header, data=8))
    assert facts.problem is not None
    assert words in facts.problem
    assert len(facts.problem) < 200
    assert facts == Facts(path.stat().st_size, problem=facts.problem)


def test_harmless_oddities(path):
    """Order, blanks after the header, unknown keys, names with escapes and the names of keys are allowed."""
    header = {
        "__metadata__": {"ss_tags": json.dumps({"data_offsets": {"dtype": 1}}), "format": "pt"},
        f"{MODEL}b": {**entry(offsets=[8, 16]), "note": "x"},
        f"{MODEL}ä\n": entry(),
        "data_offsets": entry(offsets=[16, 24]),
    }
    raw = json.dumps(header).encode() + b" " * 100
    facts = read_facts(store(path, raw, data=24))
    assert (facts.problem, facts.parameters) == (None, {DIFFUSION: {"F16": 8}, OTHER: {"F16": 4}})


@pytest.mark.parametrize("length", [0, 1, 7])
def test_file_shorter_than_its_length_field(path, length):
    path.write_bytes(b"\x01" * length)
    assert "ends within its header" in read_facts(path).problem


@pytest.mark.parametrize("length", [3, 100_000_001, 2**40, 2**63, 2**64 - 1])
def test_header_longer_than_the_file(path, length):
    store(path, b"{}", data=0, length=length)
    assert "ends within its header" in read_facts(path).problem


def test_header_over_the_limit_is_not_read(path):
    """The file is sparse, and reading it would take 100 MB."""
    store(path, b"{}", data=header_text.LONGEST_HEADER + 8, length=header_text.LONGEST_HEADER + 1)
    begin = time.perf_counter()
    assert "more than the format allows" in read_facts(path).problem
    assert time.perf_counter() - begin < 0.05


@pytest.mark.parametrize(("data", "words"), [(7, "ends 1 bytes early"), (0, "ends 8 bytes early"), (9, "1 bytes that")])
def test_data_of_another_size(path, data, words):
    assert words in read_facts(store(path, {"a": entry()}, data=data)).problem


@pytest.mark.parametrize("name", ["old.ckpt", "vae.pt", "weights.bin", "noextension"])
def test_other_formats_are_not_opened(tmp_path, name, monkeypatch):
    file = tmp_path / name
    file.write_bytes(b"\x80\x04cos\nsystem\n")
    monkeypatch.setattr(headers.Path, "open", None)
    assert read_facts(file) == Facts(file.stat().st_size)


def test_extension_in_capitals(tmp_path):
    assert facts_of(tmp_path / "A.SAFETENSORS", unet(768)).architecture == SD1


@pytest.mark.parametrize("name", ["missing.safetensors", "missing.ckpt", "a\0b.safetensors", "x" * 5000])
@pytest.mark.parametrize("read", [read_facts, remembered])
def test_missing_file(tmp_path, name, read):
    facts = read(tmp_path / name)
    assert "cannot be read" in facts.problem
    assert (facts.file_bytes, facts.kind) == (0, UNKNOWN)


def test_folder(tmp_path):
    (tmp_path / "a.safetensors").mkdir()
    assert read_facts(tmp_path / "a.safetensors").problem == "It is not a file."


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
def test_pipe_does_not_hang(path):
    os.mkfifo(path)
    assert read_facts(path).problem == "It is not a file."


def test_no_permission(path, monkeypatch):
    """By hand, since root may read everything."""
    store(path, {"a": entry()})

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(headers.Path, "open", refuse)
    facts = read_facts(path)
    assert facts == Facts(path.stat().st_size, problem="The file cannot be read: Permission denied.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats() | st.sampled_from(["F16", "dtype"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets"]) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [*unet(), SD1_TEXT, SD2_TEXT, FIRST_ENCODER, SECOND_ENCODER, "__metadata__", "encoder.", "", "."]
)
DIMENSIONS = st.lists(st.integers(-1, 4) | st.integers() | JSON, max_size=4)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F16", "F32", "BOOL", "F4", "X"]) | JSON,
        "shape": DIMENSIONS | JSON,
        "data_offsets": st.lists(st.integers(-4, 40), min_size=2, max_size=2) | JSON,
    }
)


@given(header=JSON | st.dictionaries(NAMES | st.text(max_size=4), ENTRIES | JSON, max_size=4), data=st.integers(0, 40))
def test_no_header_raises(tmp_path_factory, header, data):
    path = store(tmp_path_factory.getbasetemp() / "any.safetensors", json.dumps(header).encode(), data=data)
    facts = read_facts(path)
    assert facts.file_bytes == path.stat().st_size
    assert facts.problem is None or not facts.parameters


@given(raw=st.binary(max_size=200) | st.binary(max_size=60).map(lambda rest: struct.pack("<Q", len(rest)) + rest))
def test_no_bytes_raise(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "bytes.safetensors"
    path.write_bytes(raw)
    assert read_facts(path).file_bytes == len(raw)


@given(
    shapes=st.dictionaries(NAMES.filter(lambda n: n != "__metadata__"), st.lists(st.integers(0, 5), max_size=4)),
    data=st.data(),
)
def test_true_headers_are_read_in_any_order(tmp_path_factory, shapes, data):
    header = entries(shapes)
    mixed = {name: header[name] for name in data.draw(st.permutations(list(header)))}
    facts = read_facts(store(tmp_path_factory.getbasetemp() / "true.safetensors", mixed))
    assert facts.problem is None
    total = sum(entry["data_offsets"][1] - entry["data_offsets"][0] for entry in header.values())
    assert sum(stored_bytes(facts, component) for component in facts.parameters) == total


@pytest.fixture
def reads(monkeypatch):
    """The files that are read in spite of the memory."""
    monkeypatch.setattr(headers, "_known", {})
    seen = []

    def note(path):
        seen.append(os.fspath(path))
        return read_facts(path)

    monkeypatch.setattr(headers, "read_facts", note)
    return seen


def test_remembered(path, reads):
    store(path, entries(unet(768)))
    first = remembered(path)
    assert remembered(str(path)) is first
    assert reads == [str(path)]


def test_changed_file_is_read_again(path, reads):
    """One that has another size at the same time of change, and one of the same size that was changed later."""
    store(path, entries({"model.a": [4]}))
    then = path.stat().st_mtime_ns
    assert stored_bytes(remembered(path), DIFFUSION) == 8
    store(path, entries({"model.a": [5]}))
    os.utime(path, ns=(then, then))
    assert stored_bytes(remembered(path), DIFFUSION) == 10
    store(path, entries({"other.a": [5]}))
    os.utime(path, ns=(then, then + 1_000_000_000))
    assert stored_bytes(remembered(path), DIFFUSION) == 0
    assert (len(reads), len(headers._known)) == (3, 1)


def test_removed_file_is_forgotten(path, reads):
    store(path, entries(unet(768)))
    remembered(path)
    path.unlink()
    assert "cannot be read" in remembered(path).problem
    assert headers._known == {}
    store(path, entries(unet(768)))
    assert remembered(path).architecture == SD1


def big_header(tensors=2500):
    """As many tensors as SDXL has, with names as long and shapes as long to write; the file would be of 2 MB."""
    middle = "transformer_blocks.{}.attn{}.to_{}.weight"
    names = [
        f"{MODEL}{side}_blocks.{number}.1.{middle.format(block, attention, letter)}"
        for side in ("input", "output")
        for number in range(9)
        for block in range(10)
        for attention in (1, 2)
        for letter in ("q", "k", "v", "out.0", "proj", "mlp", "norm")
    ]
    assert len(names) >= tensors
    return entries({**{name: [12, 34] for name in names[: tensors - 5]}, **unet(2048), SECOND_ENCODER: [1280]})


def test_speed(path):
    """Loose limits: a busy machine takes several times as long as a quiet one."""
    store(path, big_header())
    assert path.stat().st_size > 300_000

    def best(read, times):
        seconds = []
        for _ in range(times):
            begin = time.perf_counter()
            assert read(path).architecture == SDXL
            seconds.append(time.perf_counter() - begin)
        return min(seconds)

    raw = path.read_bytes()[8:]
    begin = time.perf_counter()
    json.loads(raw[: raw.index(b"}}") + 2].decode())
    parsing = time.perf_counter() - begin
    assert best(read_facts, 30) < max(0.01, 6 * parsing)
    remembered(path)
    assert best(remembered, 100) < 0.0005


def test_very_many_tensors(path):
    """An honest, if odd, file."""
    shapes = {f"{MODEL}{number}": [1] for number in range(30_000)}
    begin = time.perf_counter()
    assert facts_of(path, shapes).parameters == {DIFFUSION: {"F16": 30_000}}
    assert time.perf_counter() - begin < 10
