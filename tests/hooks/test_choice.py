"""Which family serves, over tables of names: each single one missing."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest


@pytest.fixture
def serving(host, monkeypatch):
    """What is chosen in a webui that has these names alone."""
    from lib_multipass import choice
    from lib_multipass.webui.a1111 import features

    def serving(names: set[str]) -> tuple[str | None, str]:
        monkeypatch.setattr(features, "has", names.__contains__)
        return choice.serving()

    serving.neo = {choice.RELOAD, *choice.NEO}
    serving.a1111 = {features.LIST, features.HIRES_CHECKPOINT, *features.NEEDED}
    return serving


def test_each_family_serves_its_own_webui(serving):
    assert serving(serving.a1111) == ("a1111", "")
    assert serving(serving.neo) == ("forge", "")


@pytest.mark.parametrize("family", ["a1111", "neo"])
def test_whatever_is_missing_is_named(serving, family):
    names = getattr(serving, family)
    for missing in sorted(names - {"modules.sd_models.forge_model_reload"}):
        name, reason = serving(names - {missing})
        assert name is None, missing
        assert reason.startswith("Multipass is off: "), missing
        assert missing.rpartition(".")[2] in reason


def test_the_older_forge_is_told_from_forge_neo(serving):
    """Its ``dynamic_args`` are a dict."""
    name, reason = serving({one for one in serving.neo if not one.startswith("backend.args.dynamic_args.")})
    assert name is None
    assert reason == (
        "Multipass is off: this webui loads its checkpoints with forge_model_reload, but lacks "
        "backend.args.dynamic_args.reset, as the older Forge does, so it is none of those that Multipass works in: "
        "WebUI 1.6.0 to 1.10.1, reForge and Forge Neo."
    )


@pytest.mark.parametrize("error", [ImportError, AttributeError, RuntimeError])
def test_a_module_that_cannot_be_imported_is_a_lack(host, monkeypatch, tmp_path, error):
    from lib_multipass.webui.a1111 import features

    (tmp_path / "torn_apart.py").write_text(f"raise {error.__name__}('torn')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert not features.has("torn_apart.something")


def test_a_family_that_cannot_start_is_off_with_its_reason(host, monkeypatch):
    from lib_multipass import choice, start
    from lib_multipass.page import off

    told, installed = [], []
    monkeypatch.setattr(choice, "serving", lambda: ("nowhere", ""))
    monkeypatch.setattr(start.host, "open", lambda family: installed.append(family.__name__))
    monkeypatch.setattr(off, "because", told.append)
    monkeypatch.setitem(vars(start.host), "slots", ModuleType("slots"))
    monkeypatch.setattr(start.host.slots, "install", lambda *given: installed.append(given[0]), raising=False)
    assert start.start("ours") == (off, off)
    assert installed == ["lib_multipass.webui.none.family", "ours"]
    assert told == [
        "Multipass is off: this webui lacks something (No module named 'lib_multipass.webui.nowhere'), so it is none "
        "of those that Multipass works in: WebUI 1.6.0 to 1.10.1, reForge and Forge Neo."
    ]
    assert "lib_multipass.webui.nowhere.family" not in sys.modules
