"""The copies of weights that LoRAs leave in models."""

import statistics
import time

import pytest
import torch


@pytest.fixture
def backup_bytes(host):
    from lib_multipass.webui.a1111.lora_memory import backup_bytes

    return backup_bytes


def test_what_is_held(backup_bytes):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Conv2d(2, 2, 3), torch.nn.Linear(4, 3), torch.nn.ReLU())
    assert backup_bytes(model) == 0
    model[0].network_weights_backup = torch.zeros(3, 4, dtype=torch.float16)
    model[0].network_bias_backup = torch.zeros(3, dtype=torch.float32)
    model[1].network_weights_backup = (torch.zeros(10), torch.zeros(5, dtype=torch.float64))
    model[1].network_bias_backup = None
    model[2].network_weights_backup = None
    assert backup_bytes(model) == 24 + 12 + 40 + 40
    model[0].network_weights_backup = None
    assert backup_bytes(model) == 12 + 80


def test_a_bias_that_outlived_its_layers_weights_is_forgotten(host):
    from lib_multipass.webui.a1111.lora_memory import forget_biases

    model = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(3)))
    for layer, weights in zip(model, (None, torch.zeros(2, 2), torch.zeros(2, 2)), strict=True):
        layer.network_weights_backup, layer.network_bias_backup = weights, torch.zeros(2)
    del model[2].network_bias_backup
    forget_biases(model)
    assert model[0].network_bias_backup is None
    assert model[1].network_bias_backup is not None
    assert not hasattr(model[2], "network_bias_backup")


def test_cheap(backup_bytes):
    """As many modules as SDXL has, some 3,600."""
    model = torch.nn.Sequential(*(torch.nn.ReLU() for _ in range(3600)))
    taken = []
    for _ in range(10):
        begin = time.process_time()
        backup_bytes(model)
        taken.append((time.process_time() - begin) * 1000)
    print(f"best {min(taken):.2f} ms, median {statistics.median(taken):.2f} ms")
    assert min(taken) < 100
