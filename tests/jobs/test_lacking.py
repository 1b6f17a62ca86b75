"""Checkpoints without a VAE, without a text encoder, or without both, as any pass of a job.

By hand, at the default limit, such a file is loaded over the checkpoint before it, whose part stays. The comparisons
are with that, or with a file in which the part was put by hand.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from support import webuis
from support.client import RefusedError
from support.hosts import REFORGE
from support.jobs import A, B, adetailer, hires, multipass, need_adetailer, warm
from support.pieces import MARKS, PARTS, as_pickle, without_parts

XL = "epsilon"


@pytest.fixture(scope="module")
def narrow(webui, tmp_path_factory) -> Iterator[webuis.Server]:
    """The webui by hand at its default limit of one checkpoint."""
    with webuis.running(webui, tmp_path_factory.mktemp("narrow") / "stock", multipass=False) as server:
        yield server


@pytest.fixture
def ours(pair, made) -> webuis.Server:
    """With Multipass, and nothing kept."""
    pair.ours.client.txt2img()
    pair.ours.client.post("/multipass/v1/release")
    made.append(pair.ours)
    return pair.ours


@pytest.fixture(scope="module")
def made() -> Iterator[list[webuis.Server]]:
    """The webuis of other tests, which have the files of these as long as these run."""
    servers: list[webuis.Server] = []
    yield servers
    for server in {id(server): server for server in servers if server.process.poll() is None}.values():
        server.client.txt2img()
        for file in (server.data / "models" / "Stable-diffusion").iterdir():
            if any(mark in file.name for mark in MARKS):
                file.unlink()
        server.client.post("/sdapi/v1/refresh-checkpoints")


def beginning(checkpoint: str) -> dict:
    return {"override_settings": {"sd_model_checkpoint": f"{checkpoint}.safetensors"}}


def lent_by_hand(server: webuis.Server, checkpoint: str, lacks: str, lender: str) -> str:
    """A checkpoint that the webui loads over its lender. reForge loads none over another: there it is put into it."""
    return without_parts(server, checkpoint, lacks, of=lender if server.webui.kind is REFORGE else None)


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
@pytest.mark.parametrize("lacks", PARTS)
def test_second_checkpoint(ours, narrow, lacks, upscaler):
    job = {**hires(upscaler), "n_iter": 2}
    expected = warm(narrow, **job, hr_checkpoint_name=lent_by_hand(narrow, B, lacks, A))
    second = without_parts(ours, B, lacks)
    first = ours.client.txt2img(**job, alwayson_scripts=multipass(True, second))
    got = warm(ours, **job, alwayson_scripts=multipass(True, second))
    state = ours.client.probe()
    assert first.difference(expected) <= 1  # making a model shifts the VAE's noise a little
    assert got.same_as(expected)
    assert got.pictures[0].std() > 10
    assert (state["reads"], state["builds"]) == ([], [])
    assert any(f"{second} has no" in text and f"works with that of {A}" in text for text in state["comments"])


@pytest.mark.parametrize("lacks", PARTS)
def test_first_checkpoint(ours, narrow, lacks):
    by_hand = beginning(lent_by_hand(narrow, B, lacks, A))
    narrow.client.txt2img()
    expected = narrow.client.txt2img(**hires("Lanczos"), **by_hand, hr_checkpoint_name=A)
    job = {**hires("Lanczos"), **beginning(without_parts(ours, B, lacks))}
    got = ours.client.txt2img(**job, alwayson_scripts=multipass(True, A))
    assert got.like(expected)
    assert got.pictures[0].std() > 10


@pytest.mark.parametrize("lacks", PARTS)
def test_adetailers_checkpoint(pair, ours, narrow, lacks):
    need_adetailer(pair)
    second = without_parts(ours, A, "no VAE", of=B)
    without_parts(narrow, A, "no VAE", of=B)
    stock = adetailer(narrow, lent_by_hand(narrow, B, lacks, second))
    expected = warm(narrow, **hires("Latent"), hr_checkpoint_name=second, alwayson_scripts=stock)
    faces = without_parts(ours, B, lacks)
    got = warm(ours, **hires("Latent"), alwayson_scripts={**adetailer(ours), **multipass(True, second, faces)})
    assert got.same_as(expected)


@pytest.mark.parametrize("lacks", PARTS)
def test_the_next_first_checkpoint_lends_anew(ours, narrow, lacks):
    """What a kept checkpoint was lent does not stay on it when another one comes before it."""
    second, pictures = without_parts(ours, B, lacks), []
    for base, lent in ((A, A), (without_parts(ours, A, lacks, of=B), B), (A, A)):
        # Not compared with the same by hand: the webui takes the prompts as they were encoded before.
        whole = without_parts(narrow, B, lacks, of=lent)
        without_parts(narrow, A, lacks, of=B)
        expected = warm(narrow, **hires("Lanczos"), **beginning(base), hr_checkpoint_name=whole)
        got = warm(ours, **hires("Lanczos"), **beginning(base), alwayson_scripts=multipass(True, second))
        assert got.same_as(expected)
        pictures.append(got)
    assert not pictures[0].like(pictures[1])


@pytest.mark.parametrize("lacks", PARTS)
def test_a_later_plain_job(ours, lacks):
    second = without_parts(ours, B, lacks)
    warm(ours, **hires("Lanczos"), alwayson_scripts=multipass(True, second))
    after_job = ours.client.txt2img(**beginning(second))
    ours.client.post("/multipass/v1/release")
    after_release = ours.client.txt2img(**beginning(second))
    expected = warm(ours, **beginning(without_parts(ours, B, lacks, of=A)))
    assert after_job.like(expected)
    assert after_release.like(expected)


@pytest.mark.parametrize("lacks", PARTS)
def test_a_vae_of_the_settings_comes_off_again(ours, narrow, lacks):
    """The checkpoint's own VAE, that is the lent one, comes back."""
    job = {**hires("Lanczos"), "override_settings": {"sd_vae": "other.safetensors"}}
    expected = warm(narrow, **hires("Lanczos"), hr_checkpoint_name=lent_by_hand(narrow, B, lacks, A))
    second = multipass(True, without_parts(ours, B, lacks))
    ours.client.txt2img(**job, alwayson_scripts=second)
    assert warm(ours, **hires("Lanczos"), alwayson_scripts=second).same_as(expected)


