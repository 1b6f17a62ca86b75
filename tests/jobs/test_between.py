"""The end of a job between its passes, on running webuis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.client import Rendered
from support.jobs import A, B, adetailer, hires, multipass, need_adetailer, warm
from support.settings import settings
from support.webuis import Server

UPSCALERS = ("Latent", "Lanczos")


def ended(server: Server, action: str = "interrupt", nth: int = 1, step: int = 2, **body) -> Rendered:
    """A job that is ended when this sampling step comes for the nth time."""
    server.client.post("/probe/arm", {"action": action, "step": step, "nth": nth})
    return server.client.txt2img(**body)


def active(server: Server) -> str:
    return server.client.probe()["active"]


@pytest.mark.parametrize("action", ["interrupt", "skip"])
@pytest.mark.parametrize("upscaler", UPSCALERS)
def test_a_job_that_ends_in_its_first_pass_is_the_first_checkpoints(pair, upscaler, action):
    expected = ended(pair.stock, action)
    warm(pair.ours, **hires(upscaler), alwayson_scripts=multipass(True, B))
    got = ended(pair.ours, action, **hires(upscaler), alwayson_scripts=multipass(True, B))
    assert active(pair.ours) == A
    assert got.same_as(expected)
    by_hand = ended(pair.stock, action, **hires(upscaler), hr_checkpoint_name=B)
    assert active(pair.stock) == B
    assert not by_hand.same_as(expected)


@pytest.mark.both
def test_a_job_that_ends_in_its_first_pass_loads_nothing(start):
    with start(multipass=False) as server:
        server.client.probe()
        ended(server, **hires(), hr_checkpoint_name=B)
        assert server.client.probe()["reads"] == [B]
    with start() as server:
        server.client.probe()
        ended(server, **hires(), alwayson_scripts=multipass(True, B))
        state = server.client.probe()
        assert (state["reads"], state["active"], state["loaded"]) == ([], A, [A])


@pytest.mark.both
def test_a_job_that_ends_while_its_second_checkpoint_is_loaded(start):
    with start() as server:
        expected = server.client.txt2img()
        server.client.probe()
        server.client.post("/probe/arm", {"action": "interrupt", "file": B})
        got = server.client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
        state = server.client.probe()
        assert (state["reads"], state["active"]) == ([B], A)
        assert got.same_as(expected)


def test_only_the_skipped_picture_ends(pair):
    job = {**hires(), "n_iter": 2}
    whole = warm(pair.ours, **job, alwayson_scripts=multipass(True, B))
    first = ended(pair.stock, "skip")
    got = ended(pair.ours, "skip", **job, alwayson_scripts=multipass(True, B))
    assert np.array_equal(got.pictures[-2], first.pictures[0])
    assert np.array_equal(got.pictures[-1], whole.pictures[-1])
    assert active(pair.ours) == B


def test_a_batch_that_ends_in_its_first_pass(pair):
    expected = ended(pair.stock, batch_size=2)
    warm(pair.ours, **hires(), batch_size=2, alwayson_scripts=multipass(True, B))
    got = ended(pair.ours, **hires(), batch_size=2, alwayson_scripts=multipass(True, B))
    assert got.same_as(expected)


@pytest.mark.both
def test_a_later_picture_that_ends_in_its_first_pass(pair):
    job = {**hires(), "n_iter": 3}
    whole = warm(pair.ours, **job, alwayson_scripts=multipass(True, B))
    got = ended(pair.ours, nth=3, step=1, **job, alwayson_scripts=multipass(True, B))
    assert len(whole.pictures) - len(got.pictures) == 1
    assert np.array_equal(got.pictures[-2], whole.pictures[-3])
    assert np.array_equal(got.pictures[-1], ended(pair.stock, step=1, seed=8).pictures[0])


@pytest.mark.both
def test_an_ended_job_with_adetailer(pair):
    need_adetailer(pair)
    expected = ended(pair.stock)
    scripts = {**adetailer(pair.ours), **multipass(True, B)}
    warm(pair.ours, **hires(), alwayson_scripts=scripts)
    got = ended(pair.ours, **hires(), alwayson_scripts=scripts)
    assert got.same_as(expected)
    assert active(pair.ours) == A


@pytest.mark.both
def test_a_job_that_ends_in_its_second_pass_is_as_by_hand(pair):
    expected = ended(pair.stock, nth=2, step=1, **hires(), hr_checkpoint_name=B)
    warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    got = ended(pair.ours, nth=2, step=1, **hires(), alwayson_scripts=multipass(True, B))
    assert got.same_as(expected)
    assert active(pair.ours) == B


@pytest.mark.parametrize("upscaler", UPSCALERS)
def test_copies_before_the_hires_pass_are_the_first_checkpoints(pair, tmp_path, upscaler):
    # Up to 1.9 pictures are saved below the webui's own folder unless they are told where.
    saving = {"samples_save": True, "save_images_before_highres_fix": True}
    saving["outdir_txt2img_samples"] = str(tmp_path / "saved")
    job = {**hires(upscaler), "save_images": True, "batch_size": 2}
    expected = warm(pair.stock, batch_size=2).pictures[-2:]
    with settings(pair.stock, **saving):
        by_hand = copies(pair.stock, tmp_path, **job, hr_checkpoint_name=B)
    with settings(pair.ours, **saving):
        got = copies(pair.ours, tmp_path, **job, alwayson_scripts=multipass(True, B))
    assert len(got) == len(by_hand) == 2
    assert [nearly(picture, plain) for picture, plain in zip(got, expected, strict=True)] == [True] * 2
    same = [nearly(picture, plain) for picture, plain in zip(by_hand, expected, strict=True)]
    assert same == [upscaler != "Latent"] * 2


def nearly(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the pictures are equal but for the last bit, which may come out otherwise in another batch."""
    return bool(np.abs(one.astype(int) - other).max() <= 1)


def copies(server: Server, folder: Path, **body) -> list[np.ndarray]:
    """The copies that a job saves."""
    server.client.txt2img(**body)
    before = {*folder.rglob("*-before-highres-fix.png")}
    server.client.txt2img(**body)
    after = sorted({*folder.rglob("*-before-highres-fix.png")} - before)
    return [np.asarray(Image.open(file).convert("RGB")) for file in after]
