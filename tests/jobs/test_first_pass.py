""" "Show the first pass" on running webuis: a plain job with the first checkpoint must give the same picture."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from support.client import Rendered
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer, replayed, warm, without
from support.settings import settings

SHOWN = {"enabled": True, "checkpoint": B, "show_first_pass": True}
COUNTS = ({"n_iter": 1}, {"n_iter": 3}, {"batch_size": 2})


def shown(server, *, on=True, scripts=None, **body) -> Rendered:
    return warm(server, **body, alwayson_scripts={**(scripts or {}), **multipass({**SHOWN, "show_first_pass": on})})


@pytest.mark.parametrize("count", COUNTS, ids=lambda count: "{}={}".format(*next(iter(count.items()))))
@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_a_plain_job_gives_the_first_pass_again(pair, upscaler, count):
    usual = shown(pair.ours, on=False, **hires(upscaler), **count)
    got = shown(pair.ours, **hires(upscaler), **count)
    number, first = len(usual.pictures), len(got.pictures) - len(usual.pictures)
    assert first == count.get("n_iter", 1) * count.get("batch_size", 1)
    assert Rendered(got.pictures[:number], [], [], {}).same_as(usual)
    assert got.infotexts[:number] == usual.infotexts
    assert len(got.infotexts) == len(got.pictures)
    for picture, infotext in zip(got.pictures[number:], got.infotexts[number:], strict=True):
        again = replayed(pair.stock.client, infotext)
        # Up to 1.7.0 the API gives a job without hires pass a denoising strength of 0.
        assert without(infotext) == without(again.infotext, "Denoising strength")
        if "batch_size" in count:  # a batch of its own may differ in the last bit
            assert np.abs(picture.astype(int) - again.pictures[0]).max() <= 1
        else:
            assert np.array_equal(picture, again.pictures[0])


def test_the_lists_stay_aligned(pair):
    got = shown(pair.ours, **hires(), n_iter=3)
    finished = got.info["all_seeds"][:3]
    assert got.info["all_seeds"] == [*finished, *finished]
    for name in ("all_prompts", "all_negative_prompts", "all_subseeds"):
        assert len(got.info[name]) == 6
    seeds = [re.search(r"Seed: (\d+)", text)[1] for text in got.infotexts[got.info["index_of_first_image"] :]]
    assert seeds == list(map(str, got.info["all_seeds"]))


def test_the_picture_in_the_answer_carries_its_own_infotext(pair):
    got = shown(pair.ours, **hires())
    info = pair.ours.client.post("/sdapi/v1/png-info", {"image": got.encoded[-1]})["info"]
    assert info == got.infotexts[-1]
    assert not re.search("Hires|Multipass|Denoising", info)


@pytest.mark.parametrize("count", COUNTS[1:], ids=["n_iter", "batch_size"])
def test_with_adetailer(pair, count):
    need_adetailer(pair)
    plain = warm(pair.stock, **count)
    got = shown(pair.ours, scripts=adetailer(pair.ours, C), **hires(), **count)
    number = count.get("n_iter", 1) * count.get("batch_size", 1)
    assert Rendered(got.pictures[-number:], [], [], {}).same_as(Rendered(plain.pictures[-number:], [], [], {}))
    assert len(got.pictures) - len(shown(pair.ours, on=False, **hires(), **count).pictures) == number
    for text, expected in zip(got.infotexts[-number:], plain.infotexts[-number:], strict=True):
        assert without(text) == without(expected, "Denoising strength")


def test_of_a_job_that_ends_in_its_first_pass_there_is_only_the_result(pair):
    pair.ours.client.post("/probe/arm", {"action": "interrupt", "step": 2})
    got = pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(SHOWN))
    assert len(got.pictures) == 1


def test_of_a_job_that_ends_in_its_second_pass_the_first_is_shown(pair):
    plain = warm(pair.stock)
    pair.ours.client.post("/probe/arm", {"action": "interrupt", "step": 1, "nth": 2})
    got = pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(SHOWN))
    assert len(got.pictures) == 2
    assert np.array_equal(got.pictures[1], plain.pictures[0])


def test_without_a_swap(pair):
    plain = warm(pair.stock)
    got = warm(pair.ours, **hires(), alwayson_scripts=multipass({**SHOWN, "checkpoint": A}))
    assert np.array_equal(got.pictures[1], plain.pictures[0])


def test_it_is_saved_as_the_webui_saves(pair, tmp_path):
    job = {**hires(), "n_iter": 2, "alwayson_scripts": multipass(SHOWN)}
    with settings(pair.ours, samples_save=True, outdir_txt2img_samples=str(tmp_path / "saved")):
        pair.ours.client.txt2img(**job)
        assert not [*tmp_path.rglob("*.png")]
        got = pair.ours.client.txt2img(**job, save_images=True)
    files = sorted(tmp_path.rglob("*-first-pass.png"))
    assert len(files) == 2
    assert len([*tmp_path.rglob("*.png")]) == 4
    for file, picture, text in zip(files, got.pictures[-2:], got.infotexts[-2:], strict=True):
        assert np.array_equal(np.asarray(Image.open(file).convert("RGB")), picture)
        assert Image.open(file).info["parameters"] == text
