"""VAE, CFG scale and clip skip of the second pass on running webuis.

By hand a pass has a VAE of its own when its checkpoint has it in the file, so that is what is compared with; for CFG
scale and clip skip the probe does in the other webui what extensions for them do.
"""

from __future__ import annotations

import numpy as np
import pytest

from support.baked import add_vae, bake
from support.client import RefusedError
from support.jobs import (
    A,
    B,
    C,
    adetailer,
    cfg_by_hand,
    differences,
    hires,
    multipass,
    need_adetailer,
    vae_override,
    warm,
    without,
)
from support.plots import plot
from support.scale import matrix

UPSCALERS = ("Latent", "Lanczos")
OTHER = "other.safetensors"


def second(checkpoint=B, **own):
    return multipass({"checkpoint": checkpoint, **own})


@pytest.fixture
def by_hand(pair):
    """Gives the other webui's hires passes values of their own."""
    yield lambda **own: pair.stock.client.post("/probe/by_hand", own)
    pair.stock.client.post("/probe/by_hand", {})


ON_SECOND = {"override_settings": {"sd_model_checkpoint": B}}


@pytest.fixture(scope="module")
def without_us(pair):
    """A plain picture, one of the second checkpoint, and the sum of its VAE's weights."""
    plain, other = warm(pair.stock), warm(pair.stock, **ON_SECOND)
    return plain, other, pair.stock.client.probe()["active vae"]


@pytest.fixture(autouse=True)
def leaves_nothing_behind(pair, without_us):
    """After every test: options and settings file as before, next pictures as those of a webui without us."""
    pair.ours.client.txt2img()  # the webui notes the hash of what it reads, for an override of an earlier job too
    before, config = pair.ours.client.get("/sdapi/v1/options"), pair.ours.config
    yield
    assert differences(before, pair.ours.client.get("/sdapi/v1/options")) == {}
    assert pair.ours.config == config
    plain, other, vae = without_us
    # First img2img, which no script of ours sees, on the second checkpoint as the job left it. What the webui encodes
    # depends on all that it has drawn by lot before, so the weights are compared.
    pair.ours.client.img2img(plain.encoded[0], **ON_SECOND)
    assert pair.ours.client.probe()["active vae"] == vae
    assert pair.ours.client.txt2img(**ON_SECOND).same_as(other)
    assert pair.ours.client.txt2img().same_as(plain)


COUNTS = ({"n_iter": 1}, {"n_iter": 3}, {"batch_size": 2})


@pytest.mark.parametrize(("checkpoint", "upscaler", "count"), matrix([B, A, C], UPSCALERS, COUNTS))
def test_the_second_pass_has_its_own_vae(pair, checkpoint, upscaler, count):
    job = {**hires(upscaler), **count}
    expected = warm(pair.stock, **job, hr_checkpoint_name=bake(pair.stock, checkpoint))
    got = warm(pair.ours, **job, alwayson_scripts=second(checkpoint, vae="Other"))
    state = pair.ours.client.probe()
    assert got.same_as(expected)
    assert not got.like(warm(pair.stock, **job, hr_checkpoint_name=checkpoint))
    assert (state["reads"], state["builds"], state["vaes"], state["empty"]) == ([], [], [], [])
    assert f"Multipass VAE: {OTHER}" in got.infotext
    assert "VAE" not in without(got.infotext, "Multipass")


@pytest.mark.parametrize("checkpoint", [B, A])
@pytest.mark.both
def test_the_faces_have_it_too(pair, checkpoint):
    need_adetailer(pair)
    baked = bake(pair.stock, checkpoint)
    job = {**hires("Lanczos"), "n_iter": 2, "batch_size": 2}
    expected = warm(pair.stock, **job, hr_checkpoint_name=baked, alwayson_scripts=adetailer(pair.stock, baked))
    got = warm(pair.ours, **job, alwayson_scripts={**adetailer(pair.ours), **second(checkpoint, vae=OTHER)})
    state = pair.ours.client.probe()
    assert got.same_as(expected)
    assert (state["reads"], state["vaes"]) == ([], [])
    assert f"ADetailer VAE: {OTHER}" in got.infotext


