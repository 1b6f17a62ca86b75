"""Defaults that were saved on the Settings page, of dropdowns whose choices change their names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest

from lib_multipass.plan import args
from lib_multipass.plan.args import ADETAILER_MODES, SAME_VAE
from support.jobs import A, B

OURS = "customscript/multipass.py/txt2img"


@pytest.fixture(scope="module")
def hashed(host) -> Iterator[None]:
    """The hash of B is known; at the end the page is as usual, whose values later jobs begin with."""
    host.run(host.job(True, B))
    yield
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host.scripts.scripts_txt2img, "infotext_fields", [])
        host.ui.create_ui()


@pytest.fixture
def build(host, hashed, monkeypatch, tmp_path) -> Callable[..., dict[str, Any]]:
    """Builds the page with these saved defaults of ours, by the names of the settings; the panel's controls by name."""
    kept = tmp_path / "ui-config.json"
    monkeypatch.setattr(host.shared.cmd_opts, "ui_config_file", str(kept))
    monkeypatch.setattr(host.scripts.scripts_txt2img, "infotext_fields", [])

    def do(**saved: Any) -> dict[str, Any]:
        entries = {f"{OURS}/{args.label(name)}/value": value for name, value in saved.items()}
        kept.write_text(json.dumps(entries), encoding="utf-8")
        host.ui.create_ui()
        after = json.loads(kept.read_text(encoding="utf-8"))
        assert {key: after[key] for key, value in entries.items() if value is not None} == {
            key: value for key, value in entries.items() if value is not None
        }
        return dict(zip(args.FIELDS, host.script().controls, strict=True))

    return do


def title_of(host, name: str) -> str:
    return host.sd_models.checkpoint_aliases[name].title


def hash_of(host, name: str) -> str:
    return f"[{host.sd_models.checkpoint_aliases[name].shorthash}]"


SAVED = {
    "before the hash was known": lambda host: f"{B}.safetensors",
    "by the short title": lambda host: f"{B} {hash_of(host, B)}",
    "before it was renamed": lambda host: f"old name.safetensors {hash_of(host, B)}",
    "before it was moved": lambda host: f"folder/{B}.safetensors {hash_of(host, B)}",
    "before it was moved on Windows": lambda host: f"folder\\{B}.safetensors {hash_of(host, B)}",
    "as another kind of file": lambda host: f"{B}.ckpt",
    "by hand": lambda host: B.upper(),
}


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.parametrize("field", ["checkpoint", "adetailer"])
def test_a_checkpoint_is_found_under_its_new_name(host, build, field, name):
    saved = SAVED[name](host)
    assert saved != title_of(host, B)
    control = build(**{field: saved})[field]
    assert control.value == title_of(host, B)
    assert control.choices.count(control.value) == 1
    assert saved not in control.choices  # a file stands there once


def test_names_without_folders_and_with(host, build, monkeypatch):
    short = host.sd_models.checkpoint_aliases[B].short_title
    monkeypatch.setitem(host.shared.opts.data, "sd_checkpoint_dropdown_use_short", True)
    assert build(checkpoint=title_of(host, B))["checkpoint"].value == short != title_of(host, B)
    assert build(checkpoint=f"{B}.safetensors")["checkpoint"].value == short
    monkeypatch.setitem(host.shared.opts.data, "sd_checkpoint_dropdown_use_short", False)
    assert build(checkpoint=short)["checkpoint"].value == title_of(host, B)


@pytest.mark.parametrize("saved", ["Other", "other.ckpt", "folder/other.safetensors", "automatic"])
def test_a_vae_is_found_under_its_new_name(build, saved):
    control = build(vae=saved)["vae"]
    assert control.value == ("Automatic" if saved == "automatic" else "other.safetensors")
    assert saved not in control.choices


@pytest.mark.parametrize("field", ["checkpoint", "adetailer", "vae"])
@pytest.mark.parametrize("saved", ["gone.safetensors [0123456789]", "<b>", "x" * 5000, "a"])
def test_what_is_gone_stays_chosen_and_the_line_says_so(build, field, saved):
    """The last is a part of several names."""
    from lib_multipass.page import planline

    control = build(**{field: saved})[field]
    assert control.value == saved
    assert saved in control.choices
    values = {"enabled": True, "checkpoint": B, field: control.value}
    line = planline._html({}, [values.get(name, args.default(name)) for name in args.FIELDS], [])
    assert f'data-missing="{field}"' in line


@pytest.mark.parametrize("saved", [None, "", " ", 5, True, 1.5, ["beta.safetensors"], {"a": 1}])
def test_what_is_no_name_is_left_to_the_webui(build, saved):
    controls = build(checkpoint=saved, adetailer=saved, vae=saved)
    assert [controls[name].value for name in ("checkpoint", "adetailer", "vae")] == ["", ADETAILER_MODES[0], SAME_VAE]


def test_choices_that_are_offered_are_as_ever(host, build):
    controls = build(checkpoint=title_of(host, A), adetailer=ADETAILER_MODES[1], vae="None")
    assert [controls[name].value for name in ("checkpoint", "adetailer", "vae")] == [
        title_of(host, A),
        ADETAILER_MODES[1],
        "None",
    ]
    assert controls["checkpoint"].choices == host.sd_models.checkpoint_tiles()


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\ud800"])
def test_a_file_that_cannot_be_read_does_not_keep_the_page_from_being_built(host, monkeypatch, tmp_path, text):
    kept = tmp_path / "ui-config.json"
    kept.write_text(text, encoding="utf-8", errors="surrogatepass")
    monkeypatch.setattr(host.shared.cmd_opts, "ui_config_file", str(kept))
    monkeypatch.setattr(host.scripts.scripts_txt2img, "infotext_fields", [])
    host.ui.create_ui()
    assert [control.value for control in host.script().controls] == [args.default(name) for name in args.FIELDS]


def test_the_api_knows_nothing_of_it(host, build):
    """The webui builds the panel for its API once more, and describes it from before the defaults are there."""
    build(checkpoint="gone", adetailer=f"{B}.safetensors", vae="gone")
    described = host.script().api_info["args"]
    assert [one["value"] for one in described] == [args.default(name) for name in args.FIELDS]
    assert described[1]["choices"] == host.sd_models.checkpoint_tiles()
    with gr.Blocks():
        controls = host.script().ui(False)
    assert [control.value for control in controls] == [args.default(name) for name in args.FIELDS]
    assert controls[1].choices == host.sd_models.checkpoint_tiles()
