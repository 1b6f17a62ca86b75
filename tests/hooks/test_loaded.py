"""What is known of a file from the model that was made of it."""

import os
from types import SimpleNamespace

import pytest
import torch

from lib_multipass.memory import headers, loaded
from lib_multipass.memory.footprint import Loading, loaded_bytes
from lib_multipass.memory.headers import CHECKPOINT, DIFFUSION, SD1, SD2, SDXL, TEXT, UNKNOWN, VAE, Facts
from lib_multipass.memory.loaded import model_facts, note, recall
from support import layouts

HIJACKED = {
    "text_model.embeddings.token_embedding.weight": "text_model.embeddings.token_embedding.wrapped.weight",
    "cond_stage_model.": "cond_stage_model.wrapped.",
    "conditioner.embedders.0.": "conditioner.embedders.0.wrapped.",
    "conditioner.embedders.1.": "conditioner.embedders.1.wrapped.",
    "model.token_embedding.weight": "model.token_embedding.wrapped.weight",
}


def in_webui(shapes, dtype="float16"):
    """The tensors of a model as the webui has it in use, with the noise schedule that it adds."""
    found = {"alphas_cumprod": ("float32", (1000,)), "model_ema.decay": ("complex32", ())}
    for name, shape in shapes.items():
        for stored, hijacked in HIJACKED.items():
            name = name.replace(stored, hijacked)
        found[name] = ("int64" if name.endswith("position_ids") else dtype, tuple(shape))
    return found


@pytest.mark.parametrize(("layout", "architecture"), [(layouts.sd1, SD1), (layouts.sdxl, SDXL)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float8_e4m3fn"])
def test_as_its_safetensors_file(tmp_path, layout, architecture, dtype):
    shapes = layout()
    file = headers.read_facts(layouts.write_hollow(tmp_path / "a.safetensors", layouts.header(shapes)))
    facts = model_facts(in_webui(shapes, dtype))
    assert (facts.architecture, facts.kind, facts.inpainting, facts.latent) == (
        (architecture, CHECKPOINT, False, headers.LATENTS[architecture])
    )
    assert facts.matrices == file.matrices
    for loading in (Loading(), Loading(half=False), Loading(fp8=True)):
        assert loaded_bytes(facts, loading) == loaded_bytes(file, loading)
    assert facts.parameters[VAE] == {loaded.DTYPES[dtype]: 83_653_863}


def test_sd2_and_inpainting():
    names = {
        "model.diffusion_model.input_blocks.0.0.weight": ("float16", (320, 9, 3, 3)),
        "cond_stage_model.wrapped.model.ln_final.weight": ("float16", (1024,)),
    }
    facts = model_facts(names)
    assert (facts.architecture, facts.inpainting) == (SD2, True)
    assert facts.parameters == {DIFFUSION: {"F16": 320 * 81}, TEXT: {"F16": 1024}}


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(loaded, "_seen", {})
    path = tmp_path / "old.ckpt"
    path.write_bytes(b"\x80\x04cos\nsystem\n")
    return path


NAMES = {
    "model.diffusion_model.input_blocks.0.0.weight": ("float16", (8, 4, 3, 3)),
    "cond_stage_model.wrapped.transformer.text_model.embeddings.token_embedding.wrapped.weight": ("float16", (9, 8)),
}


def test_remembered_while_the_file_is_the_same(file):
    assert recall(str(file)) is None
    note(str(file), NAMES)
    facts = recall(str(file))
    assert (facts.architecture, facts.file_bytes) == (SD1, file.stat().st_size)
    then = file.stat().st_mtime_ns
    file.write_bytes(b"\x80\x04cos\nSystem\n")
    os.utime(file, ns=(then, then + 10**9))
    assert recall(str(file)) is None
    assert loaded._seen == {}
    note(str(file), NAMES)
    file.unlink()
    assert recall(str(file)) is None
    note(str(file), NAMES)
    assert loaded._seen == {}


class Model(torch.nn.Module):
    """The parts of a model under the names that the webui gives them; its text encoder stands there twice."""

    def __init__(self, path):
        super().__init__()
        self.sd_checkpoint_info = SimpleNamespace(filename=str(path))
        for name, (dtype, shape) in NAMES.items():
            *owners, last = name.split(".")
            module = self
            for owner in owners:
                if not hasattr(module, owner):
                    module.add_module(owner, torch.nn.Module())
                module = getattr(module, owner)
            module.register_parameter(last, torch.nn.Parameter(torch.zeros(shape, dtype=getattr(torch, dtype))))
        self.other_name = self.cond_stage_model
        self.register_buffer("betas", torch.zeros(5))


@pytest.fixture
def files(host):
    from lib_multipass.webui.a1111 import files

    return files


def test_the_webui_loads_a_pickle(host, files, file):
    """Its callback tells us; the file itself is not opened."""
    info = SimpleNamespace(filename=str(file))
    assert files.facts_of(info) == Facts(file.stat().st_size)
    host.script_callbacks.model_loaded_callback(Model(file))
    facts = files.facts_of(info)
    assert (facts.architecture, facts.kind) == (SD1, CHECKPOINT)
    assert facts.parameters == {DIFFUSION: {"F16": 288}, TEXT: {"F16": 72}, headers.OTHER: {"F32": 5}}


def test_a_header_too_long_to_be_read_is_made_up_for_by_the_model(host, files, file):
    """As of a pickle; a thumbnail among the texts makes a header that long."""
    path = file.with_suffix(".safetensors")
    with path.open("wb") as written:
        written.write((17_000_000).to_bytes(8, "little"))
        written.truncate(8 + 17_000_000 + 720)
    info = SimpleNamespace(filename=str(path))
    assert files.facts_of(info) == Facts(path.stat().st_size)
    host.script_callbacks.model_loaded_callback(Model(path))
    assert (files.facts_of(info).architecture, files.facts_of(info).kind) == (SD1, CHECKPOINT)


def test_a_model_is_looked_at_once(host, files, file, monkeypatch):
    noted = []
    original = loaded.note
    monkeypatch.setattr(loaded, "note", lambda *args: noted.append(args[0]) or original(*args))
    model = Model(file)
    for _ in range(3):
        host.script_callbacks.model_loaded_callback(model)
    assert noted == [str(file)]


def test_a_header_that_tells_is_believed(host, files, file, monkeypatch):
    path = layouts.write_hollow(file.with_suffix(".safetensors"), layouts.header({"model.a": [3]}))
    monkeypatch.setattr(Model, "named_parameters", None)
    host.script_callbacks.model_loaded_callback(Model(path))
    assert files.facts_of(SimpleNamespace(filename=str(path))).parameters == {DIFFUSION: {"F16": 3}}
    broken = file.with_name("broken.safetensors")
    broken.write_bytes(b"xx")
    host.script_callbacks.model_loaded_callback(Model(broken))
    assert "ends within" in files.facts_of(SimpleNamespace(filename=str(broken))).problem


def test_never_loaded(files, file):
    assert files.facts_of(SimpleNamespace(filename=str(file))).architecture == UNKNOWN
