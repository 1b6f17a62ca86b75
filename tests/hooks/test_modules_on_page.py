"""The panel where VAEs are modules: the second pass's are a multiple choice, as the webui's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest

from lib_multipass.plan import args
from lib_multipass.plan.args import SAME_MODULES, PassArgs
from lib_multipass.plan.second_pass import second_pass
from support.jobs import B

OURS = "customscript/multipass.py/txt2img/Second-pass VAE/value"
MODULES = ["other.safetensors", "clip_l.safetensors"]
START = "a cat\nNegative prompt: rain\nSteps: 4, Sampler: Euler, CFG scale: 5, Seed: 7, Size: 64x64"


@pytest.fixture(scope="module")
def usual_page(host) -> Iterator[None]:
    """At the end the page is as usual, whose values later jobs begin with."""
    yield
    host.ui.create_ui()


@pytest.fixture
def build(host, usual_page, monkeypatch, tmp_path) -> Iterator[Callable[..., gr.Dropdown]]:
    """Builds the page with this saved default, where these are modules; the control."""
    from lib_multipass.webui import host as door

    kept = tmp_path / "ui-config.json"

    def do(saved: Any = None) -> gr.Dropdown:
        kept.write_text("{}" if saved is None else json.dumps({OURS: saved}), encoding="utf-8")
        host.scripts.scripts_txt2img.infotext_fields = []  # of pages that were built before
        host.ui.create_ui()
        return dict(zip(args.FIELDS, host.script().controls, strict=True))["vae"]

    with monkeypatch.context() as patch:
        patch.setattr(door.vaes, "module_names", lambda: MODULES)
        patch.setattr(host.shared.cmd_opts, "ui_config_file", str(kept))
        yield do


def test_it_offers_all_modules_and_begins_with_the_first_passs(build):
    control = build()
    assert (control.multiselect, control.value) == (True, [SAME_MODULES])
    assert control.choices == [SAME_MODULES, "clip_l.safetensors", "other.safetensors"]
    assert PassArgs.parse([True, B, None, control.value]) == PassArgs(True, B)


@pytest.mark.parametrize("saved", [[], ["clip_l.safetensors"], [SAME_MODULES, "other.safetensors"]])
def test_what_was_saved_is_there(build, saved):
    assert build(saved).value == saved


def test_a_saved_one_that_is_gone_stays_and_the_line_says_so(build):
    from lib_multipass.page import planline

    control = build(["clip_l.safetensors", "gone.gguf"])
    assert control.value == ["clip_l.safetensors", "gone.gguf"]
    assert "gone.gguf" in control.choices
    values = {"enabled": True, "checkpoint": B, "vae": control.value}
    line = planline._html({}, [values.get(name, args.default(name)) for name in args.FIELDS], [])
    assert 'data-missing="vae"' in line
    assert "there is no VAE or text encoder" in line


@pytest.mark.parametrize("saved", ["Use same VAE", "gone", {"a": 1}])
def test_what_is_no_list_is_left_to_the_webui(build, saved):
    control = build(saved)
    assert control.value == [SAME_MODULES]
    assert control.choices == [SAME_MODULES, "clip_l.safetensors", "other.safetensors"]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        (None, [SAME_MODULES]),
        ("other", [SAME_MODULES, "other.safetensors"]),
        ("Automatic", ["Automatic"]),
        ('["clip_l"]', ["clip_l.safetensors"]),
        (r'"[\"clip_l\", \"other\"]"', ["clip_l.safetensors", "other.safetensors"]),
        ("[]", []),
        ('["gone"]', ["gone"]),
    ],
)
def test_an_infotext_sets_it(host, build, entry, value):
    build()
    text = f"{START}, Multipass checkpoint: {B}" + (f", Multipass VAE: {entry}" if entry else "")
    params = host.infotext_utils.parse_generation_parameters(text)
    for component, key in host.infotext_utils.paste_fields["txt2img"]["fields"]:
        if component.elem_id == "script_multipass_vae":
            given = host.infotext_utils._pasted(component, key, params)
    assert given["value"] == value
    assert {*value} <= {*given["choices"]}


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [(None, []), ([], []), (["Other.ckpt"], ["other.safetensors"]), ([SAME_MODULES], [SAME_MODULES]), (["x"], ["x"])],
)
def test_refresh_keeps_what_is_chosen(build, chosen, shown):
    from lib_multipass.page import choices

    (update,) = choices.refresh({"vae": build()}, chosen)
    assert update["value"] == shown
    assert {*shown} <= {*update["choices"]}


@pytest.mark.parametrize(
    ("chosen", "changed"), [([SAME_MODULES], ""), ([], "Second-pass VAE"), (["other.safetensors"], "Second-pass VAE")]
)
def test_the_folded_row_says_whether_it_is_changed(build, chosen, changed):
    from lib_multipass.page import planline

    build()
    values = {"enabled": True, "checkpoint": B, "vae": chosen}
    line = planline._html({}, [values.get(name, args.default(name)) for name in args.FIELDS], [])
    assert f'data-changed="{changed}"' in line


def test_a_text_on_the_page_means_what_it_means_in_a_request(build):
    from lib_multipass.page.choices import value_of

    build()
    for text in ("Use same VAE", "Automatic", "None", "other.safetensors"):
        given = PassArgs.parse([{"vae": value_of("vae", text)}])
        assert second_pass(given, MODULES[:1], MODULES) == second_pass(PassArgs(vae=text), MODULES[:1], MODULES)


@pytest.mark.parametrize(("pairs", "first"), [(True, ""), (False, None)])
def test_nothing_is_chosen_at_first(host, monkeypatch, pairs, first):
    """A dropdown of gradio 4 that has nothing chosen takes the first one that it offers."""
    from lib_multipass.page import choices

    monkeypatch.setattr(choices, "IS_GRADIO_4", pairs)
    offered = choices.OFFERED["checkpoint"]()
    assert (offered[0] == "") == (first == "")
    assert [name for name in offered if name] == host.sd_models.checkpoint_tiles(False)


@pytest.mark.parametrize("modules", [True, False])
def test_forge_neos_own_dropdowns_ask_for_a_plan(host, monkeypatch, modules):
    """They change settings without a word to the page's script."""
    from lib_multipass.page import planline
    from lib_multipass.webui import host as door

    monkeypatch.setattr(door.vaes, "module_names", lambda: MODULES if modules else None)
    with gr.Blocks() as page:
        for elem_id in (*planline.AT_THE_TOP, "another"):
            gr.Dropdown(["alpha"], elem_id=elem_id)
    gr.Dropdown(["alpha"], elem_id=planline.AT_THE_TOP[0])  # as the webui does for an update
    told = [dependency["js"] for dependency in page.dependencies]
    assert told == [planline.SELECTED] * (2 if modules else 0)


