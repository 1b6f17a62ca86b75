"""Which family serves, over tables of names: each single one missing."""

from __future__ import annotations

import pytest


@pytest.fixture
def serving(host, monkeypatch):
    """What is chosen in a webui that has these names alone."""
    from lib_multipass import choice
    from lib_multipass.webui.a1111 import features

    def serving(names: set[str], switch: str = "1") -> tuple[str | None, str]:
        monkeypatch.setattr(features, "has", names.__contains__)
        monkeypatch.setenv(choice.SWITCH, switch)
        return choice.serving()

    serving.neo = {choice.RELOAD, *choice.NEO}
    serving.a1111 = {features.LIST, features.HIRES_CHECKPOINT, *features.NEEDED}
    return serving


def test_each_family_serves_its_own_webui(serving):
    assert serving(serving.a1111) == ("a1111", "")
    assert serving(serving.neo) == ("forge", "")


def test_forge_neo_is_off_without_the_switch(serving):
    name, reason = serving(serving.neo, "")
    assert name is None
    assert "Forge Neo" in reason
    assert "does not support it yet" in reason


@pytest.mark.parametrize("family", ["a1111", "neo"])
def test_whatever_is_missing_is_named(serving, family):
    names = getattr(serving, family)
    for missing in sorted(names - {"modules.sd_models.forge_model_reload"}):
        name, reason = serving(names - {missing})
        assert name is None, missing
        assert reason.startswith("Multipass is off: "), missing
        assert missing.rpartition(".")[2] in reason