def test_faces_that_do_not_follow_have_the_checkpoints_own(pair):
    need_adetailer(pair)
    job = {**hires("Lanczos"), "n_iter": 2}
    faces = adetailer(pair.stock, B)
    expected = warm(pair.stock, **job, hr_checkpoint_name=bake(pair.stock, B), alwayson_scripts=faces)
    own = second(vae=OTHER, adetailer_follows=False)
    got = warm(pair.ours, **job, alwayson_scripts={**adetailer(pair.ours), **own})
    assert got.same_as(expected)
    assert pair.ours.client.probe()["vaes"] == []
    assert "ADetailer VAE" not in got.infotext


def test_a_tabs_own_vae_goes_first(pair):
    need_adetailer(pair)
    job, baked = {**hires("Lanczos"), "n_iter": 2}, bake(pair.stock, B)
    # "Automatic" is what the setting says too; it has to be told from a tab that says nothing.
    own, in_tab, made_by, faces = OTHER, "Automatic", baked, B
    if pair.ours.webui.kind.vaes_are_modules:  # its ADetailer knows files alone, and fails on other names
        own, in_tab, made_by, faces = "None", OTHER, B, baked
    by_hand = adetailer(pair.stock, faces)
    expected = warm(pair.stock, **job, hr_checkpoint_name=made_by, alwayson_scripts=by_hand)
    tab = adetailer(pair.ours, ad_use_vae=True, ad_vae=in_tab)
    assert warm(pair.ours, **job, alwayson_scripts={**tab, **second(vae=own)}).same_as(expected)


@pytest.mark.parametrize("name", ["None", "Automatic"])
@pytest.mark.both
def test_the_checkpoints_own_vae_where_another_is_fixed(pair, name):
    fixed = {"override_settings": vae_override(pair.ours)}
    job = hires("Lanczos", n_iter=2)
    with_faces = need_faces(pair)
    expected = warm(
        pair.stock,
        **job,
        override_settings={"sd_model_checkpoint": bake(pair.stock, A)},
        hr_checkpoint_name=B,
        alwayson_scripts=with_faces(pair.stock, B),
    )
    got = warm(pair.ours, **job, **fixed, alwayson_scripts={**with_faces(pair.ours), **second(vae=name)})
    assert got.same_as(expected)


def need_faces(pair):
    return adetailer if pair.ours.webui.adetailer else lambda *_args: {}


@pytest.mark.both
def test_a_vae_that_does_not_fit_fails_alone(pair):
    import torch

    good = warm(pair.ours, **hires(), alwayson_scripts=second(vae=OTHER))
    bad = add_vae(pair.ours, "misshapen", {"encoder.nothing": torch.zeros(1), "decoder.nothing": torch.zeros(1)})
    try:
        for checkpoint in (B, A, C):
            with pytest.raises(RefusedError) as caught:
                pair.ours.client.txt2img(**hires(), alwayson_scripts=second(checkpoint, vae=bad.name))
            assert caught.value.status == 422
            assert f"{bad.name} could not be put on {checkpoint}.safetensors" in caught.value.detail
            assert pair.ours.client.txt2img(**hires(), alwayson_scripts=second(vae=OTHER)).same_as(good)
    finally:
        bad.unlink()
        pair.ours.client.post("/sdapi/v1/refresh-vae")


BAD = {
    "ohter": ["Second-pass VAE", "'ohter'", "the nearest are other.safetensors"],
    "sd-vae-ft-mse": ["Second-pass VAE", "'sd-vae-ft-mse'"],
}


@pytest.mark.parametrize("name", BAD)
def test_an_unknown_vae_stops_the_job(pair, name):
    pair.ours.client.probe()
    with pytest.raises(RefusedError) as caught:
        pair.ours.client.txt2img(**hires(), alwayson_scripts=second(vae=name))
    assert caught.value.status == 422
    for word in BAD[name]:
        assert word in caught.value.detail
    state = pair.ours.client.probe()
    assert (state["options"], state["reads"]) == ([], [])


def need_modules(pair):
    if not pair.ours.webui.kind.vaes_are_modules:
        pytest.skip("in this webui a VAE is no module")


