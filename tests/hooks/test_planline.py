"""The panel's plan line, called as the page calls it."""

from __future__ import annotations

import pytest

from support.jobs import A, B, C


def line_of(host, **values):
    """The line for the page's default values but for these, through the event that the page would send."""
    from lib_multipass.page import planline
    from lib_multipass.plan import args

    ours = [values.pop(name, args.default(name)) for name in args.FIELDS]
    return planline._html(values, ours, values.pop("faces", []))


def test_nothing_while_off(host):
    assert line_of(host, enabled=False, checkpoint=B) == ""


def test_what_is_to_be_chosen_first(host):
    text = line_of(host, enabled=True)
    assert '<p class="multipass-spoken">Choose the checkpoint for the second pass.</p>' in text
    assert "warning" not in text


def test_the_line_says_what_will_happen(host):
    host.run(host.job())
    text = line_of(host, enabled=True, checkpoint=B, enable_hr=True, width=512, height=512)
    assert text.startswith('<div data-changed="" data-missing="">')
    assert f'<p class="multipass-spoken">1 {A} · unknown · ' in text
    assert f"→ 2 {B} · " in text
    assert "2 checkpoints stay in RAM" in text
    assert "warning" not in text


def test_what_is_wrong_stands_there_too(host):
    assert "Hires. fix is off" in line_of(host, enabled=True, checkpoint=B)
    text = line_of(host, enabled=True, checkpoint="<img src=x onerror=alert(1)>")
    assert "there is no checkpoint" in text
    assert "<img" not in text


def test_every_file_that_is_not_there_is_told_once(host):
    text = line_of(host, enabled=True, checkpoint="nowhere", adetailer="never", vae="lost.pt", enable_hr=True)
    for sentence in ("there is no checkpoint &#x27;nowhere", "there is no checkpoint &#x27;never", "there is no VAE"):
        assert text.count(sentence) == 1


def test_without_a_plan_the_drawing_has_its_place(host):
    """So that the page does not jump when there is one."""
    for values in ({}, {"checkpoint": "nowhere"}, {"checkpoint": B}):
        text = line_of(host, enabled=True, enable_hr=True, **values)
        assert text.count('class="multipass-bar"') == text.count('class="multipass-legend"') == 1
        assert text.count('class="multipass-chip') == 2
        assert text.index("multipass-legend") < text.index("<p")


def test_what_stands_folded_and_is_changed_is_named(host):
    text = line_of(host, enabled=True, checkpoint=B, vae="None", cfg_scale=4.0, adetailer="Same as first pass")
    assert 'data-changed="Second-pass VAE, Second-pass CFG scale"' in text


@pytest.mark.parametrize(("name", "field"), [("checkpoint", "checkpoint"), ("adetailer", "adetailer"), ("vae", "vae")])
def test_the_field_with_a_missing_file_is_named(host, name, field):
    assert f'data-missing="{field}"' in line_of(host, **{"enabled": True, "checkpoint": B, name: "nowhere"})


def test_an_override_of_the_checkpoint_counts(host):
    text = line_of(host, enabled=True, checkpoint=B, enable_hr=True, override_settings=[f"Model hash: {C}"])
    assert f'<p class="multipass-spoken">1 {C} · ' in text


def test_a_refiner_counts_while_it_is_ticked(host):
    values = {"refiner_checkpoint": C, "refiner_switch_at": 0.8}
    assert f"refiner: {C}" in line_of(host, enabled=True, checkpoint=B, refiner=True, **values)
    assert "refiner" not in line_of(host, enabled=True, checkpoint=B, refiner=False, **values)


def test_empty_fields_of_the_page_count_as_not_there(host):
    assert f"→ 2 {B}" in line_of(host, enabled=True, checkpoint=B, width=None, hr_scale=None, override_settings=None)


def test_one_event_asks_and_every_component_tells_of_its_changes(host):
    from lib_multipass.page import planline
    from lib_multipass.plan import args

    demo = host.ui.create_ui()
    asking = [event for event in demo.dependencies if event["outputs"][:1] == _ids(demo, "script_multipass_plan")]
    refiner = {name for name in planline.WATCHED.values() if name.startswith("refiner")}  # the miniature has none
    styles = {"txt2img_styles", "hr_vae_te"}  # nor these
    watched = len(planline._NAMES) - len(refiner) - len(styles) + 1  # the checkpoint of a pasted picture
    assert [len(event["inputs"]) for event in asking] == [watched + len(args.FIELDS) + _faces(host)]
    telling = [event for event in demo.dependencies if event["js"] == planline.CHANGED]
    tabs = _faces(host) - 2
    assert len(telling) == watched + len(args.FIELDS) + 1 + 4 * tabs - tabs  # its ADetailer has no tick per tab
    assert not any(event["backend_fn"] for event in telling)


def test_components_of_an_earlier_page_are_left_alone(host):
    """ADetailer may have had more tabs then; a page numbers its components from 0, so a number does not tell."""
    import gradio as gr

    from lib_multipass.page import planline

    def telling():
        return sum(event["js"] == planline.CHANGED for event in host.ui.create_ui().dependencies)

    before = telling()
    planline._seen["script_txt2img_adetailer_ad_model_9th"] = gr.Textbox()
    assert telling() == before


def test_a_file_that_the_job_would_refuse_is_refused_here_too(host, monkeypatch):
    from lib_multipass.memory.headers import LORA, Facts
    from lib_multipass.webui.a1111 import files

    monkeypatch.setattr(files, "facts_of", lambda checkpoint: Facts(1, kind=LORA))
    assert "is no checkpoint but a LoRA" in line_of(host, enabled=True, checkpoint=B, enable_hr=True)