@pytest.mark.parametrize("lacks", PARTS)
def test_a_pickle_that_lacks_a_part(webui, ours, narrow, lacks):
    """Nobody knows before it is loaded."""
    if not webui.real:
        pytest.skip("the miniature has no .ckpt files")
    expected = warm(narrow, **hires("Lanczos"), hr_checkpoint_name=lent_by_hand(narrow, B, lacks, A))
    second = multipass(True, as_pickle(ours, without_parts(ours, B, lacks)))
    first = ours.client.txt2img(**hires("Lanczos"), alwayson_scripts=second)
    assert first.difference(expected) <= 1
    assert warm(ours, **hires("Lanczos"), alwayson_scripts=second).same_as(expected)


def test_a_lent_vae_is_renewed_below_the_second_passes_own(ours):
    second, other = without_parts(ours, B, "no VAE"), without_parts(ours, A, "no VAE", of=B)
    own = ("Same as second pass", "other.safetensors")
    for base, vae in ((A, own), (other, own), (other, ())):
        job = {**hires("Lanczos"), **beginning(base)}
        got = warm(ours, **job, alwayson_scripts=multipass(True, second, *vae))
        expected = warm(ours, **job, alwayson_scripts=multipass(True, B, *vae))
        assert got.same_as(expected)
        ours.client.txt2img(**job, alwayson_scripts=multipass(True, second, *vae))


def test_a_lora_of_the_first_pass_is_not_lent(webui, ours):
    if not webui.real:
        pytest.skip("the miniature has no LoRAs")
    job = {**hires("Lanczos"), "prompt": "a cat <lora:style-sd1:1>", "hr_prompt": "a cat"}
    expected = warm(ours, **job, alwayson_scripts=multipass(True, without_parts(ours, B, "no text encoder", of=A)))
    got = warm(ours, **job, alwayson_scripts=multipass(True, without_parts(ours, B, "no text encoder")))
    assert got.same_as(expected)