def test_a_list_of_vaes(pair):
    """Of one it is that one, anywhere; where VAEs are modules it is all of the hires pass's."""
    expected = warm(pair.ours, **hires("Lanczos"), alwayson_scripts=second(vae=OTHER))
    got = warm(pair.ours, **hires("Lanczos"), alwayson_scripts=second(vae=[OTHER]))
    assert got.same_as(expected)
    modules = pair.ours.webui.kind.vaes_are_modules
    said = f'["{OTHER}"]' if modules else OTHER
    assert f"Multipass VAE: {said}," in got.infotext
    one_too_many = [OTHER, "ohter" if modules else "another"]
    with pytest.raises(RefusedError) as caught:
        pair.ours.client.txt2img(**hires(), alwayson_scripts=second(vae=one_too_many))
    assert caught.value.status == 422
    said = "there is no VAE or text encoder 'ohter'" if modules else "are 2 files; this webui takes one VAE"
    assert said in caught.value.detail


@pytest.mark.real
@pytest.mark.parametrize("checkpoint", [B, A])
def test_a_list_is_all_of_the_modules(pair, checkpoint):
    """None at all too: the checkpoint's own, whatever the first pass has."""
    need_modules(pair)
    job = hires("Lanczos", n_iter=2)
    first = {"override_settings": {"forge_additional_modules": [OTHER]}}
    cases = [([OTHER], {}, {"hr_checkpoint_name": bake(pair.stock, checkpoint)})]
    by_hand = {"hr_checkpoint_name": checkpoint, "override_settings": {"sd_model_checkpoint": bake(pair.stock, A)}}
    cases += [([], first, by_hand)]
    for modules, ours, stock in cases:
        expected = warm(pair.stock, **job, **stock)
        got = warm(pair.ours, **job, **ours, alwayson_scripts=second(checkpoint, vae=modules))
        assert got.same_as(expected)
        assert pair.ours.client.probe()["reads"] == []
        assert f"Hires Module 1: {'other' if modules else 'Built-in'}" in got.infotext
        again = warm(pair.ours, **job, **ours, alwayson_scripts=multipass(pasted(got.infotext)))
        assert again.same_as(got)
        assert again.infotext == got.infotext


@pytest.mark.real
def test_the_panel_has_the_modules_to_choose_from(pair):
    need_modules(pair)
    scripts = pair.ours.client.get("/sdapi/v1/script-info")
    (ours,) = (one["args"] for one in scripts if one["name"].lower() == "multipass")
    vae = next(one for one in ours if one["label"] == "Second-pass VAE")
    assert vae["value"] == ["Use same choices"]
    assert {"Use same choices", OTHER} <= {*np.ravel(vae["choices"])}


@pytest.mark.real
@pytest.mark.parametrize("vae", [[OTHER], [], OTHER])
def test_a_request_with_the_infotext_has_the_modules(pair, vae):
    need_modules(pair)
    job = hires("Lanczos")
    first = {"override_settings": {"forge_additional_modules": [OTHER]}} if vae == [] else {}
    got = warm(pair.ours, **job, **first, alwayson_scripts=second(vae=vae))
    # Left out, Neo would fill these two in from the infotext and fail over their types.
    theirs = {"hr_additional_modules": ["Use same choices"], "styles": []}
    again = warm(pair.ours, **job, **first, **theirs, infotext=got.infotext)
    assert again.same_as(got)
    assert again.infotext == got.infotext


@pytest.mark.real
@pytest.mark.parametrize("vae", [[], "None"])
def test_the_faces_have_the_second_passs_modules(pair, vae):
    """ADetailer has no field for them, and would begin with the first pass's."""
    need_adetailer(pair)
    need_modules(pair)
    job = hires("Lanczos", n_iter=2)
    base = {"override_settings": {"sd_model_checkpoint": bake(pair.stock, A)}}
    expected = warm(pair.stock, **job, **base, hr_checkpoint_name=B, alwayson_scripts=adetailer(pair.stock, B))
    first = {"override_settings": {"forge_additional_modules": [OTHER]}}
    got = warm(pair.ours, **job, **first, alwayson_scripts={**adetailer(pair.ours), **second(vae=vae)})
    assert got.same_as(expected)
    assert pair.ours.client.probe()["reads"] == []


def pasted(infotext: str) -> dict:
    """The settings of an infotext."""
    from lib_multipass.plan import pasting

    entries = dict(entry.split(": ", 1) for entry in infotext.split("\n")[-1].split(", ") if ": " in entry)
    return pasting.read(entries, [], [OTHER], [OTHER]).values


