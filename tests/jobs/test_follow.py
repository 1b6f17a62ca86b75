"""What the webui holds beside the models follows a swap between kept ones, on running webuis."""

from __future__ import annotations

import re

import numpy as np
import pytest

from support.client import Rendered
from support.hosts import A1111, NEO, REFORGE
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer, need_limits, vae_override, warm
from support.settings import settings
from support.webuis import Server

pytestmark = pytest.mark.both
XL = "epsilon"
"""An SDXL checkpoint among the files for real webuis; A, B and C are SD 1.x."""
TAGGED = "a cat, <lora:style-sd1:0.9> sunny"


def beside(server: Server) -> dict:
    return server.client.get("/probe/beside")


def layers_of(server: Server, checkpoint: str) -> list[str]:
    """Whose layers the webui has at hand for tiling; the forks look for them whenever they need them."""
    return [checkpoint] if server.webui.kind is A1111 else []


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
    assert state["layers of"] == layers_of(pair.ours, B)
    pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
    assert beside(pair.ours)["tiling"] == []


def test_the_webui_by_hand_leaves_a_checkpoint_out_of_tiling(pair):
    """What the above is compared with."""
    warm(pair.stock, **hires(), hr_checkpoint_name=B)
    warm(pair.stock, **hires(), tiling=True, hr_checkpoint_name=B)
    assert len(beside(pair.stock)["tiling"]) < 2
    pair.stock.client.txt2img()  # turns it off again


def test_a_tiled_job_gives_one_picture_however_its_checkpoints_came(pair):
    """Loaded, or activated again."""
    job = {**hires(), "tiling": True, "alwayson_scripts": multipass(True, B)}
    pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(True, C))
    pair.ours.client.probe()
    first = pair.ours.client.txt2img(**job)
    assert pair.ours.client.probe()["reads"] == [B]
    again = pair.ours.client.txt2img(**job)
    assert pair.ours.client.probe()["reads"] == []
    assert np.abs(first.pictures[0].astype(int) - again.pictures[0]).max() <= 1
    assert beside(pair.ours)["tiling"] == [A, B]
    plain = pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
    if pair.real:  # the miniature paints no edges
        assert not again.same_as(plain)
        if pair.ours.webui.kind is not NEO:  # where the plain picture happens to have no seam
            assert seams(again.pictures[0]) < seams(plain.pictures[0])


def test_a_plain_job_after_a_tiled_one(pair):
    expected = warm(pair.stock)
    warm(pair.ours, **hires(), tiling=True, alwayson_scripts=multipass(True, B))
    got = pair.ours.client.txt2img()
    assert got.same_as(expected)
    assert beside(pair.ours)["tiling"] == []


def test_parked_models_are_left_clean_for_a_users_higher_limit(pair):
    need_limits(pair.ours.webui)
    with settings(pair.ours, sd_checkpoints_limit=3):
        expected = warm(pair.ours, override_settings={"sd_model_checkpoint": B})
        pair.ours.client.txt2img()
        warm(pair.ours, **hires(), tiling=True, alwayson_scripts=multipass(True, B))
        pair.ours.client.txt2img()
        state = beside(pair.ours)
        assert (state["tiling"], state["layers of"]) == ([], layers_of(pair.ours, A))
        assert pair.ours.client.txt2img(override_settings={"sd_model_checkpoint": B}).same_as(expected)
        # Up to 1.8.0 the webui cannot bear a limit that falls below the number of its models; with us holding it can.
        pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(True, B))


def test_a_user_of_a_higher_limit_who_never_ticks_stays_with_the_webuis_ways(webui, start):
    need_limits(webui)
    jobs = [{"tiling": True}, {"override_settings": {"sd_model_checkpoint": B}}, {"tiling": True}, {}]
    seen = []
    for with_us in (False, True):
        with start(multipass=with_us, config={"sd_checkpoints_limit": 3}) as server:
            pictures = [server.client.txt2img(**job) for job in jobs]
            seen.append((pictures, beside(server)))
    assert seen[0][1] == seen[1][1]
    assert all(stock.same_as(ours) for stock, ours in zip(seen[0][0], seen[1][0], strict=True))


