"""What of reForge's own is done in this process: its models, as its patchers hand them on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.mark.parametrize("disabled", [True, False])
def test_networks_of_an_earlier_job_do_not_act_where_they_are_disabled(host, monkeypatch, disabled):
    """reForge sets none then; a model that it has just loaded would have none."""
    from lib_multipass.state import running
    from lib_multipass.webui.a1111 import forge_models

    diffusion = SimpleNamespace(diffusion_model=SimpleNamespace())
    original = SimpleNamespace(unet=SimpleNamespace(model=diffusion))
    with_networks = SimpleNamespace(unet=SimpleNamespace(model=diffusion))
    model = SimpleNamespace(
        forge_objects_original=original,
        forge_objects_after_applying_lora=with_networks,
        forge_objects=with_networks,
        current_lora_hash="[['detail.safetensors', 1.0, 1.0]]",
    )
    monkeypatch.setattr(forge_models.sd_vae, "reload_vae_weights", lambda _model: None)
    p = SimpleNamespace(disable_extra_networks=disabled)
    monkeypatch.setattr(running, "job", SimpleNamespace(owner=lambda: p))
    forge_models.catch_up(model)
    for objects in (model.forge_objects, model.forge_objects_after_applying_lora):
        assert objects.unet is (original if disabled else with_networks).unet
    assert (model.current_lora_hash == str([])) == disabled


def test_a_model_that_the_webui_has_taken_apart_hides_no_error(host, monkeypatch):
    """reForge does that to the active one before it reads the next, which may fail."""
    from lib_multipass.webui.a1111 import models

    host.run(host.job())
    data = host.sd_models.model_data
    gone = data.sd_model
    data.loaded_sd_models.remove(gone)
    monkeypatch.setattr(gone, "_modules", None)
    models.mend()
    assert data.sd_model is None
    host.run(host.job())
    assert host.loaded == ["alpha"]