def test_what_is_exchanged_is_offered(host, monkeypatch):
    """A dropdown of gradio 4 shows nothing else; a file has another title once the webui has its hash."""
    from lib_multipass.page import choices, exchange

    monkeypatch.setitem(choices.OFFERED, "checkpoint", lambda: ["by another title"])
    shown, selected = exchange._swap(B)
    assert shown["value"].startswith("alpha")
    assert shown["choices"] == ["by another title", shown["value"]]
    assert selected.startswith(B)


THEIRS = ["other.safetensors"]


def test_what_neos_own_field_chooses_is_the_second_passs(host, monkeypatch):
    from lib_multipass.page import planline
    from lib_multipass.state import running
    from lib_multipass.webui import host as door

    monkeypatch.setattr(door.vaes, "module_names", lambda: MODULES)
    p = host.job(True, B)
    p.hr_additional_modules = THEIRS
    p.scripts.before_process(p)
    own = running.job.plan.roles.own
    running.job.end()
    assert own.modules == tuple(THEIRS)
    assert p.extra_generation_params["Multipass VAE"] == json.dumps(THEIRS)
    ours = [{"enabled": True, "checkpoint": B}.get(name, args.default(name)) for name in args.FIELDS]
    request = planline._request({planline.OF_THE_PASSES["hr_vae_te"]: THEIRS}, ours, [])
    assert request.page == {"hr_additional_modules": THEIRS}
    wanted = []
    monkeypatch.setattr(door.gathering, "of_request", lambda _request, roles, _faces: wanted.append(roles) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        planline.plan_of(request)
    assert wanted[0].own == own
