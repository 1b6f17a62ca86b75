"""ADetailer's tabs on the second-pass checkpoint take what they leave open from the hires pass: on running webuis.

By hand one would write the same values into the tab.
"""

from __future__ import annotations

import pytest

from support.baked import bake
from support.jobs import (
    B,
    C,
    adetailer,
    cfg_by_hand,
    differences,
    hires,
    multipass,
    need_adetailer,
    need_clip_skip_in_tabs,
    warm,
    without,
)

PROMPTS = {"hr_prompt": "a dog, night", "hr_negative_prompt": "sun"}
IN_TAB = {"ad_prompt": "a dog, night", "ad_negative_prompt": "sun"}
SAMPLER = {"hr_sampler_name": "Euler a"}
SAMPLER_IN_TAB = {"ad_use_sampler": True, "ad_sampler": "Euler a"}
CFG = {"ad_use_cfg_scale": True, "ad_cfg_scale": 9.0}
CLIP_SKIP = {"ad_use_clip_skip": True, "ad_clip_skip": 3}


@pytest.fixture(autouse=True)
def every_test_needs_it(pair):
    need_adetailer(pair)


def need_fields(pair):
    if not pair.real:
        pytest.skip("the miniature's ADetailer has no CFG scale, sampler and clip skip of its own")


def faces_by_hand(pair, job: dict, tab: dict):
    return warm(pair.stock, **job, hr_checkpoint_name=B, alwayson_scripts=adetailer(pair.stock, B, **tab))


def faces(pair, job: dict, own: dict, checkpoint=None, **tab):
    scripts = {**adetailer(pair.ours, checkpoint, **tab), **multipass({"checkpoint": B, **own})}
    return warm(pair.ours, **job, alwayson_scripts=scripts)


def test_prompts(pair):
    job = {**hires(), **PROMPTS, "n_iter": 2, "batch_size": 2}
    expected, got = faces_by_hand(pair, job, IN_TAB), faces(pair, job, {})
    assert got.same_as(expected)
    assert not got.like(faces_by_hand(pair, job, {}))
    assert without(got.infotext, "Multipass") == without(expected.infotext)


def test_a_tabs_own_prompt_goes_first(pair):
    job = {**hires(), **PROMPTS}
    tab = {"ad_prompt": "a bird"}
    expected = faces_by_hand(pair, job, {"ad_prompt": "a bird", "ad_negative_prompt": "sun"})
    assert faces(pair, job, {}, **tab).same_as(expected)


SETTINGS = {
    "sampler": (SAMPLER, {}, SAMPLER_IN_TAB),
    "CFG scale": ({}, {"cfg_scale": 9.0}, CFG),
    "clip skip": ({}, {"clip_skip": 3}, CLIP_SKIP),
    "all": (
        {**SAMPLER, **PROMPTS},
        {"cfg_scale": 9.0, "clip_skip": 3},
        {**IN_TAB, **SAMPLER_IN_TAB, **CFG, **CLIP_SKIP},
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(pair, name):
    need_fields(pair)
    hires_values, own, tab = SETTINGS[name]
    if "ad_clip_skip" in tab:
        need_clip_skip_in_tabs(pair.ours.webui)
    job = {**hires("Lanczos"), **hires_values, "n_iter": 2}
    options = pair.ours.client.get("/sdapi/v1/options")
    pair.stock.client.post("/probe/by_hand", own)
    try:
        by_hand = job | cfg_by_hand(pair.stock, **own)
        expected, without_following = faces_by_hand(pair, by_hand, tab), faces_by_hand(pair, by_hand, {})
    finally:
        pair.stock.client.post("/probe/by_hand", {})
    got = faces(pair, job, own)
    assert got.same_as(expected)
    assert without(got.infotext, "Multipass") == without(expected.infotext)
    assert not got.like(without_following)
    assert faces(pair, job, {**own, "adetailer_follows": False}).same_as(without_following)
    assert differences(options, pair.ours.client.get("/sdapi/v1/options")) == {}


def test_scheduler(pair):
    need_fields(pair)
    job = {**hires("Lanczos"), "hr_scheduler": "Karras"}
    if pair.ours.webui.name in ("1.6.0", "1.7.0", "1.8.0"):
        pytest.skip("schedulers of their own came with 1.9.0")
    expected = faces_by_hand(pair, job, {"ad_use_sampler": True, "ad_sampler": "Euler", "ad_scheduler": "Karras"})
    assert faces(pair, job, {}).same_as(expected)
    assert not expected.like(faces_by_hand(pair, job, {}))


def test_what_a_tab_sets_goes_first(pair):
    need_fields(pair)
    need_clip_skip_in_tabs(pair.ours.webui)
    tab = {
        **{"ad_use_cfg_scale": True, "ad_cfg_scale": 2.0, "ad_use_clip_skip": True, "ad_clip_skip": 2},
        **{"ad_use_sampler": True, "ad_sampler": "Heun"},
    }
    job = {**hires("Lanczos"), **SAMPLER}
    own = {"cfg_scale": 9.0, "clip_skip": 3}
    pair.stock.client.post("/probe/by_hand", own)
    try:
        expected = faces_by_hand(pair, job | cfg_by_hand(pair.stock, **own), tab)
    finally:
        pair.stock.client.post("/probe/by_hand", {})
    assert faces(pair, job, own, **tab).same_as(expected)


def test_a_tab_on_another_checkpoint_follows_nothing(pair):
    job = {**hires("Lanczos"), **PROMPTS}
    expected = warm(pair.stock, **job, hr_checkpoint_name=B, alwayson_scripts=adetailer(pair.stock, C))
    got = faces(pair, job, {"adetailer": C, "vae": "Use same VAE"})
    assert got.same_as(expected)


def test_unticked_touches_nothing_but_the_checkpoint(pair):
    job = {**hires("Lanczos"), **PROMPTS}
    expected = faces_by_hand(pair, job, {})
    got = faces(pair, job, {"adetailer_follows": False})
    assert got.same_as(expected)
    assert without(got.infotext, "Multipass") == without(expected.infotext)
    assert "Multipass ADetailer follows: False" in got.infotext


def test_a_setting_that_was_never_stored_is_not_overridden(pair, start):
    """The webui would not take such an override back, so ADetailer is not asked for one; the VAE is right anyhow.

    Forge Neo stores no override of the VAE, and its ADetailer makes none of the clip skip.
    """
    need_clip_skip_in_tabs(pair.ours.webui)
    job, baked = {**hires("Lanczos"), "n_iter": 2}, bake(pair.stock, B)
    pair.stock.client.post("/probe/by_hand", {"clip_skip": 3})
    try:
        expected = warm(pair.stock, **job, hr_checkpoint_name=baked, alwayson_scripts=adetailer(pair.stock, baked))
    finally:
        pair.stock.client.post("/probe/by_hand", {})
    plain = warm(pair.stock)
    with start(config={"CLIP_stop_at_last_layers": None, "sd_vae": None}) as server:
        own = multipass({"checkpoint": B, "clip_skip": 3, "vae": "other"})
        got = warm(server, **job, alwayson_scripts={**adetailer(server), **own})
        assert got.same_as(expected)
        assert "ADetailer CLIP skip" not in got.infotext
        assert "ADetailer VAE" not in got.infotext
        assert server.client.txt2img().same_as(plain)
        stored = server.client.probe()["data"]
        assert stored.get("CLIP_stop_at_last_layers", 1) == 1
        assert stored.get("sd_vae", "Automatic") == "Automatic"
