"""The infotext of whole jobs, on running webuis: hashes, and pictures that tell the truth about themselves."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_multipass import __version__
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer, replayed, warm, without
from support.settings import settings


def entry(infotext: str, key: str) -> str | None:
    found = re.search(rf"(?:^|, ){key}: ([^,]*)", infotext.split("\n")[-1])
    return found and found[1]


HASHED = re.compile(r"(\w+)\.safetensors \[[0-9a-f]{10}\]")


def test_the_first_picture_of_a_never_hashed_file_has_its_hash(start, webui):
    faces = bool(webui.adetailer)
    with start() as server:
        scripts = {**(adetailer(server) if faces else {}), **multipass(True, B, C)}
        got = server.client.txt2img(**hires(), n_iter=2, alwayson_scripts=scripts)
        for infotext in got.infotexts[-2:]:
            assert HASHED.fullmatch(entry(infotext, "Multipass checkpoint"))[1] == B
            assert entry(infotext, "Multipass version") == __version__
            if faces:
                assert HASHED.fullmatch(entry(infotext, "Multipass ADetailer"))[1] == C
        if webui.real:
            assert [server.log.count(f"{name}.safetensors: ") for name in (A, B)] == [1, 1]  # "Calculating sha256 for"
        assert server.client.txt2img(**hires(), alwayson_scripts=scripts).infotexts[-1].count("Multipass") >= 2


def test_no_hash_where_there_shall_be_none(start):
    with start("--no-hashing") as server:
        got = server.client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
        assert entry(got.infotext, "Multipass checkpoint") == f"{B}.safetensors"
        again = server.client.txt2img(**hires(), alwayson_scripts=multipass(True, f"{B}.safetensors"))
        assert again.same_as(got)


def test_the_hash_is_there_without_reading_ahead(start):
    with start(config={"multipass_read_ahead": False}) as server:
        got = server.client.txt2img(**hires("Lanczos"), alwayson_scripts=multipass(True, B))
        assert HASHED.fullmatch(entry(got.infotext, "Multipass checkpoint"))[1] == B


def test_a_job_that_the_webui_can_do_alone_says_nothing_of_ours(pair):
    got = pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(True, A))
    assert "Multipass" not in got.infotext


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_the_infotext_of_a_copy_before_the_hires_pass_makes_that_copy(pair, tmp_path, upscaler):
    saving = {"samples_save": True, "save_images_before_highres_fix": True, "outdir_txt2img_samples": str(tmp_path)}
    job = {**hires(upscaler), "n_iter": 2, "save_images": True, "alwayson_scripts": multipass(True, B)}
    warm(pair.ours, **job)
    with settings(pair.ours, **saving):
        pair.ours.client.txt2img(**job)
    files = sorted(tmp_path.rglob("*-before-highres-fix.png"))
    assert [entry(parameters(file), "Seed") for file in files] == ["7", "8"]
    for file in files:
        again = replayed(pair.stock.client, parameters(file))
        assert np.array_equal(pixels(file), again.pictures[0])
        assert without(parameters(file)) == without(again.infotext, "Denoising strength")


def test_the_infotext_of_a_batch_names_each_pictures_own_seed(pair, tmp_path):
    saving = {"samples_save": True, "save_images_before_highres_fix": True, "outdir_txt2img_samples": str(tmp_path)}
    job = {**hires(), "batch_size": 2, "n_iter": 2, "save_images": True, "alwayson_scripts": multipass(True, B)}
    with settings(pair.ours, **saving):
        pair.ours.client.txt2img(**job)
    files = sorted(tmp_path.rglob("*-before-highres-fix.png"))
    assert [entry(parameters(file), "Seed") for file in files] == ["7", "8", "9", "10"]


def test_a_copy_of_a_job_without_us_keeps_the_webuis_infotext(pair, tmp_path):
    saving = {"samples_save": True, "save_images_before_highres_fix": True, "outdir_txt2img_samples": str(tmp_path)}
    job = hires(hr_cfg=5)  # reForge writes 0, and what it means only after the copy
    with settings(pair.ours, **saving):
        got = pair.ours.client.txt2img(**job, hr_checkpoint_name=B, save_images=True)
    (file,) = tmp_path.rglob("*-before-highres-fix.png")
    assert parameters(file) == got.infotext


def test_the_infotext_of_a_picture_before_adetailer_makes_that_picture(pair, start, tmp_path):
    need_adetailer(pair)
    if not pair.real:
        pytest.skip("the miniature's ADetailer saves no pictures")
    expected = warm(pair.ours, **hires("Lanczos"), n_iter=2, alwayson_scripts=multipass(True, B))
    scripts = {**adetailer(pair.ours), **multipass(True, B, C)}
    saving = {"ad_save_images_before": True, "samples_save": True, "outdir_txt2img_samples": str(tmp_path / "saved")}
    with start(config=saving) as server:
        server.client.txt2img(**hires("Lanczos"), n_iter=2, alwayson_scripts=scripts, save_images=True)
    files = sorted((tmp_path / "saved").rglob("*-ad-before.png"))
    for file, picture, infotext in zip(files, expected.pictures[-2:], expected.infotexts[-2:], strict=True):
        assert np.array_equal(pixels(file), picture)
        assert without(parameters(file)) == without(infotext)


def test_the_grid_says_what_its_first_picture_says(pair):
    got = pair.ours.client.txt2img(**hires(), n_iter=2, alwayson_scripts=multipass({"checkpoint": B, "cfg_scale": 3}))
    if got.info["index_of_first_image"]:
        assert got.infotexts[0] == got.infotexts[1]


def parameters(file: Path) -> str:
    return Image.open(file).info["parameters"]


def pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"))