def near(got: Rendered, expected: Rendered) -> bool:
    """As good as equal: the VAE was rounded once."""
    return got.difference(expected) <= 3


def test_a_vae_that_was_parked_before_the_webui_turned_to_float32(webui, start):
    """Black pictures make the webui compute its VAEs in float32 from then on; it turns the active one alone."""
    if webui.kind is not A1111:
        pytest.skip("this webui does not turn")
    ticked = {**hires("Lanczos"), "alwayson_scripts": multipass(True, B)}
    with start(config={"sd_checkpoints_limit": 3}) as server:
        plain, expected = warm(server), warm(server, **ticked)
        second = warm(server, override_settings={"sd_model_checkpoint": B})
        server.client.txt2img(**ticked)
        for checkpoint in (A, B):
            server.client.post("/probe/halve", {"checkpoint": checkpoint})
            assert near(server.client.txt2img(**ticked), expected)
        server.client.post("/probe/halve", {"checkpoint": A})
        assert near(server.client.txt2img(), plain)
        # Parked when the webui's own limit takes over again.
        warm(server, **hires("Lanczos"), alwayson_scripts=multipass(True, C))
        server.client.txt2img(**ticked)
        server.client.txt2img(**hires("Lanczos"), alwayson_scripts=multipass(True, C))
        server.client.post("/probe/halve", {"checkpoint": B})
        server.client.txt2img()
        assert near(server.client.txt2img(override_settings={"sd_model_checkpoint": B}), second)


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


def test_the_next_picture_has_the_first_checkpoints_embeddings(pair, start):
    """With the webui by hand it has not: the embeddings stay those of the checkpoint that was loaded last.

    reForge does not sort them at a load, so those of the checkpoint that comes first stay for all. In Neo each model
    has its own.
    """
    need_xl(pair.ours)
    need_embeddings(pair.ours)
    job, plain = {**hires("Lanczos"), "prompt": "a hill"}, {"prompt": "mood-sd1, a cat"}
    with start(multipass=False, config={"sd_checkpoints_limit": 2}) as stock:
        expected = warm(stock, **plain)
        stock.client.txt2img(**job, hr_checkpoint_name=XL)
        by_hand = stock.client.txt2img(**plain)
    warm(pair.ours, **job, alwayson_scripts=multipass(True, XL))
    got = pair.ours.client.txt2img(**plain)
    assert got.same_as(expected)
    assert by_hand.same_as(expected) == (pair.ours.webui.kind is not A1111)


def test_embeddings_that_were_added_meanwhile_are_found(pair):
    need_xl(pair.ours)
    need_embeddings(pair.ours)
    warm(pair.ours, **hires("Lanczos"), alwayson_scripts=multipass(True, XL))
    folder = pair.ours.data / pair.ours.webui.kind.embeddings
    fresh = folder / "fresh.safetensors"
    fresh.write_bytes((folder / "mood-sd1.safetensors").read_bytes())
    try:
        pair.ours.client.txt2img(**hires("Lanczos"), alwayson_scripts=multipass(True, XL))
        assert "fresh" in beside(pair.ours)["others"]
        pair.ours.client.txt2img()
        assert "fresh" in beside(pair.ours)["embeddings"]
    finally:
        fresh.unlink()


def need_setting(server: Server, name: str) -> None:
    if name not in server.client.get("/sdapi/v1/options"):
        pytest.skip(f"this webui has no setting {name}")


def test_the_noise_schedule_of_one_job_reaches_both_checkpoints_and_does_not_stay(pair):
    need_setting(pair.ours, "sd_noise_schedule")
    if pair.ours.webui.kind is REFORGE:
        pytest.skip("this webui keeps its noise elsewhere, and leaves the schedule on a model by hand; see below")
    seen = []
    for server, how in ((pair.stock, {"hr_checkpoint_name": B}), (pair.ours, {"alwayson_scripts": multipass(True, B)})):
        usual = warm(server, **hires(), **how)
        before = beside(server)["last alphas"]
        # Not as an override: those of settings that are not stored stay for good (1.7.0 and later).
        with settings(server, sd_noise_schedule="Zero Terminal SNR"):
            server.client.txt2img(**hires(), **how)
            during = beside(server)["last alphas"]
        after = server.client.txt2img(**hires(), **how)
        seen.append([name for name in (A, B) if during[name] < before[name] / 100])
        assert after.same_as(usual)
        assert beside(server)["last alphas"] == before
    # Forge Neo rescales the first pass's noise alone, with us as by hand.
    assert seen == [[A], [A] if pair.ours.webui.kind is NEO else [A, B]]


