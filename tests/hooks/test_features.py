"""Webuis that Multipass cannot work in: it says so, refuses what it cannot do, and is in nobody's way."""

from __future__ import annotations

import copy
import sys
from contextlib import suppress

import gradio as gr
import pytest

from lib_multipass.plan.args import FIELDS
from support.jobs import B


def like_forge(host, monkeypatch):
    monkeypatch.setattr(host.sd_models, "forge_model_reload", lambda: None, raising=False)


def older(host, monkeypatch):
    for name in ("hr_checkpoint_name", "close"):  # the method of the class below closes it
        monkeypatch.delattr(host.processing.StableDiffusionProcessingTxt2Img, name)


def without_list(host, monkeypatch):
    """The miniature cannot do without the list itself, so only others do not find it."""

    class Hiding(host.sd_models.SdModelData):
        def __getattribute__(self, name):
            asker = sys._getframe(1).f_globals["__name__"]
            if name == "loaded_sd_models" and asker.partition(".")[0] not in ("modules", "mini", "support"):
                raise AttributeError(name)
            return super().__getattribute__(name)

    monkeypatch.setattr(host.sd_models.model_data, "__class__", Hiding)


def without_undo(host, monkeypatch):
    monkeypatch.delattr(host.patches, "undo")


def without_the_unforeseen(host, monkeypatch):
    """What is not asked for beforehand, and is missing when our module that needs it is imported."""
    from lib_multipass.webui import a1111

    monkeypatch.delattr(host.ui_common, "refresh_symbol")
    for name in ("ui", "family"):
        monkeypatch.delitem(sys.modules, f"{a1111.__name__}.{name}")
        monkeypatch.delattr(a1111, name)


LACKING = {
    like_forge: "forge_model_reload",
    older: "hr_checkpoint_name",
    without_list: "loaded_sd_models",
    without_undo: "modules.patches.undo",
    without_the_unforeseen: "refresh_symbol",
}


@pytest.fixture
def plain(host):
    """A plain job's picture while everything works."""
    return host.run(host.job()).images[0].tobytes()


def methods(owner) -> dict:
    """Those that the class itself has."""
    return {name: value for name, value in vars(owner).items() if callable(value)}


@pytest.fixture(params=LACKING, ids=lambda change: change.__name__)
def lacking(request, host, plain, capsys):
    """A webui that lacks something after Reload UI; the word that names it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        host.script_callbacks.script_unloaded_callback()
        request.param(host, monkeypatch)
        untouched = methods(host.processing.StableDiffusionProcessingTxt2Img)
        host.initialize.initialize_rest(reload_script_modules=True)
        host.build_page()
        said = capsys.readouterr()
        assert "could not be loaded" not in said.out + said.err
        assert "failed in" not in said.out + said.err
        yield LACKING[request.param]
        host.script_callbacks.script_unloaded_callback()
        assert methods(host.processing.StableDiffusionProcessingTxt2Img) == untouched
    host.initialize.initialize_rest(reload_script_modules=True)
    host.build_page()
    assert host.run(host.job(True, B)).images[0].tobytes() != plain


def refused(host, *args) -> str:
    from lib_multipass.words import MultipassError

    job = host.job(*args)
    with pytest.raises(MultipassError) as caught:
        host.run(job)
    assert caught.value.status_code == 422
    return caught.value.detail


def test_the_panel_says_in_one_sentence_what_is_off_and_why(host, lacking):
    with gr.Blocks() as page:
        inputs = host.script().ui(False)
    (text,) = [block.value for block in page.blocks.values() if isinstance(block, gr.HTML)]
    assert text.startswith("<p>Multipass is off: this webui") or "Multipass is off: in this webui" in text
    assert lacking in text
    assert text.count(". ") == 0
    assert len(inputs) == len(FIELDS)
    assert not any(component.visible or component.value is None for component in inputs)
    assert not any(component.elem_id for component in inputs)  # the page's script takes nothing for the panel


def test_a_plain_job_is_as_ever(host, lacking, plain):
    assert host.run(host.job()).images[0].tobytes() == plain
    assert host.run(host.job(False, B)).images[0].tobytes() == plain


@pytest.mark.parametrize("args", [(True, B), ({"checkpoint": B},), (True, 3)], ids=["list", "object", "wrong type"])
def test_a_ticked_job_is_refused_with_the_sentence(host, lacking, plain, args):
    loaded = host.loaded
    assert lacking in refused(host, *args)
    assert host.loaded == loaded
    assert host.run(host.job()).images[0].tobytes() == plain


def test_what_a_script_swallows_is_told_when_its_job_is_closed(host, lacking):
    whole = host.job(True, B, kind=lambda values: (1, *values[1:]))
    cell = copy.copy(whole)
    with suppress(Exception):
        host.processing.process_images(cell)
    with pytest.raises(Exception, match=lacking):
        whole.close()


def test_nothing_is_installed_but_the_refusal(host, lacking):
    from lib_multipass.webui.a1111 import limits

    assert host.patches.originals["lib_multipass"] == {}
    assert limits.LIMIT not in vars(type(host.shared.opts))
    callbacks = [one for kind in host.script_callbacks.callback_map.values() for one in kind]
    ours = [one for one in callbacks if "lib_multipass" in one.callback.__module__]
    assert ours == [one for one in host.script_callbacks.callback_map["callbacks_script_unloaded"] if one in ours]
    assert len(ours) == 1


def test_whatever_is_wrapped_is_asked_for_beforehand(host):
    from lib_multipass.webui.a1111 import features, slots

    def name_of(owner) -> str:
        if getattr(host.processing, owner.__name__, None) is owner:  # in the miniature it comes from elsewhere
            return f"modules.processing.{owner.__name__}"
        return f"{owner.__module__}.{owner.__name__}" if isinstance(owner, type) else owner.__name__

    places = (*(slot[1:] for slot in slots.SLOTS), *(own[:2] for own in slots.OWN))
    wrapped = {f"{name_of(owner)}.{name}" for owner, name in places}
    assert wrapped <= set(features.NEEDED)
    assert features.why_off() is None
