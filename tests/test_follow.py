"""What the webui holds beside the models follows a swap between kept ones, on running webuis."""

from __future__ import annotations

import os

import numpy as np
import pytest

from support.client import RefusedError
from support.jobs import A, B, adetailer, hires, multipass, need_adetailer, warm
from support.webuis import Server

XL = "epsilon"
"""An SDXL checkpoint among the files for real webuis; A, B and C are SD 1.x."""
MIXED = {"override_settings": {"sd_model_checkpoint": XL}}


def beside(server: Server) -> dict:
    return server.client.get("/probe/beside")


def seams(picture: np.ndarray) -> float:
    """How much the outermost rows and columns differ, against neighbours inside; about 1 in pictures that tile."""
    whole = picture.astype(float)
    edge = np.abs(whole[0] - whole[-1]).mean() + np.abs(whole[:, 0] - whole[:, -1]).mean()
    inside = np.abs(np.diff(whole, axis=0)).mean() + np.abs(np.diff(whole, axis=1)).mean()
    return edge / inside


def test_tiling_follows_to_both_checkpoints(pair):
    job = {**hires(), "n_iter": 2, "tiling": True, "alwayson_scripts": multipass(True, B)}
    warm(pair.ours, **job)
    state = beside(pair.ours)
    assert state["tiling"] == [A, B]
    assert state["layers of"] == [B]
    pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
    assert beside(pair.ours)["tiling"] == []


def test_the_webui_by_hand_leaves_the_second_checkpoint_out_of_tiling(start):
    """What the above is compared with."""
    with start(multipass=False, config={"sd_checkpoints_limit": 4}) as server:
        warm(server, **hires(), tiling=True, hr_checkpoint_name=B)
        assert B not in beside(server)["tiling"]


def test_a_tiled_job_gives_one_picture_however_its_checkpoints_came(start):
    """Loaded anew, into another's place, or activated again."""
    job = {**hires(), "tiling": True, "alwayson_scripts": multipass(True, B)}
    with start() as server:
        first = server.client.txt2img(**job)
        again = server.client.txt2img(**job)
        assert np.abs(first.pictures[0].astype(int) - again.pictures[0]).max() <= 1
        assert beside(server)["tiling"] == [A, B]
        if server.webui.real:
            plain = server.client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
            assert seams(again.pictures[0]) < seams(plain.pictures[0])


def test_a_plain_job_after_a_tiled_one(pair):
    expected = warm(pair.stock)
    warm(pair.ours, **hires(), tiling=True, alwayson_scripts=multipass(True, B))
    got = pair.ours.client.txt2img()
    assert got.same_as(expected)
    assert beside(pair.ours)["tiling"] == []


def test_parked_models_are_left_clean_for_a_users_higher_limit(start):
    with start(config={"sd_checkpoints_limit": 3}) as server:
        expected = warm(server, override_settings={"sd_model_checkpoint": B})
        server.client.txt2img()
        warm(server, **hires(), tiling=True, alwayson_scripts=multipass(True, B))
        server.client.txt2img()
        state = beside(server)
        assert (state["tiling"], state["layers of"]) == ([], [A])
        assert server.client.txt2img(override_settings={"sd_model_checkpoint": B}).same_as(expected)


def test_a_user_of_a_higher_limit_who_never_ticks_stays_with_the_webuis_ways(start):
    jobs = [{"tiling": True}, {"override_settings": {"sd_model_checkpoint": B}}, {"tiling": True}, {}]
    seen = []
    for with_us in (False, True):
        with start(multipass=with_us, config={"sd_checkpoints_limit": 3}) as server:
            pictures = [server.client.txt2img(**job) for job in jobs]
            seen.append((pictures, beside(server)))
    assert seen[0][1] == seen[1][1]
    assert all(stock.same_as(ours) for stock, ours in zip(seen[0][0], seen[1][0], strict=True))


