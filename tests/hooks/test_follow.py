"""What follows a swap, where the webuis of the tests cannot show it: fp8 needs another machine to render."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def kept(host, monkeypatch):
    """Two kept models, of which the setting "FP8 weight" holds for beta alone, as it would for an SDXL one."""
    host.run(host.job(True, "beta"))
    monkeypatch.setattr(host.devices, "fp8", False)
    monkeypatch.setattr(host.sd_models, "check_fp8", fp8_for("beta"), raising=False)
    models = {model.sd_checkpoint_info.name_for_extra: model for model in host.sd_models.model_data.loaded_sd_models}
    linear = next(layer for layer in models["beta"].model.modules() if isinstance(layer, torch.nn.Linear))
    before = linear.weight.data
    linear.weight.data = before.to(torch.float8_e4m3fn)
    yield models
    linear.weight.data = before
    host.run(host.job())


def fp8_for(*names):
    return lambda model: model.sd_checkpoint_info.name_for_extra in names


def swap(host, name):
    with host.sd_models.SkipWritingToConfig():
        host.sd_models.reload_model_weights(info=host.sd_models.get_closet_checkpoint_match(name))


def test_the_note_of_fp8_is_that_of_the_active_model(host, kept):
    reads = host.sd_models.get_checkpoint_state_dict
    swap(host, "alpha")
    assert host.devices.fp8 is False
    swap(host, "beta")
    assert host.devices.fp8 is True
    assert host.sd_models.get_checkpoint_state_dict is reads


def test_a_kept_model_that_the_setting_has_outrun_is_read_anew(host, kept, monkeypatch):
    from lib_multipass.webui.a1111 import follow

    swap(host, "alpha")
    monkeypatch.setattr(host.sd_models, "check_fp8", fp8_for("alpha", "beta"))
    assert follow.catch_up(False)
    monkeypatch.setattr(host.sd_models, "check_fp8", fp8_for("beta"))
    assert not follow.catch_up(False)


def test_a_webui_that_keeps_models_by_its_own_settings_is_left_alone(host, kept, monkeypatch):
    from lib_multipass import state
    from lib_multipass.webui.a1111 import follow

    called = []
    monkeypatch.setattr(follow, "catch_up", lambda tiling: bool(called.append(tiling)))
    swap(host, "alpha")
    assert called == [False]
    monkeypatch.setattr(state.kept, "decision", None)
    monkeypatch.setattr(host.shared.opts, "data", {**host.shared.opts.data, "sd_checkpoints_limit": 4})
    swap(host, "beta")
    assert called == [False]


@pytest.fixture
def widths(host, monkeypatch):
    """Two checkpoints whose text encoders take different embeddings."""
    from modules.sd_hijack import model_hijack

    of = {"alpha": 24, "beta": 48}
    active = lambda: of[host.shared.sd_model.sd_checkpoint_info.name_for_extra]  # noqa: E731
    monkeypatch.setattr(model_hijack.embedding_db, "get_expected_shape", active)
    return of


def test_embeddings_are_read_once_for_each_kind_of_text_encoder(host, kept, widths, monkeypatch):
    from modules.sd_hijack import model_hijack

    db, reads = model_hijack.embedding_db, []
    read = db.load_textual_inversion_embeddings
    monkeypatch.setattr(
        db, "load_textual_inversion_embeddings", lambda force_reload: reads.append(force_reload) or read(force_reload)
    )
    for name in ("alpha", "beta"):
        swap(host, name)
    assert reads == [True, True]
    for name in ("alpha", "beta"):
        swap(host, name)
        assert db.expected_shape == widths[name]
    assert reads == [True, True]


def test_embeddings_follow_in_reforge_while_nothing_is_kept(host, widths, monkeypatch):
    """It reads them once, for the model of the first picture."""
    from modules.sd_hijack import model_hijack

    from lib_multipass import state
    from lib_multipass.webui.a1111 import forge_models

    host.run(host.job(True, "beta"))
    monkeypatch.setattr(state.kept, "decision", None)
    for by_itself, expected in ((False, "beta"), (True, "alpha")):
        monkeypatch.setattr(forge_models, "is_one", lambda _model, answer=by_itself: answer)
        swap(host, "beta")
        swap(host, "alpha")
        assert model_hijack.embedding_db.expected_shape == widths[expected]
