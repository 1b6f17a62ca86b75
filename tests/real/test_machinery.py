"""Jobs that the webui's own scripts and buttons make out of one: X/Y/Z plot, prompts from file, ✨, the refiner.

The miniature has none of these; it would have to grow a webui feature for each.
"""

from __future__ import annotations

import json

import pytest

from support.client import RefusedError
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer, script_args, warm

pytestmark = pytest.mark.real


def plot(server, x_type: str, x_values: str, **more) -> dict:
    return script_args(
        server, "X/Y/Z plot", x_type=x_type, x_values=x_values, include_sub_images=True, draw_legend=False, **more
    )


def test_xyz_over_seeds(pair):
    need_adetailer(pair)
    by_hand = warm(
        pair.stock,
        **hires(hr_checkpoint_name=B, n_iter=2),
        **plot(pair.stock, "Seed", "1, 2, 3"),
        alwayson_scripts=adetailer(pair.stock, B),
    )
    got = warm(
        pair.ours,
        **hires(n_iter=2),
        **plot(pair.ours, "Seed", "1, 2, 3"),
        alwayson_scripts={**adetailer(pair.ours), **multipass(True, B)},
    )
    state = pair.ours.client.probe()
    assert len(got.pictures) == 4  # the grid and three cells
    assert got.same_as(by_hand)
    assert (state["reads"], state["builds"], state["empty"]) == ([], [], [])
    assert sorted(state["loaded"]) == [A, B]


def test_xyz_over_base_checkpoints(pair):
    """Cells with another base checkpoint than the selected one; the base of one cell is the second of another."""
    text = {"use_text_inputs_instead_of_dropdowns": True}
    axis = f"{A}.safetensors, {B}.safetensors, {C}.safetensors"
    by_hand = warm(pair.stock, **hires(hr_checkpoint_name=B), **plot(pair.stock, "Checkpoint name", axis, **text))
    got = warm(
        pair.ours, **hires(), **plot(pair.ours, "Checkpoint name", axis, **text), alwayson_scripts=multipass(True, B)
    )
    assert len(got.pictures) == 4
    assert got.same_as(by_hand)
    assert pair.ours.client.probe()["empty"] == []
    after = pair.ours.client.txt2img()
    assert after.same_as(warm(pair.stock))


def test_xyz_with_a_wrong_name_says_so(pair):
    pair.ours.client.probe()
    with pytest.raises(RefusedError) as caught:
        pair.ours.client.txt2img(
            **hires(), **plot(pair.ours, "Seed", "1, 2"), alwayson_scripts=multipass(True, "alpah")
        )
    assert caught.value.status == 422
    assert "'alpah'" in caught.value.detail
    state = pair.ours.client.probe()
    assert state["options"] == []
    assert pair.ours.client.txt2img().same_as(warm(pair.stock))


def test_prompts_from_file(pair):
    lines = '--prompt "a red house" --seed 3\na dog\n--prompt "rain" --cfg_scale 3'
    name = "Prompts from file or textbox"
    field = "list_of_prompt_inputs"
    by_hand = warm(
        pair.stock, **hires("Lanczos", hr_checkpoint_name=B), **script_args(pair.stock, name, **{field: lines})
    )
    got = warm(
        pair.ours,
        **hires("Lanczos"),
        **script_args(pair.ours, name, **{field: lines}),
        alwayson_scripts=multipass(True, B),
    )
    assert len(got.pictures) == 3
    assert got.same_as(by_hand)
    assert pair.ours.client.probe()["reads"] == []


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_upscale_button(pair, upscaler):
    upscaler = pair.stock.webui.kind.fitted({"hr_upscaler": upscaler}, by_hand=True)["hr_upscaler"]
    first = warm(pair.stock)
    page = {
        **{"prompt": "a cat, sunny", "negative_prompt": "rain", "prompt_styles": [], "n_iter": 1, "batch_size": 1},
        **{"cfg_scale": 5, "height": 64, "width": 64, "enable_hr": False, "denoising_strength": 0.6, "steps": 4},
        **{"hr_scale": 2, "hr_upscaler": upscaler, "hr_second_pass_steps": 3, "hr_resize_x": 0, "hr_resize_y": 0},
        **{"hr_sampler_name": "Use same sampler", "hr_scheduler": "Use same scheduler", "hr_prompt": ""},
        **{"hr_cfg": 5, "hr_additional_modules": ["Use same choices"]},  # the forks'
        **{"distilled_cfg_scale": 3, "hr_distilled_cfg": 3},  # Forge Neo's
        **{"hr_negative_prompt": "", "override_settings_texts": [], "sampler_name": "Euler"},
    }
    geninfo = json.dumps({"infotexts": first.infotexts})

    def press(server, checkpoint, scripts):
        body = {"image": first.encoded[0], "geninfo": geninfo, "scripts": scripts}
        return server.client.post("/probe/upscale", {**body, "values": {**page, "hr_checkpoint_name": checkpoint}})

    try:
        press(pair.stock, B, {})
    except RefusedError as error:
        if "txt2img_create_processing" in str(error):
            pytest.skip("this webui has no ✨ button; it came with 1.8.0")
        raise
    by_hand = press(pair.stock, B, {})
    plain = press(pair.stock, "Use same checkpoint", {})
    warm(pair.ours)  # as who has a picture to press the button on; Forge Neo loads no checkpoint for it
    press(pair.ours, "Use same checkpoint", {"Multipass": [True, B]})
    pair.ours.client.probe()
    got = press(pair.ours, "Use same checkpoint", {"Multipass": [True, B]})
    assert got == by_hand
    assert got != plain
    assert pair.ours.client.probe()["reads"] == []


def test_refiner_is_counted(pair):
    refiner = {"refiner_checkpoint": f"{C}.safetensors", "refiner_switch_at": 0.5}
    by_hand = warm(pair.stock, **hires(hr_checkpoint_name=B, n_iter=2), **refiner)
    got = warm(pair.ours, **hires(n_iter=2), **refiner, alwayson_scripts=multipass(True, B))
    state = pair.ours.client.probe()
    refines = pair.ours.webui.kind.refines_hires_jobs
    assert got.same_as(by_hand)
    assert state["reads"] == []
    assert sorted(state["loaded"]) == ([A, B, C] if refines else [A, B])
    assert (f"The refiner {C} has no part in this picture" in "\n".join(state["comments"])) is not refines
