"""The estimate of a loaded checkpoint's size against models that a real webui has loaded."""

from pathlib import Path

import pytest

from lib_multipass.memory.footprint import Loading, loaded_bytes
from lib_multipass.memory.headers import SD1, read_facts
from support.jobs import A, B, C, hires, warm
from support.measured import misjudged

pytestmark = pytest.mark.real  # the miniature's models are not made of checkpoints' parts


def measured(server, loading):
    """A row of ``(facts, loading, bytes)`` for each loaded model, by name."""
    folder = Path(server.data) / "models" / "Stable-diffusion"
    loaded = server.client.get("/probe/state")["bytes"]
    return {name: (read_facts(folder / f"{name}.safetensors"), loading, size) for name, size in loaded.items()}


def test_loaded_models(start):
    """Models built from a file, and one whose weights took another's place."""
    with start(multipass=False, config={"sd_checkpoints_limit": 2}) as server:
        for second in (B, C):
            warm(server, **hires(hr_checkpoint_name=second))
        rows = measured(server, Loading(half=False))
        assert C in rows
        assert {facts.architecture for facts, _, _ in rows.values()} == {SD1}
        assert misjudged(rows.values()) == []
        assert len(misjudged((facts, Loading(), size) for facts, _, size in rows.values())) == len(rows)


def test_fp8(start, webui):
    options = {"fp8_storage": "Enable", "cache_fp16_weight": True}
    if "fp8_storage" not in (webui.root / "modules" / "shared_options.py").read_text(encoding="utf-8"):
        pytest.skip("this webui does not store weights as fp8; it came with 1.8.0")
    with start(multipass=False, config=options) as server:
        rows = measured(server, Loading(half=False, fp8=True, cache_fp16=True))
        assert set(rows) == {A}
        assert misjudged(rows.values()) == []


def test_another_vae(start):
    """The webui keeps the file's own beside it."""
    with start(multipass=False, config={"sd_vae": "other.safetensors"}) as server:
        rows = measured(server, Loading(half=False, other_vae=True))
        assert set(rows) == {A}
        assert misjudged(rows.values()) == []
        assert loaded_bytes(rows[A][0], Loading(half=False)) < 0.8 * rows[A][2]