def need_xl(server: Server) -> None:
    models = [model["model_name"] for model in server.client.get("/sdapi/v1/sd-models")]
    if XL not in models:
        pytest.skip(f"there is no SDXL checkpoint {XL} in this webui")


def need_embeddings(server: Server) -> None:
    if not beside(server)["embeddings"]:
        pytest.skip("this webui has no textual inversions")


def test_embeddings_follow_between_architectures(pair):
    """A job that goes from SD 1.x to SDXL and back for every picture uses the embeddings of each in its own pass."""
    need_xl(pair.ours)
    need_embeddings(pair.ours)
    pair.ours.client.txt2img()
    plain = beside(pair.ours)
    job = {**hires("Lanczos"), "prompt": "mood-sd1 mood-sdxl, a cat", "n_iter": 2}
    got = warm(pair.ours, **job, alwayson_scripts=multipass(True, XL))
    there = beside(pair.ours)
    assert there["embeddings"] == plain["others"]
    assert there["others"] == plain["embeddings"]
    whole = [
        warm(pair.ours, **{**job, "seed": 7 + n, "n_iter": 1}, alwayson_scripts=multipass(True, XL)) for n in (0, 1)
    ]
    for picture, alone in zip(got.pictures[-2:], whole, strict=True):
        assert np.array_equal(picture, alone.pictures[-1])
    assert pair.ours.client.probe()["reads"] == []
    got = pair.ours.client.txt2img(prompt="mood-sd1, a cat")
    assert beside(pair.ours) == plain
    assert "mood-sd1" in got.infotext.split("TI hashes")[-1]


def test_the_second_picture_has_the_first_checkpoints_embeddings(start):
    """With the webui by hand it has not: the embeddings stay those of the checkpoint that was loaded last."""
    job = {**hires("Lanczos"), "prompt": "mood-sd1, a cat", "n_iter": 1}
    shown = {"enabled": True, "checkpoint": XL, "show_first_pass": True}
    with start(multipass=False, config={"sd_checkpoints_limit": 4}) as server:
        need_xl(server)
        need_embeddings(server)
        expected = server.client.txt2img(prompt=job["prompt"])
        without_it = server.client.txt2img(prompt="a dog")
        warm(server, **job, hr_checkpoint_name=XL)
        by_hand = server.client.txt2img(prompt=job["prompt"])
        assert not by_hand.same_as(expected)
    with start() as server:
        got = warm(server, **job, alwayson_scripts=multipass(shown))
        assert np.array_equal(got.pictures[-1], expected.pictures[0])
        assert server.client.txt2img(prompt=job["prompt"]).same_as(expected)
    assert not expected.same_as(without_it)


def test_embeddings_that_were_added_meanwhile_are_found(start):
    with start() as server:
        need_xl(server)
        need_embeddings(server)
        warm(server, **hires("Lanczos"), alwayson_scripts=multipass(True, XL))
        folder = server.data / "embeddings"
        (folder / "fresh.safetensors").write_bytes((folder / "mood-sd1.safetensors").read_bytes())
        os.utime(folder, (os.stat(folder).st_atime, os.stat(folder).st_mtime + 5))  # noqa: PTH116
        server.client.txt2img(**hires("Lanczos"), alwayson_scripts=multipass(True, XL))
        assert "fresh" in beside(server)["others"]
        server.client.txt2img()
        assert "fresh" in beside(server)["embeddings"]


@pytest.fixture
def schedule(pair):
    """Zero Terminal SNR for one job; 1.8.0 and later."""
    if "sd_noise_schedule" not in pair.ours.client.get("/sdapi/v1/options"):
        pytest.skip('the setting "Noise schedule" came with 1.8.0')
    return {"sd_noise_schedule": "Zero Terminal SNR"}


