"""Jobs with checkpoints that lack a part: what is said before anything is loaded."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from lib_multipass.memory.headers import Facts
from support.jobs import A
from support.layouts import header, sd1, sdxl, write_hollow

PARTS = {"no VAE": "first_stage_model.", "no text encoder": "cond_stage_model.", "no UNet": "model.diffusion_model."}


@pytest.fixture
def files(host, monkeypatch):
    """Puts files of other architectures among the checkpoints, which are never loaded here, nor read for a hash."""
    folder, made = Path(host.sd_models.model_path), []
    monkeypatch.setattr(host.sd_models, "model_hash", lambda path: f"{zlib.crc32(Path(path).stem.encode()):08x}")

    def add(name, shapes):
        # Only the width of what cross-attention takes tells something.
        small = {tensor: shape if "attn2" in tensor else [1] * len(shape) for tensor, shape in shapes.items()}
        made.append(write_hollow(folder / f"{name}.safetensors", header(small)))
        host.sd_models.list_models()
        return name

    yield add
    for path in made:
        path.unlink()
    monkeypatch.undo()
    host.sd_models.list_models()


def lacking(part):
    return {name: shape for name, shape in sd1().items() if not name.startswith(PARTS[part])}


def said(host, *args, **fields):
    """The sentence that refuses a job, else what the job's line would say."""
    from lib_multipass.api.requests import PlanRequest, plan_of
    from lib_multipass.words import MultipassError

    request = PlanRequest(
        enable_hr=True,
        hr_upscaler="Lanczos",
        alwayson_scripts={"Multipass": {"args": [True, *args]}},
        **fields,
    )
    try:
        return " ".join(plan_of(request).warnings)
    except MultipassError as error:
        sentence = error.detail
    with pytest.raises(MultipassError) as refused:
        host.run(host.job(True, *args, **fields))
    assert refused.value.detail == sentence
    return sentence


def test_nobody_can_lend_a_vae(host, files):
    second = files("bare", lacking("no VAE"))
    sentence = (
        "Second-pass checkpoint: bare.safetensors has no VAE, and no SD checkpoint is at hand that could lend its own; "
        "choose a Second-pass VAE."
    )
    assert said(host, second) == sentence
    assert "has no" not in said(host, second, "Same as second pass", "other.safetensors")
    host.shared.opts.data["sd_vae"] = "other.safetensors"
    try:
        assert "has no" not in said(host, second)
    finally:
        host.shared.opts.data["sd_vae"] = "Automatic"


def test_nobody_can_lend_a_text_encoder(host, files):
    second = files("bare", lacking("no text encoder"))
    assert said(host, second) == (
        "Second-pass checkpoint: bare.safetensors has no text encoder, and no SD 1.x checkpoint is at hand that could "
        "lend its own; choose a checkpoint that holds its text encoder."
    )


def test_the_first_pass(host, files):
    first = {"override_settings": {"sd_model_checkpoint": files("bare", lacking("no VAE"))}}
    assert said(host, A, **first) == (
        "First-pass checkpoint: bare.safetensors has no VAE, and no SD checkpoint is at hand that could lend its own; "
        "select an SD VAE in the webui's settings."
    )
    whole = files("whole", sd1())
    assert "bare has no VAE of its own and works with that of whole." in said(host, whole, **first)


def test_a_checkpoint_of_another_kind_does_not_lend(host, files):
    first = {"override_settings": {"sd_model_checkpoint": files("large", sdxl())}}
    assert "no SD checkpoint is at hand" in said(host, files("bare", lacking("no VAE")), **first)


def test_the_first_passes_checkpoint_lends(host, files):
    first = {"override_settings": {"sd_model_checkpoint": files("whole", sd1())}}
    second = files("bare", lacking("no VAE"))
    assert said(host, second, **first).count("bare has no VAE of its own and works with that of whole.") == 1
    assert "of its own" not in said(host, second, "Same as second pass", "other.safetensors", **first)