def _faces(host):
    detailer = host.script("ADetailer")
    return detailer.args_to - detailer.args_from


def _ids(demo, elem_id):
    return [number for number, block in demo.blocks.items() if getattr(block, "elem_id", None) == elem_id]


@pytest.fixture
def second_is_sdxl(host, monkeypatch):
    from lib_multipass.memory.headers import Facts
    from lib_multipass.webui.a1111 import files

    made = {A: Facts(1, "SD 1.x"), B: Facts(1, "SDXL"), C: Facts(1, "SDXL")}
    monkeypatch.setattr(files, "facts_of", lambda checkpoint: made[checkpoint.name_for_extra])


def test_a_fixed_vae_of_another_latent_space_is_told(host, second_is_sdxl, monkeypatch):
    values = {"enabled": True, "checkpoint": B, "enable_hr": True, "hr_upscaler": "Lanczos"}
    assert "warning" not in line_of(host, **values)
    monkeypatch.setitem(host.shared.opts.data, "sd_vae", next(iter(host.sd_vae.vae_dict)))
    assert f"will not be put on {B}, which has another latent space" in line_of(host, **values)
    assert "warning" not in line_of(host, **values, vae="Automatic")


def test_a_refiner_that_cannot_go_on_is_told(host, second_is_sdxl):
    values = {"enabled": True, "checkpoint": B, "enable_hr": True, "hr_upscaler": "Lanczos"}
    refiner = {"refiner": True, "refiner_checkpoint": A, "refiner_switch_at": 0.8}
    assert "warning" in line_of(host, **values, **refiner)
    assert "takes over from" in line_of(host, **values, **{**refiner, "refiner_checkpoint": C})


def test_a_checkpoint_for_an_adetailer_that_is_off(host):
    values = {"enabled": True, "checkpoint": B, "enable_hr": True, "adetailer": C}
    assert "No ADetailer tab is on" in line_of(host, **values)
    assert "No ADetailer" not in line_of(host, **values, faces=[True, False, {"ad_model": "face_yolov8n.pt"}])
    assert "No ADetailer" not in line_of(host, **{**values, "adetailer": "Same as second pass"})


def test_the_first_checkpoint_of_a_pasted_picture_is_offered_while_another_is_selected(host):
    values = {"enabled": True, "checkpoint": C, "enable_hr": True}
    text = line_of(host, **values, pasted_base=B)
    title = host.sd_models.checkpoint_aliases[B].title
    assert f"was made with {B}, not with {A}, which is selected." in text
    assert f'<button type="button" data-select="{title}">Select {B}</button>' in text
    assert "pasted" not in line_of(host, **values, pasted_base=A)
    assert "pasted" not in line_of(host, **values, pasted_base="")
    assert f"was made with {B}" in line_of(host, enabled=True, pasted_base=B)  # whatever else is said


def test_a_first_checkpoint_that_is_not_here_is_told_without_an_offer(host):
    text = line_of(host, enabled=True, checkpoint=C, pasted_base="<b onclick=alert(1)>")
    assert "which is not here" in text
    assert "<button" not in text
    assert "<b " not in text


@pytest.mark.parametrize("gives_none", [False, True], ids=["raises", "gives none"])
def test_a_webui_without_checkpoints_is_told_so(host, gives_none, monkeypatch):
    monkeypatch.setattr(host.sd_models, "checkpoints_list", {})
    monkeypatch.setattr(host.sd_models, "checkpoint_aliases", {})
    if gives_none:  # as in Forge Neo
        monkeypatch.setattr(host.sd_models, "select_checkpoint", lambda: None)
    assert "Choose the checkpoint" in line_of(host, enabled=True, enable_hr=True)
    text = line_of(host, enabled=True, enable_hr=True, checkpoint=B, pasted_base=B)
    assert "The webui has no checkpoints at all; put one into its folder" in text
    assert "which is not here" in text


def test_nothing_is_offered_where_the_settings_are_frozen(host, monkeypatch):
    monkeypatch.setattr(host.shared.cmd_opts, "freeze_settings", True)
    text = line_of(host, enabled=True, checkpoint=C, enable_hr=True, pasted_base=B)
    assert f"was made with {B}, not with {A}" in text
    assert "<button" not in text


@pytest.fixture
def asked(host, monkeypatch):
    """What the page is answered: its line, and what it tells of the last job."""
    from lib_multipass.state import kept

    monkeypatch.setattr(kept, "last", None)
    demo = host.ui.create_ui()
    ids = _ids(demo, "script_multipass_plan") + _ids(demo, "script_multipass_last")
    (number,) = [number for number, event in enumerate(demo.dependencies) if event["outputs"] == ids]
    values = [demo.blocks[known].value for known in demo.dependencies[number]["inputs"]]
    return lambda: demo.fns[number].fn(*values)[1]


def test_the_last_job_is_told_with_the_plan(host, asked):
    assert (asked()["value"], asked()["visible"]) == ("", False)
    host.run(host.job(True, B, enable_hr=True))
    told = asked()
    assert told["visible"] is True
    assert "<summary>Last job: " in told["value"]
    for what, name in (("First pass", A), ("Second pass", B), ("Swap", B)):
        assert f'<th scope="row">{what}</th><td>{name}</td><td>' in told["value"]
    host.run(host.job())
    assert asked() == told  # a job without Multipass tells nothing
