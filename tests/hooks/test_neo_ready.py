"""Weights that were made ready, in Forge Neo: over a stand-in for it, see ``test_neo.py``."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from support.as_neo import forge_neo, started
from support.neo import B


@pytest.fixture
def bare(tmp_path):
    """It without Multipass."""
    with forge_neo(tmp_path) as made:
        yield made


@pytest.fixture
def neo(bare):
    """It with Multipass."""
    bare.host = started(bare)
    return bare


@pytest.mark.parametrize("result", [({}, "metadata"), {}])
def test_it_goes_into_what_is_read_of_its_file(bare, result):
    """However the webui's function is called, and whatever else it returns."""
    loader = bare.modules["backend.loader"]
    loader.load_torch_file = lambda *_args, **_kwargs: result
    started(bare)
    from lib_multipass.passes.ahead import Ahead
    from lib_multipass.state import running

    ahead, load = Ahead([]), loader.load_torch_file
    ahead._ready = SimpleNamespace(path=B, hand_out=lambda state: {**state, "made": "ready"})
    running.job = SimpleNamespace(parts={Ahead: ahead}, owner=lambda: None, number=1)
    expected = ({"made": "ready"}, "metadata") if isinstance(result, tuple) else {"made": "ready"}
    assert load(B) == load(B, return_metadata=True) == load(ckpt=B) == expected
    assert load("another file") == load(ckpt="another file") == result
    running.job = None
    assert load(B) == result


@pytest.fixture
def checkpoint(neo, tmp_path):
    """A file in float16."""
    path = tmp_path / "half.safetensors"
    save_file({"model.diffusion_model.weight": torch.rand(4, 4).half()}, path)
    return SimpleNamespace(filename=str(path))


def test_where_weights_are_made_ready(neo, checkpoint):
    assert neo.host.files.made_ready(checkpoint, 0) is not None


@pytest.mark.parametrize("why", ["another dtype", "no maps", "straight to the device", "quantised"])
def test_where_they_are_not(neo, checkpoint, monkeypatch, why):
    if why == "another dtype":
        monkeypatch.setitem(neo.shared.opts.data, "forge_unet_storage_dtype", "float8-e4m3fn")
    elif why == "no maps":
        monkeypatch.setattr(neo.modules["backend.args"], "args", SimpleNamespace(disable_mmap=True), raising=False)
    elif why == "straight to the device":
        management = neo.modules["backend.memory_management"]
        monkeypatch.setattr(management, "vram_state", SimpleNamespace(name="HIGH_VRAM"), raising=False)
    else:
        checkpoint.filename = checkpoint.filename.replace(".safetensors", ".gguf")
    assert neo.host.files.made_ready(checkpoint, 0) is None


EIGHT = torch.float8_e4m3fn
QUANTISED = {
    "plain": ({}, None),
    "by its marks": ({"model.diffusion_model.comfy_quant": torch.zeros(1, dtype=torch.uint8)}, None),
    "scaled": ({"model.diffusion_model.scaled_fp8": torch.zeros(1).to(EIGHT)}, None),
    "by its metadata": ({}, {"_quantization_metadata": "{}"}),
    "in integers": ({"model.diffusion_model.other": torch.zeros(4, 4, dtype=torch.int8)}, None),
}


@pytest.mark.parametrize("kind", QUANTISED)
def test_eight_bits(neo, checkpoint, kind):
    """Quantised weights are used as they lie in the file; plain ones are copied, in their dtype without a card too."""
    more, metadata = QUANTISED[kind]
    weights = {"model.diffusion_model.weight": torch.rand(4, 4).to(EIGHT), **more}
    save_file(weights, checkpoint.filename, metadata=metadata)
    one = neo.host.files.made_ready(checkpoint, 0)
    assert (one is not None) == (kind == "plain")
    if one is not None:
        one.make(lambda: True)
        assert {tensor.dtype for tensor, _ in one._made.values()} == {EIGHT}
