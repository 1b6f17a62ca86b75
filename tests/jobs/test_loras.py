"""LoRAs of one pass or of both, with ADetailer on every checkpoint, in each way in which the webui applies them."""

from __future__ import annotations

import pytest

from support.hosts import A1111, NEO
from support.jobs import B, C, adetailer, hires, multipass, need_adetailer, warm, without
from support.settings import settings

pytestmark = pytest.mark.real
TAG = " <lora:style-sd1:0.8>"
PASSES = {"first": (1, 0), "second": (0, 1), "both": (1, 1)}
FACES = {"second": ("Same as second pass", B), "first": ("Same as first pass", None), "third": (C, C)}
STEP_BY_STEP = {A1111: {"lora_functional": True}, NEO: {"forge_unet_storage_dtype": "Automatic (fp16 LoRA)"}}
"""The setting with which a webui leaves a model's weights alone and adds LoRAs at every step."""


def tagged(first: int, second: int) -> dict[str, str]:
    """Prompts with a LoRA in these passes."""
    return {"prompt": f"a cat{TAG * first}", "hr_prompt": f"a dog{TAG * second}"}


def applied_step_by_step(server):
    """While its webui adds LoRAs at every step."""
    values = STEP_BY_STEP.get(server.webui.kind)
    if values is None:
        pytest.skip("this webui has one way for LoRAs")
    return settings(server, **values)


@pytest.mark.parametrize("faces", FACES)
@pytest.mark.parametrize("passes", PASSES)
def test_with_adetailer(pair, passes, faces):
    need_adetailer(pair)
    choice, by_hand = FACES[faces]
    job = {**hires("Lanczos"), **tagged(*PASSES[passes])}
    own = {"ad_prompt": job["hr_prompt"]} if faces == "second" else {}  # faces on that follow its pass
    expected = warm(pair.stock, **job, hr_checkpoint_name=B, alwayson_scripts=adetailer(pair.stock, by_hand, **own))
    got = warm(pair.ours, **job, alwayson_scripts={**adetailer(pair.ours), **multipass(True, B, choice)})
    assert pair.ours.client.probe()["reads"] == []
    assert got.same_as(expected)
    assert without(got.infotext, "Multipass") == without(expected.infotext)
    assert pair.ours.client.txt2img().same_as(warm(pair.stock))


@pytest.mark.parametrize("passes", PASSES)
def test_step_by_step(pair, passes):
    """Changed between jobs, and back again."""
    job, jobs = {**hires("Lanczos"), **tagged(*PASSES[passes])}, {"alwayson_scripts": multipass(True, B)}
    usual = warm(pair.stock, **job, hr_checkpoint_name=B)
    with applied_step_by_step(pair.stock):
        expected, plain = warm(pair.stock, **job, hr_checkpoint_name=B), warm(pair.stock)
    assert warm(pair.ours, **job, **jobs).same_as(usual)
    with applied_step_by_step(pair.ours):
        assert warm(pair.ours, **job, **jobs).same_as(expected)
        assert pair.ours.client.probe()["reads"] == []
        assert pair.ours.client.txt2img().same_as(plain)
    assert warm(pair.ours, **job, **jobs).same_as(usual)
    assert pair.ours.client.txt2img(**tagged(1, 0)).same_as(warm(pair.stock, **tagged(1, 0)))


def test_faces_step_by_step(pair):
    need_adetailer(pair)
    job = {**hires("Lanczos"), **tagged(1, 1)}
    with applied_step_by_step(pair.stock):
        expected = warm(pair.stock, **job, hr_checkpoint_name=B, alwayson_scripts=adetailer(pair.stock, C))
    with applied_step_by_step(pair.ours):
        got = warm(pair.ours, **job, alwayson_scripts={**adetailer(pair.ours), **multipass(True, B, C)})
        assert pair.ours.client.probe()["reads"] == []
    assert got.same_as(expected)


def test_a_lora_shows(pair):
    """Guards the comparisons above."""
    made = [
        pair.stock.client.txt2img(**hires("Lanczos"), **tagged(*passes), hr_checkpoint_name=B)
        for passes in ((0, 0), *PASSES.values())
    ]
    for index, one in enumerate(made):
        assert not any(one.like(other) for other in made[index + 1 :])
