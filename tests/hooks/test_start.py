"""A start that fails midway, as in a fork that lacks what nobody has foreseen: only the refusal stays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from support.as_before import OURS, ours_in_the_webui
from support.jobs import B


def failing(function: Callable, at: int = 1) -> Callable:
    """It fails at this call of ours."""
    calls: list[Any] = []

    def called(*args: Any, **kwargs: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith(OURS):
            calls.append(args)
            if len(calls) == at:
                raise RuntimeError("unlike the others")
        return function(*args, **kwargs)

    return called


FAILING = {
    "the first wrapper": ("patches", "patch", 1),
    "a wrapper midway": ("patches", "patch", 6),
    "the server's start": ("script_callbacks", "on_app_started", 1),
    "the page's callback": ("script_callbacks", "on_before_ui", 1),
    "a loaded model's callback": ("script_callbacks", "on_model_loaded", 1),
    "the settings": ("shared", "options_section", 1),
}
"""What fails: a function of the webui, at a call."""


def methods(owner: type) -> dict[str, Any]:
    return {name: value for name, value in vars(owner).items() if callable(value)}


def ours_among_callbacks(host: Any) -> list[str]:
    every = host.script_callbacks.callback_map.items()
    return [kind for kind, calls in every for one in calls if one.callback.__module__.startswith(OURS)]


@pytest.fixture
def plain(host: Any) -> bytes:
    """A plain job's picture."""
    return host.run(host.job()).images[0].tobytes()


@pytest.fixture
def without_settings(host: Any) -> None:
    """None of ours are there yet, as at the webui's first start."""
    settings = host.shared.options_templates
    for setting in [setting for setting in settings if setting.startswith("multipass")]:
        del settings[setting]


@pytest.fixture(params=FAILING)
def failed(request: pytest.FixtureRequest, host: Any, plain: bytes, capsys: pytest.CaptureFixture) -> Any:
    """A webui in which the start fails; what fits its other extensions is as it was."""
    module, name, at = FAILING[request.param]
    host.script_callbacks.script_unloaded_callback()
    untouched = methods(host.processing.StableDiffusionProcessingTxt2Img)
    with pytest.MonkeyPatch.context() as monkeypatch:
        owner = getattr(host, module)
        monkeypatch.setattr(owner, name, failing(getattr(owner, name), at))
        host.initialize.initialize_rest(reload_script_modules=True)
    host.build_page()
    host.start_app()
    said = capsys.readouterr()
    assert "could not be loaded" not in said.out + said.err
    yield host
    host.script_callbacks.script_unloaded_callback()
    assert methods(host.processing.StableDiffusionProcessingTxt2Img) == untouched
    host.initialize.initialize_rest(reload_script_modules=True)
    host.build_page()
    host.start_app()
    assert host.run(host.job(True, B)).images[0].tobytes() != plain


def test_nothing_stays_but_the_refusal(without_settings: None, failed: Any, plain: bytes) -> None:
    from lib_multipass.job import refusal
    from lib_multipass.words import MultipassError

    assert set(ours_in_the_webui()) == {
        f"StableDiffusionProcessingTxt2Img.{wrapper.__name__}"
        for wrapper in (refusal.raising(len), refusal.telling(len))
    }
    assert ours_among_callbacks(failed) == ["callbacks_script_unloaded"]
    assert not [name for name in failed.shared.options_templates if name.startswith("multipass")]
    assert failed.run(failed.job()).images[0].tobytes() == plain
    with pytest.raises(MultipassError, match="unlike the others"):
        failed.run(failed.job(True, B))


def test_what_an_earlier_start_has_added_to_the_settings_can_be_shown(failed: Any) -> None:
    """The webui keeps it over Reload UI, and builds no page if one of them fails."""
    settings = failed.shared.options_templates
    asked = [info.component_args for name, info in settings.items() if name.startswith("multipass")]
    upscalers = [one.name for one in failed.shared.sd_upscalers if one.name != "None"]
    assert [ask() for ask in asked if callable(ask)] == [{"choices": upscalers}]


def test_other_extensions_callbacks_stay(host: Any) -> None:
    from lib_multipass.webui import host as door

    def ours(call: Callable) -> bool:
        return call.__module__.startswith(OURS)

    others = {
        kind: [one.callback for one in calls if not ours(one.callback)]
        for kind, calls in host.script_callbacks.callback_map.items()
    }
    assert any(others.values())
    door.slots.give_back()
    assert {
        kind: [one.callback for one in calls] for kind, calls in host.script_callbacks.callback_map.items()
    } == others
    host.reload_ui()


def test_what_comes_later_fails_alone(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The webui imports its API after the start; what it calls then may fail, and jobs go on as before."""
    host.script_callbacks.script_unloaded_callback()
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "modules.api.api")
        host.initialize.initialize_rest(reload_script_modules=True)
    before = ours_in_the_webui()
    assert "Api.init_script_args" not in before
    with monkeypatch.context() as patch:
        patch.setattr(host.patches, "patch", failing(host.patches.patch))
        with pytest.raises(RuntimeError, match="unlike the others"):
            host.start_app()
    assert ours_in_the_webui() == before
    host.reload_ui()
    assert ours_in_the_webui() == {**before, "Api.init_script_args": False}
