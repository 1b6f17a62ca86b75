"""What may follow what: refusals, and the upscaler between architectures."""

from __future__ import annotations

import json

import pytest

from lib_multipass import crossing
from lib_multipass.headers import FLUX, LORA, REFINER, SD1, SD2, SD3, SDXL, UNKNOWN, VAE_ALONE, Facts
from lib_multipass.messages import MultipassError
from support.client import RefusedError
from support.jobs import A, B, hires, multipass, warm


def facts(architecture=UNKNOWN, **more):
    return Facts(1, architecture, **more)


@pytest.mark.parametrize(
    ("first", "second", "fit"),
    [
        (SD1, SD2, True),
        (SD1, SDXL, False),
        (SDXL, SD2, False),
        (SDXL, REFINER, True),
        (SD3, SDXL, False),
        (UNKNOWN, SDXL, True),
    ],
)
def test_latents(first, second, fit):
    assert crossing.latents_fit(facts(first), facts(second)) is fit
    assert crossing.latents_fit(facts(second), facts(first)) is fit


def test_replacement():
    assert crossing.replacement("4x", ["Lanczos", "4x"]) == "4x"
    assert crossing.replacement("4x", ["Lanczos"]) == "Lanczos"


def refused(check, *args) -> str | None:
    try:
        check(*args)
    except MultipassError as error:
        return str(error)
    return None


def test_architectures_that_this_webui_cannot_load():
    told = refused(crossing.require_architecture, "Second-pass checkpoint", "x.safetensors", facts(FLUX), {FLUX, SD3})
    assert told
    assert "Second-pass checkpoint: the architecture of x.safetensors is Flux, which this webui cannot load" in told
    for architecture in (SD1, SD2, SDXL, REFINER, SD3, UNKNOWN):
        assert refused(crossing.require_architecture, "", "", facts(architecture), {FLUX}) is None


def test_a_refiner_begins_nothing():
    assert "cannot begin" in refused(crossing.require_beginner, "First", "x", facts(REFINER))
    for architecture in (SD1, SD2, SDXL, SD3, UNKNOWN):
        assert refused(crossing.require_beginner, "First", "x", facts(architecture)) is None


def test_what_is_no_checkpoint():
    for kind in (LORA, VAE_ALONE):
        assert "is no checkpoint" in refused(crossing.require_checkpoint, "Second", "x", facts(kind=kind))
    assert refused(crossing.require_checkpoint, "Second", "x", facts(inpainting=True)) is None
    assert refused(crossing.require_checkpoint, "Second", "x", facts(REFINER)) is None


def test_a_refiner_goes_on_in_its_own_latent_space():
    told = refused(crossing.require_same_latents, "r", "b", facts(REFINER), facts(SD1))
    assert "Refiner: r is SDXL refiner and cannot go on with a picture that b (SD 1.x) began" in told
    assert refused(crossing.require_same_latents, "r", "b", facts(REFINER), facts(SDXL)) is None
    assert refused(crossing.require_same_latents, "r", "b", facts(), facts(SDXL)) is None


# On running webuis: files that are nothing but a header, which is all that is read before a refusal.

MARKS = {
    "stub-flux": {"double_blocks.0.img_attn.qkv.weight": [2, 2], "vae.x": [1]},
    "stub-sd3": {"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": [2, 2], "first_stage_model.x": [1]},
    "stub-refiner": {
        "model.diffusion_model.input_blocks.0.0.weight": [2, 4, 3, 3],
        "conditioner.embedders.0.model.ln_final.weight": [1280],
        "first_stage_model.x": [1],
    },
    "stub-lora": {"lora_unet_x.lora_down.weight": [2, 2]},
}


def header(tensors):
    end, entries = 0, {}
    for name, shape in tensors.items():
        count = 1
        for dimension in shape:
            count *= dimension
        entries[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + 2 * count]}
        end += 2 * count
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + bytes(end)


@pytest.fixture
def stubs(pair):
    folder = pair.ours.data / "models" / "Stable-diffusion"
    files = [folder / f"{name}.safetensors" for name in MARKS]
    for file, tensors in zip(files, MARKS.values(), strict=True):
        file.write_bytes(header(tensors))
    pair.ours.client.post("/sdapi/v1/refresh-checkpoints")
    yield
    for file in files:
        file.unlink()
    pair.ours.client.post("/sdapi/v1/refresh-checkpoints")


def detail(pair, **job) -> str:
    pair.ours.client.probe()
    with pytest.raises(RefusedError) as caught:
        pair.ours.client.txt2img(**hires(), **job)
    assert caught.value.status == 422
    assert not any(name.startswith("stub") for name in pair.ours.client.probe()["reads"])
    return caught.value.detail


def base(name):
    return {"override_settings": {"sd_model_checkpoint": f"{name}.safetensors"}}


def test_checkpoints_that_cannot_make_their_pass_are_refused(pair, stubs):
    on_b, flux = {"alwayson_scripts": multipass(True, B)}, {"alwayson_scripts": multipass(True, "stub-flux")}
    faces = {"alwayson_scripts": multipass(True, B, "stub-flux")}
    assert (
        "Second-pass checkpoint: the architecture of stub-flux.safetensors is Flux, which this webui cannot load"
        in detail(pair, **flux)
    )
    assert (
        "ADetailer checkpoint: the architecture of stub-flux.safetensors is Flux, which this webui cannot load"
        in detail(pair, **faces)
    )
    assert "First-pass checkpoint: the architecture of stub-flux.safetensors is Flux" in detail(
        pair, **base("stub-flux"), **on_b
    )
    assert "First-pass checkpoint: stub-refiner.safetensors is an SDXL refiner" in detail(
        pair, **base("stub-refiner"), **on_b
    )
    assert "is no checkpoint but a LoRA" in detail(pair, alwayson_scripts=multipass(True, "stub-lora"))


def test_sd3_is_refused_where_the_webui_does_not_know_it(pair, stubs):
    if "sd3_enable_t5" in pair.ours.client.get("/sdapi/v1/options"):
        pytest.skip("this webui knows SD 3; versions before 1.10.0 do not")
    job = {"alwayson_scripts": multipass(True, "stub-sd3")}
    assert "Second-pass checkpoint: the architecture of stub-sd3.safetensors is SD 3" in detail(pair, **job)


def test_a_refiner_of_another_latent_space_is_refused(pair, stubs):
    job = {"refiner_checkpoint": "stub-refiner", "refiner_switch_at": 0.5, "alwayson_scripts": multipass(True, B)}
    if not pair.real:
        pytest.skip("the miniature's checkpoints have no architecture")
    assert f"cannot go on with a picture that {B} (SD 1.x) began" in detail(pair, **job)
    never = {**job, "refiner_switch_at": 1.0}
    assert "Hires checkpoint" in warm(pair.ours, **hires(), **never).infotext
    assert sorted(pair.ours.client.probe()["loaded"]) == [A, B]
