"""What a checkpoint takes in this webui, by its settings and flags."""

from __future__ import annotations

import pytest
import torch

from lib_multipass.memory.headers import DIFFUSION, REFINER, SD1, SDXL, TEXT, VAE, Facts

PARTS = {DIFFUSION: 100, TEXT: 10, VAE: 10}


def facts(architecture):
    parameters = {component: {"F16": count} for component, count in PARTS.items()}
    return Facts(240, architecture, parameters=parameters, matrices={DIFFUSION: 80})


@pytest.mark.parametrize(
    ("setting", "architecture", "saved"),
    [
        ("Disable", SDXL, 0),
        ("Enable for SDXL", SDXL, 80),
        ("Enable for SDXL", REFINER, 80),  # the webui takes it for SDXL
        ("Enable for SDXL", SD1, 0),
        ("Enable", SD1, 80),
    ],
)
def test_fp8(host, monkeypatch, setting, architecture, saved):
    from lib_multipass.webui.a1111 import features, files, hardware

    monkeypatch.setattr(features, "fp8_weights", lambda: setting)
    monkeypatch.setattr(hardware.devices, "dtype_vae", None)
    assert files.loaded_size(facts(architecture)) == 240 - saved


@pytest.mark.parametrize(("device", "whose"), [("cuda", "VRAM"), ("mps", "RAM"), ("cpu", "RAM")])
def test_a_device_without_memory_of_its_own_lacks_the_computers(host, monkeypatch, device, whose):
    from lib_multipass.webui.a1111 import hardware as memory

    monkeypatch.setattr(memory.devices, "device", torch.device(device))
    assert memory.lack_of(RuntimeError(f"{device.upper()} backend out of memory")) == whose
    assert memory.lack_of(MemoryError()) == "RAM"
