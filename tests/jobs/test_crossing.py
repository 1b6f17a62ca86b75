"""What may follow what: refusals, and the upscaler between architectures."""

from __future__ import annotations

import json

import pytest

from support.client import RefusedError
from support.jobs import A, B, hires, multipass, warm

# On running webuis: files that are nothing but a header, which is all that is read before a refusal.

MARKS = {
    "stub-flux": {"double_blocks.0.img_attn.qkv.weight": [2, 2], "vae.x": [1]},
    "stub-sd3": {"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": [2, 2], "first_stage_model.x": [1]},
    "stub-refiner": {
        "model.diffusion_model.input_blocks.0.0.weight": [2, 4, 3, 3],
        "conditioner.embedders.0.model.ln_final.weight": [1280],
        "first_stage_model.x": [1],
    },
    "stub-klein": {"double_blocks.0.img_attn.qkv.weight": [2, 2], "double_stream_modulation_img.lin.weight": [2, 2]},
    "stub-chroma": {"double_blocks.0.img_attn.qkv.weight": [2, 2], "distilled_guidance_layer.norms.0.scale": [2]},
    "stub-z-image": {"cap_pad_token": [1, 2]},
    "stub-qwen": {"txt_norm.weight": [2]},
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
    assert "First-pass checkpoint: stub-refiner.safetensors is an SDXL refiner" in detail(
        pair, **base("stub-refiner"), **on_b
    )
    assert "is no checkpoint but a LoRA" in detail(pair, alwayson_scripts=multipass(True, "stub-lora"))
    if pair.ours.webui.kind.vaes_are_modules:
        return  # Forge Neo knows Flux
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


NEWER = {"stub-klein": "Flux.2", "stub-chroma": "Chroma", "stub-z-image": "Z-Image", "stub-qwen": "Qwen-Image"}


def test_architectures_that_forge_neo_alone_knows_are_refused_elsewhere(pair, stubs):
    if pair.ours.webui.kind.vaes_are_modules:
        pytest.skip("Forge Neo knows them")
    for name, architecture in NEWER.items():
        told = detail(pair, alwayson_scripts=multipass(True, name))
        assert f"the architecture of {name}.safetensors is {architecture}, which this webui cannot load" in told


def test_sd3_is_refused_where_the_webui_does_not_know_it(pair, stubs):
    if pair.ours.webui.kind.vaes_are_modules:
        pytest.skip("Forge Neo is asked for no architecture before it loads")
    if "sd3_enable_t5" in pair.ours.client.get("/sdapi/v1/options"):
        pytest.skip("this webui knows SD 3; versions before 1.10.0 do not")
    job = {"alwayson_scripts": multipass(True, "stub-sd3")}
    assert "Second-pass checkpoint: the architecture of stub-sd3.safetensors is SD 3" in detail(pair, **job)


def test_a_refiner_of_another_latent_space_is_refused(pair, stubs):
    job = {"refiner_checkpoint": "stub-refiner", "refiner_switch_at": 0.5, "alwayson_scripts": multipass(True, B)}
    if not pair.real:
        pytest.skip("the miniature's checkpoints have no architecture")
    if not pair.ours.webui.kind.refines_hires_jobs:
        (told,) = pair.ours.client.post("/multipass/v1/plan", {**hires(), **job})["warnings"]
        assert told.startswith("The refiner stub-refiner has no part in this picture")
        return
    assert f"cannot go on with a picture that {B} (SD 1.x) began" in detail(pair, **job)
    never = {**job, "refiner_switch_at": 1.0}
    assert "Hires checkpoint" in warm(pair.ours, **hires(), **never).infotext
    assert sorted(pair.ours.client.probe()["loaded"]) == [A, B]
