"""The weights of a checkpoint that was never used, made ready while the first pass samples, on running webuis."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator

import pytest

from support import webuis
from support.hosts import NEO
from support.jobs import A, B, adetailer, hires, multipass, need_adetailer, warm

pytestmark = pytest.mark.both
XL, NUMBER = "epsilon", itertools.count()
STORED = {"as it is": None, "float16": "float16", "bfloat16": "bfloat16", "float32": "float32", "fp8": "float8_e4m3fn"}


@pytest.fixture(scope="module")
def ours(webui, tmp_path_factory) -> Iterator[webuis.Server]:
    """With Multipass; its passes begin when the next checkpoint is ready."""
    folder, environment = tmp_path_factory.mktemp("ready") / "ours", {"PROBE_READY": "1"}
    with webuis.running(webui, folder, environment=environment) as server:
        yield server


def never_used(server: webuis.Server, checkpoint: str, name: str, stored: str | None = None) -> None:
    """Put a copy of a checkpoint into the webui, under a name of its own."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = server.data / "models" / "Stable-diffusion"
    tensors = load_file(folder / f"{checkpoint}.safetensors")
    where = "model.diffusion_model." if stored == STORED["fp8"] else ""
    for key, tensor in tensors.items():
        if stored is not None and key.startswith(where) and tensor.dim() > 1 and tensor.is_floating_point():
            tensors[key] = tensor.to(getattr(torch, stored))
    save_file(tensors, folder / f"{name}.safetensors")
    if (folder / f"{checkpoint}.yaml").exists():
        shutil.copy(folder / f"{checkpoint}.yaml", folder / f"{name}.yaml")
    server.client.post("/sdapi/v1/refresh-checkpoints")


@pytest.fixture
def both(pair, ours):
    """A copy of a checkpoint in the webui with Multipass and in the one without; they go at the end."""
    made = []

    def put(checkpoint: str, stored: str | None = None) -> str:
        name = f"ready-{next(NUMBER)}"
        for server in (pair.stock, ours):
            never_used(server, checkpoint, name, stored)
        made.append(name)
        return name

    yield put
    for server in (pair.stock, ours):
        server.client.txt2img()
        for path in (server.data / "models" / "Stable-diffusion").iterdir():
            if path.stem in made:
                path.unlink()
        server.client.post("/sdapi/v1/refresh-checkpoints")


def told(server: webuis.Server) -> list[dict]:
    return server.client.get("/multipass-probe/ready")


@pytest.mark.parametrize("stored", STORED)
def test_a_file_that_was_never_used(pair, ours, both, stored):
    if stored == "fp8" and pair.stock.webui.kind is not NEO:
        pytest.skip("left to the others' webuis")
    name, job = both(B, STORED[stored]), hires("Lanczos")
    expected = warm(pair.stock, **job, hr_checkpoint_name=name)
    ours.client.txt2img()
    told(ours)
    got = ours.client.txt2img(**job, alwayson_scripts=multipass(True, name))
    (swap,) = told(ours)
    assert swap["file"] == f"{name}.safetensors"
    assert swap["made"] > 5
    assert swap["taken"] > 5
    assert swap["kinds"] == ["Parameter"]
    assert got.same_as(expected)
    assert ours.client.txt2img(**job, alwayson_scripts=multipass(True, name)).same_as(expected)
    assert told(ours) == []
    assert ours.client.txt2img().same_as(pair.stock.client.txt2img())


def test_into_the_model_that_is_there(pair, ours, both):
    """At the webui's own limit, A1111 loads each checkpoint over the one before it."""
    name, job = both(B), hires("Lanczos")
    expected = warm(pair.stock, **job, hr_checkpoint_name=name)
    wish = multipass({"checkpoint": name, "keep": "As the webui is set"})
    for _ in range(2):
        ours.client.txt2img()
        told(ours)
        got = ours.client.txt2img(**job, alwayson_scripts=wish)
        (swap,) = told(ours)
        assert swap["made"] > 5
        assert swap["taken"] > 5
        assert swap["kinds"] == ["Parameter"]
        assert got.same_as(expected)
    assert ours.client.txt2img().same_as(pair.stock.client.txt2img())


def test_between_architectures(pair, ours, both):
    if not pair.stock.webui.real:
        pytest.skip("the miniature has one architecture")
    name, job = both(XL), hires("Lanczos")
    expected = warm(pair.stock, **job, hr_checkpoint_name=name)
    ours.client.txt2img()
    told(ours)
    got = ours.client.txt2img(**job, alwayson_scripts=multipass(True, name))
    (swap,) = told(ours)
    assert swap["made"] > 5
    assert got.same_as(expected)


@pytest.mark.parametrize("tags", [(1, 0), (0, 1), (1, 1)])
def test_with_a_lora(pair, ours, both, tags):
    """The webui writes it into the weights, and takes it out again."""
    if not pair.stock.webui.real:
        pytest.skip("the miniature has no LoRAs")
    tag = " <lora:style-sd1:0.8>"
    name, job = both(B), {**hires("Lanczos"), "prompt": f"a cat{tag * tags[0]}", "hr_prompt": f"a dog{tag * tags[1]}"}
    expected = warm(pair.stock, **job, hr_checkpoint_name=name)
    plain = warm(pair.stock, **hires("Lanczos"), hr_checkpoint_name=name)
    ours.client.txt2img()
    got = [ours.client.txt2img(**job, alwayson_scripts=multipass(True, name)) for _ in range(2)]
    assert [one.difference(expected) for one in got] == [0, 0]
    assert [swap["made"] > 5 for swap in told(ours)] == [True]
    assert ours.client.txt2img(**hires("Lanczos"), alwayson_scripts=multipass(True, name)).same_as(plain)


def test_faces_on_a_third(pair, ours, both):
    need_adetailer(pair)
    second, third, job = both(B), both(A), hires("Latent")
    stock = adetailer(pair.stock, third)
    expected = warm(pair.stock, **job, hr_checkpoint_name=second, alwayson_scripts=stock)
    ours.client.txt2img()
    told(ours)
    got = ours.client.txt2img(**job, alwayson_scripts={**adetailer(ours), **multipass(True, second, third)})
    assert [(swap["file"], swap["made"] > 5) for swap in told(ours)] == [
        (f"{name}.safetensors", True) for name in (second, third)
    ]
    assert got.same_as(expected)