def test_no_diffusion_model(host, files):
    sentence = (
        "Second-pass checkpoint: bare.safetensors has no diffusion model that this webui can read; choose a whole"
    )
    assert said(host, files("bare", lacking("no UNet"))).startswith(sentence)


def test_others_read_a_file_as_it_is(host):
    """Extensions that merge checkpoints do, while Multipass keeps some."""
    from safetensors.torch import load_file, save_file

    folder = Path(host.sd_models.model_path)
    weights = load_file(folder / f"{A}.safetensors")
    made = folder / "bare.safetensors"
    save_file({name: t for name, t in weights.items() if not name.startswith(PARTS["no VAE"])}, made)
    host.sd_models.list_models()
    try:
        host.run(host.job(True, "bare"))
        info = host.sd_models.get_closet_checkpoint_match("bare")
        read = host.sd_models.get_checkpoint_state_dict(info, host.timer.Timer())
        assert not any(name.startswith(PARTS["no VAE"]) for name in read)
    finally:
        made.unlink()
        host.sd_models.list_models()
        host.run(host.job())


@pytest.mark.parametrize("has_place", [False, True])
def test_a_model_of_reforge_without_a_place_for_a_part_is_loaded_anew(host, monkeypatch, has_place):
    """A webui that starts with such a file makes a model of it, in which the VAE is nothing."""
    from lib_multipass.webui.a1111 import files as files_of_host
    from lib_multipass.webui.a1111 import lending

    host.run(host.job())
    loaded, model = host.sd_models.model_data.loaded_sd_models, host.sd_models.model_data.sd_model
    monkeypatch.setattr(files_of_host, "facts_of", lambda _info: Facts(1, lacks=("first_stage_model.",)))
    monkeypatch.setattr(model, "forge_objects", SimpleNamespace(), raising=False)
    if not has_place:
        monkeypatch.setitem(model._modules, "first_stage_model", None)
    monkeypatch.setattr(lending, "parts_to_ask_for", lambda *_args: ())
    monkeypatch.setattr(host.sd_models, "send_model_to_trash", lambda _model: None)  # as in reForge
    monkeypatch.setattr(host.sd_models.model_data, "loaded_sd_models", list(loaded))
    lending._mend(model.sd_checkpoint_info)
    assert (model in host.sd_models.model_data.loaded_sd_models) is has_place


@pytest.mark.parametrize(
    ("lacks", "setting", "read"),
    [
        ("no text encoder", "Automatic", "None"),
        ("no VAE", "Automatic", "Automatic"),
        ("no text encoder", "TE: c", "TE: c"),
    ],
)
def test_reforge_reads_no_text_encoder_past_what_is_lent(host, files, monkeypatch, lacks, setting, read):
    """At Automatic it takes that of the checkpoint's file, by its name, where it lists one."""
    from lib_multipass.state import running
    from lib_multipass.webui.a1111 import forge_models, swaps

    second = files("bare", lacking(lacks))
    noted = ModuleType("sd_text_encoder")
    noted.current_text_encoder = noted.current_text_encoder_option = "the first checkpoint's"
    monkeypatch.setitem(sys.modules, "modules.sd_text_encoder", noted)
    monkeypatch.setattr(forge_models, "webui_moves_them", lambda: True)
    monkeypatch.setitem(host.shared.opts.data, forge_models.TEXT_ENCODER, setting)
    seen = []

    def load(*_args, info, **_kwargs):
        seen.append((host.shared.opts.sd_text_encoder, noted.current_text_encoder is None))
        return host.sd_models.model_data.sd_model

    info = host.sd_models.checkpoint_aliases[second]
    with monkeypatch.context() as patch:
        patch.setattr(running, "job", SimpleNamespace(plan=None, parts={}))
        swaps.perform(load, (), {"info": info})
    swaps.perform(load, (), {"info": info})
    assert seen == [(read, read == "None"), (setting, read == "None")]
    assert host.shared.opts.sd_text_encoder == setting