def test_what_loras_left_on_a_lent_part_goes_with_it(webui, ours):
    """The webui keeps copies of all layers that a LoRA might change, and puts them back when it is over."""
    if not webui.real:
        pytest.skip("the miniature has no LoRAs")
    lacks = "no text encoder"
    second, base = without_parts(ours, B, lacks), without_parts(ours, A, lacks, of=B)
    job = {**hires("Lanczos"), "prompt": "a cat"}
    expected = warm(ours, **job, **beginning(base), alwayson_scripts=multipass(True, B))
    ours.client.post("/multipass/v1/release")
    tagged = {**job, "hr_prompt": "a cat <lora:style-sd1:1>"}
    ours.client.txt2img(**tagged, alwayson_scripts=multipass(True, second))
    got = warm(ours, **job, **beginning(base), alwayson_scripts=multipass(True, second))
    assert got.same_as(expected)


@pytest.mark.parametrize("lacks", PARTS)
def test_the_selected_checkpoint_of_a_fresh_start(webui, ours, tmp_path, lacks):
    """By itself the webui has zeros there; the job's other checkpoint lends what it can."""
    if webui.kind is REFORGE and lacks != "no VAE":
        pytest.skip("this webui starts without any model then")
    base, folder = without_parts(ours, B, lacks), tmp_path / "fresh" / "models" / "Stable-diffusion"
    folder.mkdir(parents=True)
    shutil.copy(ours.data / "models" / "Stable-diffusion" / f"{base}.safetensors", folder)
    whole = without_parts(ours, B, lacks, of=A)
    expected = warm(ours, **hires("Lanczos"), **beginning(whole), alwayson_scripts=multipass(True, A))
    with webuis.running(webui, tmp_path / "fresh", config={"sd_model_checkpoint": f"{base}.safetensors"}) as server:
        got = warm(server, **hires("Lanczos"), alwayson_scripts=multipass(True, A))
    assert got.same_as(expected)


def test_a_second_checkpoint_without_a_text_encoder_since_the_start(webui, ours, tmp_path):
    """reForge takes text encoders from the files that were there when it started, past what is read."""
    lacks, folder = "no text encoder", tmp_path / "fresh" / "models" / "Stable-diffusion"
    whole, second = without_parts(ours, B, lacks, of=A), without_parts(ours, B, lacks)
    expected = warm(ours, **hires("Lanczos"), alwayson_scripts=multipass(True, whole))
    folder.mkdir(parents=True)
    shutil.copy(ours.data / "models" / "Stable-diffusion" / f"{second}.safetensors", folder)
    with webuis.running(webui, tmp_path / "fresh") as server:
        got = [warm(server, **hires("Lanczos"), alwayson_scripts=multipass(True, second)) for _ in range(2)]
        assert server.client.probe()["reads"] == []
    assert all(one.same_as(expected) for one in got)


def test_nobody_can_lend(webui, start):
    if not webui.real:
        pytest.skip("the miniature has one latent space")
    with start(config={"sd_model_checkpoint": f"{XL}.safetensors"}) as server:
        second = without_parts(server, B, "no VAE")
        with pytest.raises(RefusedError) as refused:
            server.client.txt2img(**hires("Lanczos"), alwayson_scripts=multipass(True, second))
        assert (refused.value.status, refused.value.detail) == (
            422,
            f"Second-pass checkpoint: {second}.safetensors has no VAE, and no SD checkpoint is at hand that could lend "
            "its own; choose a Second-pass VAE.",
        )
        args = multipass(True, second, "Same as second pass", "other.safetensors")
        got = server.client.txt2img(**hires("Lanczos"), alwayson_scripts=args)
        assert got.pictures[0].std() > 10
        # Once one of its kind was active, that one lends.
        server.client.txt2img(**beginning(A))
        whole = multipass(True, without_parts(server, B, "no VAE", of=A))
        expected = warm(server, **hires("Lanczos"), **beginning(XL), alwayson_scripts=whole)
        server.client.txt2img(**beginning(A))
        got = warm(server, **hires("Lanczos"), **beginning(XL), alwayson_scripts=multipass(True, second))
        assert got.same_as(expected)