OWN = {"CFG": {"cfg_scale": 9.0}, "clip skip": {"clip_skip": 3}, "both": {"cfg_scale": 1.5, "clip_skip": 2}}


@pytest.mark.parametrize(("own", "checkpoint", "upscaler"), matrix(OWN, [B, A], UPSCALERS))
def test_the_second_pass_has_its_own_cfg_scale_and_clip_skip(pair, by_hand, own, checkpoint, upscaler):
    job = {**hires(upscaler), "n_iter": 3}
    plain = warm(pair.stock, **job, hr_checkpoint_name=checkpoint)
    by_hand(**OWN[own])
    expected = warm(pair.stock, **job | cfg_by_hand(pair.stock, **OWN[own]), hr_checkpoint_name=checkpoint)
    got = warm(pair.ours, **job, alwayson_scripts=second(checkpoint, **OWN[own]))
    assert got.same_as(expected)
    assert not got.like(plain)
    assert without(got.infotext, "Multipass", "Hires checkpoint") == without(expected.infotext, "Hires checkpoint")
    for name, value in OWN[own].items():
        assert f"Multipass {name.replace('_', ' ').replace('cfg', 'CFG')}: {value}" in got.infotext


def test_the_webuis_own_cfg_scale_of_the_hires_pass(pair):
    """Left out it is the first pass's, not the request's default, at which the prompt hardly counts; given it holds."""
    if not pair.stock.webui.kind.hires_cfg:
        pytest.skip("this webui has no hr_cfg")
    left_out = {name: value for name, value in hires().items() if name != "hr_cfg"}
    for job, by_hand in ((left_out, 0), ({**left_out, "hr_cfg": 3}, 3)):
        expected = warm(pair.stock, **{**job, "hr_cfg": by_hand}, hr_checkpoint_name=B)
        got = warm(pair.ours, **job, alwayson_scripts=second())
        assert got.same_as(expected)
        assert f"Hires CFG Scale: {float(by_hand or 5)}," in got.infotext
    assert not got.like(warm(pair.ours, **left_out, alwayson_scripts=second()))


def test_clip_skip_where_the_conds_are_made_early(pair, by_hand, start):
    """A setting lets the webui encode the hires pass's texts before the first pass when there is no swap."""
    by_hand(clip_skip=3)
    expected = warm(pair.stock, **hires(), n_iter=2, hr_checkpoint_name=A)
    with start(config={"hires_fix_use_firstpass_conds": True}) as server:
        got = warm(server, **hires(), n_iter=2, alwayson_scripts=second(A, clip_skip=3))
        again = server.client.txt2img(**hires(), n_iter=2)
    by_hand()
    assert got.same_as(expected)
    assert again.same_as(warm(pair.stock, **hires(), n_iter=2))


@pytest.mark.both
def test_options_are_equal_during_the_job(pair):
    before = pair.ours.client.probe()["data"]
    scripts = second(vae=OTHER, cfg_scale=3, clip_skip=2)
    warm(pair.ours, **hires("Lanczos"), n_iter=2, alwayson_scripts=scripts)
    seen = pair.ours.client.probe()["options"]
    assert len(seen) == 4
    assert [differences(before, options) for options in seen] == [{}] * 4


def test_infotext_replays(pair):
    """A job whose settings are the values of the infotext gives the same picture."""
    got = warm(pair.ours, **hires(), alwayson_scripts=second(vae=OTHER, cfg_scale=3, clip_skip=2))
    again = warm(pair.ours, **hires(), alwayson_scripts=multipass(pasted(got.infotext)))
    assert again.same_as(got)
    assert again.infotext == got.infotext


@pytest.mark.real
def test_xyz_plot(pair):
    own = second(vae=OTHER, cfg_scale=3, clip_skip=2)
    alone = [warm(pair.ours, **hires("Lanczos"), seed=seed, alwayson_scripts=own) for seed in (1, 2)]
    got = warm(pair.ours, **hires("Lanczos"), **plot(pair.ours, ("Seed", "1, 2")), alwayson_scripts=own)
    for cell, expected in zip(got.pictures[-2:], alone, strict=True):
        assert np.array_equal(cell, expected.pictures[0])
