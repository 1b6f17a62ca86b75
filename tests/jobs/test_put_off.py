"""With room for one checkpoint, a loop over the second pass's settings loads nothing after its first job.

Each case is made without keeping first, and with it in a loop of three. A file is read for each swap here, so the files
that were read tell which checkpoints were made active.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from support import webuis
from support.client import Rendered
from support.hosts import A1111
from support.jobs import A, B, C, adetailer, hires, multipass

XL = "epsilon"
"""An SDXL checkpoint among the files for real webuis; A, B and C are SD 1.x."""
TAG = "<lora:style-sd1:0.9>"
CLIP_SKIP = "CLIP_stop_at_last_layers"
STRENGTHS = (0.3, 0.5, 0.7)
STORED = {
    **{"eta_noise_seed_delta": 0, "token_merging_ratio": 0, "token_merging_ratio_hr": 0, "s_min_uncond": 0},
    **{"pad_cond_uncond": False, "sd_noise_schedule": "Default"},
}
"""Settings that jobs here override: one that was never saved fails there (1.6.0), or keeps the override for good."""


def pixels(**more) -> dict:
    return hires("Lanczos", **more)


CASES = {
    "latent": hires(),
    "pixels": pixels(),
    "Euler a": pixels(sampler_name="Euler a"),
    "DPM++ SDE": hires(sampler_name="DPM++ SDE"),
    "another sampler in the second pass": pixels(hr_sampler_name="Euler a"),
    "batch": pixels(batch_size=2),
    "tiling": pixels(tiling=True),
    "variation": pixels(subseed=3, subseed_strength=0.4),
    "hires prompt": pixels(hr_prompt="a lion", hr_negative_prompt="fog"),
    "LoRA": pixels(prompt=f"a cat {TAG}", hr_prompt="a cat"),
    "LoRA in both": pixels(prompt=f"a cat {TAG}"),
    "LoRA in the second": pixels(hr_prompt=f"a cat {TAG}"),
    "textual inversion": pixels(prompt="a cat, mood-sd1"),
    "clip skip": pixels(override_settings={CLIP_SKIP: 2}),
    "VAE of the job": pixels(override_settings={"sd_vae": "other.safetensors"}),
    "eta noise seed delta": pixels(sampler_name="Euler a", override_settings={"eta_noise_seed_delta": 31337}),
    "zero SNR": hires(override_settings={"sd_noise_schedule": "Zero Terminal SNR"}),
    "token merging": hires(override_settings={"token_merging_ratio": 0.5, "token_merging_ratio_hr": 0.3}),
    "padded prompts": pixels(override_settings={"pad_cond_uncond": True, "s_min_uncond": 1.0}),
}
OWN = {
    "its own VAE": {"vae": "other.safetensors"},
    "its own CFG scale": {"cfg_scale": 2.5},
    "its own clip skip": {"clip_skip": 2},
    "the override of the base": {},
}


@pytest.fixture(scope="module")
def tight(webui, tmp_path_factory) -> Iterator[webuis.Server]:
    """With room for one checkpoint. Files have hashes, which infotexts name."""
    if webui.kind is not A1111:
        pytest.skip("first passes are not kept in this webui")
    flags, config = ("--multipass-ram-reserve", "1000"), {"multipass_stages": 512, "multipass_order": "Automatic"}
    if webui.real:
        config |= STORED
    with webuis.running(webui, tmp_path_factory.mktemp("tight"), *flags, config=config) as server:
        for checkpoint in (B, C):
            server.client.txt2img(**hires(), alwayson_scripts=multipass(True, checkpoint))
        yield server


def made(server, job, scripts=None, own=None, **more) -> Rendered:
    ours = multipass({"checkpoint": B, **(own or {})})
    return server.client.txt2img(**{**job, **more}, alwayson_scripts={**(scripts or {}), **ours})


def off(job) -> dict:
    return {"override_settings": {**job.get("override_settings", {}), "multipass_stages": 0}}


def need_settings(server, names) -> None:
    missing = set(names) - {*server.client.get("/sdapi/v1/options"), "multipass_stages"}
    if missing:
        pytest.skip(f"this webui has no setting {', '.join(sorted(missing))}")


def loop(server, job, expected_reads, **more) -> None:
    """Without keeping and with it; every picture and infotext is the same."""
    need_settings(server, job.get("override_settings", {}))
    made(server, job, **off(job), **more)
    expected = [made(server, job, denoising_strength=it, **off(job), **more) for it in STRENGTHS]
    server.client.post("/multipass/v1/release")
    reads = []
    for strength, plain in zip(STRENGTHS, expected, strict=True):
        server.client.txt2img(seed=99, override_settings={"sd_model_checkpoint": B, "multipass_stages": 512})
        server.client.probe()
        got = made(server, job, denoising_strength=strength, **more)
        reads.append(server.client.probe()["reads"])
        assert got.difference(plain) == 0
        assert [without_hashes(text) for text in got.infotexts] == [without_hashes(text) for text in plain.infotexts]
    assert reads[0][:2] == [A, B]
    assert reads[1:] == [expected_reads] * 2


def without_hashes(text: str) -> str:
    """An infotext without the textual inversions: the webui names them where it encodes a text, not where it has it."""
    return re.sub(r', TI hashes: "[^"]*"', "", text)


@pytest.mark.in_turn
@pytest.mark.parametrize("case", CASES)
def test_a_loop(tight, case):
    loop(tight, CASES[case], [])


@pytest.mark.in_turn
@pytest.mark.parametrize("case", OWN)
def test_a_loop_with_settings_of_the_second_pass(tight, case):
    job = pixels(override_settings={"sd_model_checkpoint": A}) if case == "the override of the base" else pixels()
    loop(tight, job, [], own=OWN[case])


@pytest.mark.both
@pytest.mark.parametrize(("own", "reads"), [({}, []), ({"adetailer": C}, [C])], ids=["second", "third"])
def test_a_loop_with_faces(tight, own, reads):
    if not tight.webui.adetailer:
        pytest.skip("this webui has no ADetailer")
    loop(tight, pixels(), reads, scripts=adetailer(tight), own=own)


def test_a_loop_that_ends_in_sdxl(tight):
    if XL not in [model["model_name"] for model in tight.client.get("/sdapi/v1/sd-models")]:
        pytest.skip(f"there is no SDXL checkpoint {XL} in this webui")
    server, job = tight, pixels()
    expected = [made(server, job, own={"checkpoint": XL}, denoising_strength=it, **off(job)) for it in STRENGTHS]
    server.client.post("/multipass/v1/release")
    for number, (strength, plain) in enumerate(zip(STRENGTHS, expected, strict=True)):
        server.client.probe()
        got = made(server, job, own={"checkpoint": XL}, denoising_strength=strength)
        assert got.difference(plain) == 0
        assert len(server.client.probe()["reads"]) == (0 if number else 2)


@pytest.mark.both
@pytest.mark.parametrize(("order", "reads"), [("Automatic", [A, B]), ("Picture by picture", [A, B] * 3)])
def test_pictures_of_a_batch_count(tight, order, reads):
    job = pixels(n_iter=3, override_settings={"multipass_order": order})
    made(tight, job, **off(job))
    expected = [made(tight, job, denoising_strength=it, **off(job)) for it in STRENGTHS]
    tight.client.post("/multipass/v1/release")
    for number, (strength, plain) in enumerate(zip(STRENGTHS, expected, strict=True)):
        tight.client.txt2img(seed=99, override_settings={"sd_model_checkpoint": B, "multipass_stages": 512})
        tight.client.probe()
        got = made(tight, job, denoising_strength=strength)
        assert (got.difference(plain), got.infotexts) == (0, plain.infotexts)
        assert tight.client.probe()["reads"] == ([] if number else reads)
    alone = made(tight, pixels(), seed=9, denoising_strength=STRENGTHS[0])
    assert np.array_equal(alone.pictures[0], expected[0].pictures[2])


@pytest.mark.in_turn
@pytest.mark.parametrize("case", CASES)
def test_a_batch_count_pass_by_pass(tight, case):
    """Four pictures, or twice as many in batches, from two files."""
    server, job = tight, {**CASES[case], "n_iter": 4}
    need_settings(server, job.get("override_settings", {}))
    made(server, job, **off(job))
    expected = made(server, job, **off(job))
    server.client.post("/multipass/v1/release")
    server.client.txt2img(seed=99, override_settings={"sd_model_checkpoint": B})
    server.client.probe()
    got = made(server, job)
    assert server.client.probe()["reads"] == [A, B]
    assert got.difference(expected) == 0
    assert [without_hashes(text) for text in got.infotexts] == [without_hashes(text) for text in expected.infotexts]
    assert got.info["all_seeds"] == expected.info["all_seeds"]


@pytest.mark.both
def test_a_batch_count_with_faces_pass_by_pass(tight):
    """Each picture is what its seed gives alone."""
    if not tight.webui.adetailer:
        pytest.skip("this webui has no ADetailer")
    job = pixels(n_iter=3)
    made(tight, pixels(), **off(job), scripts=adetailer(tight))
    alone = [made(tight, pixels(seed=7 + number), **off(job), scripts=adetailer(tight)) for number in range(3)]
    tight.client.post("/multipass/v1/release")
    tight.client.probe()
    got = made(tight, job, scripts=adetailer(tight))
    assert tight.client.probe()["reads"] == [A, B]
    assert got.difference(Rendered([one.pictures[0] for one in alone], [], [], {})) == 0
    assert got.infotexts == [one.infotexts[0] for one in alone]


@pytest.mark.both
def test_other_jobs_in_between(tight):
    """Plain ones, with another seed, with another second checkpoint, and interrupted ones."""
    job = pixels()
    expected, plain = made(tight, job, **off(job)), tight.client.txt2img(seed=11)
    other = made(tight, job, own={"checkpoint": C}, **off(job))
    tight.client.post("/multipass/v1/release")
    for _ in range(2):
        assert made(tight, job).difference(expected) == 0
        assert made(tight, job, own={"checkpoint": C}).difference(other) == 0
        made(tight, job, seed=5)
        assert tight.client.txt2img(seed=11).difference(plain) == 0
        tight.client.post("/probe/arm", {"action": "interrupt", "step": 1})
        made(tight, job, denoising_strength=0.9)
        assert made(tight, job).difference(expected) == 0


@pytest.mark.both
@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_an_interrupt_before_the_second_pass(tight, upscaler):
    """What comes of it is the first pass, by its own VAE. The step is one behind its last, where a kept pass stands."""
    job = hires(upscaler, override_settings={"sd_vae": "None"})
    first = tight.client.txt2img(override_settings={"sd_vae": "None"})
    for _ in range(2):
        made(tight, job)
    tight.client.post("/probe/arm", {"action": "interrupt", "step": 4})
    got = made(tight, job)
    assert got.difference(first) == 0
    assert made(tight, job).difference(made(tight, job, **off(job))) == 0


@pytest.mark.both
def test_the_webuis_own_note_names_the_first_pass(tight):
    """A file from which the page restores a job, written before the texts are encoded (1.6.0) or after that."""
    tight.client.post("/multipass/v1/release")
    for number in range(2):
        tight.client.probe()
        made(tight, pixels())
        assert len(tight.client.probe()["reads"]) == (0 if number else 2)
        assert "Model: alpha" in (tight.data / "params.txt").read_text(encoding="utf8")
