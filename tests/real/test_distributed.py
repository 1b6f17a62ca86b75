"""Jobs of which another webui makes a share, on two real ones; see ``tests/support/distributed.py``."""

from __future__ import annotations

import pytest

from support import distributed
from support.distributed import EACH, HOW_TO_GIVE, LABEL, LABELLED, assert_equal, by_one, running, told
from support.hosts import A1111
from support.jobs import B, C, hires, multipass, script_args

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
OWN = {"vae": "other.safetensors", "cfg_scale": 9.0, "clip_skip": 3}


@pytest.fixture(scope="module", autouse=True)
def possible(webui):
    if not distributed.given():
        pytest.skip(HOW_TO_GIVE)
    if webui.kind is not A1111:
        pytest.skip(f"Distributed was tried with {A1111.name} alone, not with {webui.kind.name}")


@pytest.fixture(scope="module")
def two(request, possible, webui, tmp_path_factory):
    """The pair, the worker with Multipass unless the test says otherwise."""
    with running(webui, tmp_path_factory.mktemp("many") / "data", **getattr(request, "param", {})) as both:
        yield both


def ticked(upscaler="Latent", *, over=None, **args) -> dict:
    """A Multipass job; ``over`` is what differs in the request besides."""
    return {**hires(upscaler), "alwayson_scripts": multipass({"checkpoint": B, **args}), **(over or {})}


def named(two, key) -> str:
    """What the webui calls the second checkpoint, once its file is hashed."""
    two.shared(**ticked())
    return next(model[key] for model in two.master.client.get("/sdapi/v1/sd-models") if model["model_name"] == B)


KINDS = {
    "list": lambda two: {**hires(), "alwayson_scripts": multipass(True, B)},
    "object in a list": lambda two: ticked(),
    "object": lambda two: {**hires(), "alwayson_scripts": {"Multipass": {"args": {"checkpoint": B}}}},
    "hash": lambda two: ticked(checkpoint=named(two, "hash")),
    "title": lambda two: ticked(checkpoint=named(two, "title")),
    "pixel upscaler": lambda two: ticked("Lanczos"),
    "own VAE": lambda two: ticked(vae=OWN["vae"]),
    "own CFG scale": lambda two: ticked(cfg_scale=OWN["cfg_scale"]),
    "own clip skip": lambda two: ticked(clip_skip=OWN["clip_skip"]),
    "two batches": lambda two: ticked(over={"n_iter": 2}),
    "another first checkpoint": lambda two: ticked(over={"override_settings": {"sd_model_checkpoint": C}}),
    "SD 1.x to SDXL": lambda two: ticked(checkpoint="epsilon"),
    "first passes shown": lambda two: ticked(show_first_pass=True),
    "first passes of two batches shown": lambda two: ticked(show_first_pass=True, over={"n_iter": 2}),
    "what was made is kept": lambda two: ticked(over={"override_settings": {"multipass_stages": 512}}),
    "Hires. fix off": lambda two: {"alwayson_scripts": multipass(True, B)},
    "unticked": lambda two: {**hires(), "alwayson_scripts": multipass(False, B)},
    "plain": lambda two: {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_as_one_webui_makes_it(two, kind):
    job = KINDS[kind](two)
    made, loaded = two.warm(**job)
    one, before = two.worker.client, EACH * job.get("n_iter", 1)
    assert_equal(made, by_one(one, 0, **job), by_one(one, before, **job))
    assert loaded == []


@pytest.mark.parametrize("job", [ticked(), {}], ids=["ticked", "unticked"])
def test_lines_of_a_file_are_shared(two, job):
    """Each is a job of its own, with a selected script around all of them."""
    lines = script_args(two.master, "Prompts from file or textbox", list_of_prompt_inputs="a red house\na blue dog")
    made, loaded = two.warm(**job, **lines)
    one, shares = two.worker.client, []
    for first in (0, EACH):
        prompts = [f"{line} a cat, sunny" for line in ("a red house", "a blue dog")]
        shares.append([pair for prompt in prompts for pair in by_one(one, first, **job, prompt=prompt)])
    assert_equal(made, *shares)
    assert loaded == []


def test_a_worker_without_the_second_checkpoint_says_so_to_its_master(two):
    """And the master returns its own share alone, as of a job by hand."""
    by_hand = {**hires(), "hr_checkpoint_name": C}
    file = two.worker.data / "models" / "Stable-diffusion" / f"{C}.safetensors"
    gone = file.rename(file.with_suffix(".gone"))
    try:
        two.worker.client.post("/sdapi/v1/refresh-checkpoints")
        made, stock, printed = two.shared(**ticked(checkpoint=C)), two.shared(**by_hand), two.master.log
    finally:
        gone.rename(file)
        two.worker.client.post("/sdapi/v1/refresh-checkpoints")
    assert [len(result.pictures) for result in (made, stock)] == [EACH, EACH]
    assert "response: Code <422>" in printed
    assert "there is no checkpoint" in printed
    assert_equal(made, by_one(two.worker.client, 0, **ticked(checkpoint=C)), [])


def comment_of(two, **job) -> list[str]:
    """What the page says of who made what."""
    two.master.client.probe()
    two.shared(**job)
    return [text for text in two.master.client.probe()["comments"] if "Distributed" in text]


def by_worker(made) -> list[tuple[str, bytes]]:
    return [(text.removesuffix(LABELLED), picture) for text, picture in told(made) if text.endswith(LABELLED)]


WITHOUT, BEFORE = {"multipass": False}, {"folder_name": "distributed"}
SAYS = f"The pictures from {LABEL} were made without "


@pytest.mark.parametrize("two", [WITHOUT], indirect=True, ids=["without"])
def test_a_worker_without_multipass_makes_the_second_pass_but_not_what_is_its_own(two):
    made = [by_worker(two.warm(**job)[0]) for job in (ticked(), ticked(**OWN))]
    assert made == [by_one(two.worker.client, EACH, **hires(), hr_checkpoint_name=B)] * 2
    assert comment_of(two, **ticked()) == []
    (comment,) = comment_of(two, **ticked(**OWN))
    assert comment.startswith(f"{SAYS}Second-pass VAE, Second-pass CFG scale, Second-pass clip skip, ")


# Distributed has sent the shares when Multipass has its say: what the worker does not know by itself, it is not told.


@pytest.mark.parametrize("two", [BEFORE], indirect=True, ids=["before"])
def test_distributed_may_come_before_multipass(two):
    job = ticked(**OWN)
    made, loaded = two.warm(**job)
    assert_equal(made, by_one(two.worker.client, 0, **job), by_one(two.worker.client, EACH, **job))
    assert loaded == []
    assert comment_of(two, **job) == []


@pytest.mark.parametrize("two", [WITHOUT | BEFORE], indirect=True, ids=["before, without"])
def test_before_multipass_a_worker_without_it_makes_no_second_pass(two):
    made, _ = two.warm(**ticked())
    assert by_worker(made) == by_one(two.worker.client, EACH, **hires())
    (comment,) = comment_of(two, **ticked())
    assert comment.startswith(f"{SAYS}{B}, ")