def test_the_noise_schedule_of_a_job_does_not_stay(start, pair, schedule):
    """What by hand is so at the default limit, where the second checkpoint is loaded anew each time."""
    with start(multipass=False) as server:
        job = {**hires(), "n_iter": 2}
        warm(server, **job, hr_checkpoint_name=B)
        special = warm(server, **job, hr_checkpoint_name=B, override_settings=schedule)
        usual = warm(server, **job, hr_checkpoint_name=B)
    assert not special.same_as(usual)
    with start() as server:
        server.client.txt2img(**job, alwayson_scripts=multipass(True, B), override_settings=schedule)
        got = warm(server, **job, alwayson_scripts=multipass(True, B))
        assert got.same_as(usual)
        again = server.client.txt2img(**job, alwayson_scripts=multipass(True, B), override_settings=schedule)
        assert again.same_as(special)


def test_the_noise_schedule_stays_on_a_kept_model_by_hand(start, pair, schedule):
    with start(multipass=False, config={"sd_checkpoints_limit": 4}) as server:
        usual = warm(server, **hires(), hr_checkpoint_name=B)
    with start(multipass=False, config={"sd_checkpoints_limit": 4}) as server:
        server.client.txt2img(**hires(), hr_checkpoint_name=B, override_settings=schedule)
        assert not warm(server, **hires(), hr_checkpoint_name=B).same_as(usual)


@pytest.fixture
def fp8(pair):
    if "fp8_storage" not in pair.ours.client.get("/sdapi/v1/options"):
        pytest.skip('the setting "FP8 weight" came with 1.8.0')
    need_xl(pair.ours)


def test_fp8_for_sdxl_reads_nothing_again(start, fp8):
    job = {**hires("Lanczos"), "n_iter": 2}
    config = {"fp8_storage": "Enable for SDXL"}
    with start(multipass=False, config={**config, "sd_checkpoints_limit": 4}) as server:
        try:
            warm(server, **job, hr_checkpoint_name=XL)
        except RefusedError as error:
            pytest.skip(f"this machine cannot render in fp8: {error}")
        by_hand = server.client.probe()["reads"]
    with start(config=config) as server:
        warm(server, **job, alwayson_scripts=multipass(True, XL))
        assert server.client.probe()["reads"] == []
        assert beside(server)["fp8"] is True
        server.client.txt2img()
        assert server.client.probe()["reads"] == []
        assert beside(server)["fp8"] is False
    assert by_hand != []


def test_fp8_that_is_switched_between_two_jobs_reaches_kept_models(start, fp8):
    job = {**hires("Lanczos"), "alwayson_scripts": multipass(True, XL)}
    with start(config={"fp8_storage": "Disable"}) as server:
        warm(server, **job)
        sizes = server.client.probe()["bytes"]
        server.client.post("/sdapi/v1/options", {"fp8_storage": "Enable"})
        try:
            warm(server, **job)
        except RefusedError as error:
            pytest.skip(f"this machine cannot render in fp8: {error}")
        smaller = server.client.probe()["bytes"]
        assert all(smaller[name] < size for name, size in sizes.items())


def test_a_temporary_vae_does_not_stay_on_kept_models(pair):
    other = {"sd_vae": "other.safetensors"}
    usual = warm(pair.ours, **hires(), n_iter=2, alwayson_scripts=multipass(True, B))
    pair.ours.client.txt2img(**hires(), n_iter=2, override_settings=other, alwayson_scripts=multipass(True, B))
    assert pair.ours.client.txt2img(**hires(), n_iter=2, alwayson_scripts=multipass(True, B)).same_as(usual)


def test_with_adetailer_the_rest_follows_too(pair):
    need_adetailer(pair)
    job = {**hires(), "n_iter": 2, "tiling": True}
    scripts = {**adetailer(pair.ours), **multipass(True, B, "Same as first pass")}
    warm(pair.ours, **job, alwayson_scripts=scripts)
    state = beside(pair.ours)
    assert (state["layers of"], state["tiling"]) == ([A], [A, B])
