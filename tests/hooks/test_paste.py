"""What a paste does to the page: the webui's own parser and fields, and what our functions hand them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lib_multipass.plan import args
from support.jobs import A, B

START = "a cat\nNegative prompt: rain\nSteps: 4, Sampler: Euler, CFG scale: 5, Seed: 7, Size: 64x64"


@pytest.fixture
def paste(host, monkeypatch):
    """Pastes these entries, as a button of the page does; what each component of the page is given, by its id."""
    monkeypatch.setattr(host.scripts.scripts_txt2img, "infotext_fields", [])  # of pages that were built before
    host.ui.create_ui()
    fields = host.infotext_utils.paste_fields["txt2img"]["fields"]

    def do(**entries: str) -> dict:
        text = ", ".join([START, *(f"{key.replace('_', ' ')}: {value}" for key, value in entries.items())])
        params = host.infotext_utils.parse_generation_parameters(text)
        updates = {}
        for component, key in fields:
            update = host.infotext_utils._pasted(component, key, params)
            updates.setdefault(component.elem_id, {}).update(update)
        return updates

    return do


def ours(updates: dict) -> dict:
    """The values of our controls, by the names of the fields."""
    found = {name: updates.get(f"script_multipass_{name}", {}).get("value") for name in args.FIELDS}
    found["enabled"] = updates["script_multipass_enabled-checkbox"]["value"]
    return {name: value for name, value in found.items() if value is not None}


def title_of(host, name):
    return host.sd_models.checkpoint_aliases[name].title


def test_our_keys_tick_the_panel_and_set_its_controls(host, paste):
    updates = paste(Multipass_checkpoint=B, Multipass_CFG_scale="3.5", Multipass_clip_skip="2", Multipass_ADetailer=A)
    assert ours(updates) == {
        "enabled": True,
        "checkpoint": title_of(host, B),
        "adetailer": title_of(host, A),
        "vae": args.SAME_VAE,
        "cfg_scale": 3.5,
        "clip_skip": 2,
        "adetailer_follows": True,
    }
    assert updates["script_multipass_checkpoint"]["choices"] == host.sd_models.checkpoint_tiles()
    assert updates["script_multipass_pasted"] == {"__type__": "generic_update", "value": "", "visible": False}


def test_no_keys_untick_it_and_leave_the_webuis_own_hires_checkpoint(paste):
    updates = paste(Hires_checkpoint=B)
    assert ours(updates)["enabled"] is False
    assert ours(updates)["checkpoint"] == ""
    assert updates["hr_checkpoint"]["value"] == B
    assert updates["script_multipass_pasted"]["visible"] is False


def test_the_webuis_own_hires_checkpoint_is_not_left_where_ours_governs(paste):
    assert paste(Hires_checkpoint=B, Multipass_checkpoint=B)["hr_checkpoint"]["value"] == "Use same checkpoint"


@pytest.mark.parametrize(
    ("elem_id", "entries", "given"),
    [
        ("txt2img_hr_cfg", {"Multipass checkpoint": B, "Multipass CFG scale": "9"}, 0.0),
        ("txt2img_hr_cfg", {"Multipass checkpoint": B}, None),
        ("txt2img_hr_cfg", {"Multipass CFG scale": "9"}, None),
        ("txt2img_hr_cfg", {}, None),
        ("hr_vae_te", {"Multipass checkpoint": B, "Multipass VAE": "other"}, ["Use same choices"]),
        ("hr_vae_te", {"Multipass checkpoint": B, "Multipass VAE": "[]"}, ["Use same choices"]),
        ("hr_vae_te", {"Multipass checkpoint": B}, None),
        ("hr_vae_te", {"Multipass VAE": "other"}, None),
    ],
)
def test_a_field_of_the_webuis_own_is_not_left_where_ours_says_it(host, monkeypatch, elem_id, entries, given):
    """As reForge and Forge Neo have: what is pasted into one would hold as soon as ours is as in the first pass."""
    from lib_multipass.page import paste

    monkeypatch.setattr(paste, "_own", {})
    theirs = SimpleNamespace(value=0.0)
    paste.remember(theirs, elem_id)
    made = dict.fromkeys((*paste.read({}).values, "checkpoint"))
    fields = paste.Paste(lambda name: name).fields(made, {})
    (value,) = [value for component, value in fields if component is theirs]
    assert value({**entries, "Hires CFG Scale": "9.0", "Hires VAE/TE": ["other"]}) == given


def test_a_request_with_an_infotext_reads_our_updates_with_either_gradio(host, monkeypatch):
    """The webui's API knows an update by what gradio 3 calls it (``Api.apply_infotext``), in Forge Neo too."""
    from lib_multipass.page import paste

    monkeypatch.setattr(paste.gr, "update", lambda **values: {**values, "__type__": "update"})  # as in gradio 4
    value = paste._setting("checkpoint", lambda: [])({"Multipass checkpoint": B})
    assert (value["value"], value["__type__"]) == (title_of(host, B), "generic_update")


def test_the_short_names_of_the_users_dropdown_are_taken(host, paste, monkeypatch):
    monkeypatch.setitem(host.shared.opts.data, "sd_checkpoint_dropdown_use_short", True)
    updates = paste(Multipass_checkpoint=B)
    assert ours(updates)["checkpoint"] == host.sd_models.checkpoint_aliases[B].short_title
    assert updates["script_multipass_checkpoint"]["choices"] == host.sd_models.checkpoint_tiles(use_short=True)


def test_what_is_not_here_stays_visible_and_is_told(paste, capsys):
    updates = paste(Multipass_checkpoint="<b>.safetensors [0123456789]", Multipass_third_pass="yes")
    assert ours(updates)["checkpoint"] == "<b>.safetensors [0123456789]"
    assert updates["script_multipass_checkpoint"]["choices"][-1] == "<b>.safetensors [0123456789]"
    note = updates["script_multipass_pasted"]
    assert note["visible"] is True
    assert "there is no checkpoint" not in note["value"]  # the plan line says it, as long as it is so
    assert "Multipass third pass: yes" in note["value"]
    assert capsys.readouterr().err.count("[Multipass] pasted: ") == 2  # once for the paste, not for each control


def test_the_first_passes_checkpoint_is_kept_for_the_plan_line(paste):
    assert base_after(paste(Multipass_checkpoint=A, Model=B)) == B
    assert base_after(paste(Multipass_checkpoint=A, Model=B, Model_hash="0123456789")) == f"{B} [0123456789]"


def base_after(updates: dict) -> str:
    """What the plan line compares the selected checkpoint with."""
    return updates["script_multipass_pasted_base"]["value"]


def test_nothing_is_offered_for_a_picture_that_does_not_say(paste):
    assert base_after(paste(Multipass_checkpoint=B)) == ""


def test_nothing_is_offered_where_the_webui_restores_the_checkpoint_itself(host, paste, monkeypatch):
    monkeypatch.setitem(host.shared.opts.data, "disable_weights_auto_swap", False)
    assert base_after(paste(Multipass_checkpoint=A, Model=B)) == ""


def test_nothing_is_offered_for_a_picture_without_our_keys(paste):
    assert base_after(paste(Model=B)) == ""