SETTINGS = {
    "sd_noise_schedule": ("Zero Terminal SNR", []),
    "sd_vae": ("other.safetensors", []),
    "sd_text_encoder": ("TE: gamma", [A, A, B, B]),
}
"""Values, and what has to be read anew for them and for the usual ones after that."""


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_changes_between_jobs_counts_as_by_hand(pair, start, name):
    """By hand, at the webui's own limit, each checkpoint is loaded anew for each pass; here both are kept."""
    need_setting(pair.ours, name)
    if name == "sd_vae" and pair.ours.webui.kind.vaes_are_modules:
        pytest.skip("this webui does not heed the setting")
    value, reads = SETTINGS[name]
    job, kept = {**hires("Lanczos"), "n_iter": 2}, {"alwayson_scripts": multipass(True, B)}
    changing = {**job, "prompt": "a dog"}  # the webui keeps encoded prompts, also when the text encoder changes
    pictures = []
    with start(multipass=False) as stock:
        for server, how in ((stock, {"hr_checkpoint_name": B}), (pair.ours, kept)):
            usual, other = (warm(server, **one, **how) for one in (job, changing))
            server.client.txt2img(**job, **how)
            server.client.probe()
            with settings(server, **{name: value}):
                changed = server.client.txt2img(**changing, **how)
            after = server.client.txt2img(**job, **how)
            pictures.append((usual, other, changed, after))
    assert sorted(pair.ours.client.probe()["reads"]) == reads
    assert [ours.difference(by_hand) <= 1 for by_hand, ours in zip(*pictures, strict=True)] == [True] * 4
    _, other, changed, _ = pictures[1]
    assert not changed.like(other)


def test_a_temporary_vae_does_not_stay_on_kept_models(pair):
    other = vae_override(pair.ours)
    usual = warm(pair.ours, **hires(), n_iter=2, alwayson_scripts=multipass(True, B))
    pair.ours.client.txt2img(**hires(), n_iter=2, override_settings=other, alwayson_scripts=multipass(True, B))
    assert pair.ours.client.txt2img(**hires(), n_iter=2, alwayson_scripts=multipass(True, B)).same_as(usual)


def test_no_lora_leaves_the_biases_of_another_checkpoint(pair, start):
    """In 1.6.0 by hand: a LoRA on a checkpoint in the place of another gives it the other's biases.

    The forks put no checkpoint into the place of another.
    """
    if not pair.real:
        pytest.skip("the miniature has no LoRAs")
    if pair.ours.webui.kind.vaes_are_modules:
        pytest.skip("Forge Neo's LoRAs leave nothing in the layers")
    source = (pair.ours.webui.root / "extensions-builtin" / "Lora" / "networks.py").read_text(encoding="utf-8")
    (resets,) = re.findall(r"def network_reset_cached_weight.*?\n\n\n", source, re.DOTALL)
    with start(multipass=False) as fresh:
        expected = warm(fresh)
    wrong = []
    for ours in (False, True):
        with start(multipass=ours) as server:
            server.client.txt2img(override_settings={"sd_model_checkpoint": f"{B}.safetensors"})
            server.client.txt2img(prompt=TAGGED)
            wrong.append(not server.client.txt2img().same_as(expected))
    assert wrong == ["network_bias_backup" not in resets and pair.ours.webui.kind is A1111, False]


def test_with_adetailer_the_rest_follows_too(pair):
    need_adetailer(pair)
    job = {**hires(), "n_iter": 2, "tiling": True}
    scripts = {**adetailer(pair.ours), **multipass(True, B, "Same as first pass")}
    warm(pair.ours, **job, alwayson_scripts=scripts)
    state = beside(pair.ours)
    assert (state["layers of"], state["tiling"]) == (layers_of(pair.ours, A), [A, B])
