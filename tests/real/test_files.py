"""What only a real webui shows of checkpoint files: a pickle that it loads, and the copies that LoRAs leave."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_multipass.memory.footprint import Loading, most_backup_bytes
from lib_multipass.memory.headers import read_facts
from support.jobs import A, B, hires, multipass
from support.measured import CLOSE

pytestmark = pytest.mark.real


def checkpoints_of(server):
    return Path(server.data) / "models" / "Stable-diffusion"


def test_a_pickle_is_known_once_it_was_loaded(start):
    """It holds averaged weights, so its size says little about the model."""
    with start() as server:
        if server.webui.kind.vaes_are_modules:
            pytest.skip("Forge Neo has another way of loading, at which nothing is learnt")
        folder = checkpoints_of(server)
        weights = load_file(folder / f"{B}.safetensors")
        weights["model_ema.weights"] = torch.zeros(10_000_000)
        torch.save({"state_dict": weights}, folder / "old.ckpt", _use_new_zipfile_serialization=False)
        server.client.post("/sdapi/v1/refresh-checkpoints")
        job = {**hires(), "alwayson_scripts": multipass(True, "old.ckpt")}
        before = server.client.post("/multipass/v1/plan", job)["passes"][1]
        server.client.txt2img(**job)
        after = server.client.post("/multipass/v1/plan", job)["passes"][1]
        loaded = server.client.get("/probe/state")["bytes"]
    assert set(loaded) == {A, "old"}
    assert before["bytes"] > 1.1 * loaded["old"]
    assert (before["architecture"], after["architecture"]) == ("unknown", "SD 1.x")
    assert after["bytes"] == pytest.approx(loaded["old"], rel=CLOSE)


def write_lora(path):
    """A LoRA for one layer in the middle of the tests' own checkpoints, which is 96 wide."""
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = {"lora_down.weight": torch.ones(2, 96), "lora_up.weight": torch.ones(96, 2), "alpha": torch.tensor(2.0)}
    save_file({f"{layer}.{name}": value for name, value in parts.items()}, path)


def test_copies_that_a_lora_leaves(start):
    with start() as server:
        write_lora(Path(server.data) / "models" / "Lora" / "tiny.safetensors")
        server.client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
        before = server.client.get("/probe/backups")["bytes"]
        server.client.txt2img(**hires(), prompt="a cat <lora:tiny:1>", alwayson_scripts=multipass(True, B))
        after = server.client.get("/probe/backups")
        facts = {name: read_facts(checkpoints_of(server) / f"{name}.safetensors") for name in (A, B)}
    print(f"before {before}, after {after}")
    every_layer = not server.webui.kind.vaes_are_modules  # Forge Neo copies what a LoRA changes
    assert after["bytes"].keys() == {A, B}
    for name, held in after["bytes"].items():
        most = most_backup_bytes(facts[name], Loading(half=False))
        assert before[name] < 0.05 * most  # up to 1.6.0 biases are copied without any LoRA
        assert (0.8 * most if every_layer else 0) < held <= most
