"""After any sequence of Multipass jobs, a plain job is what it is in a webui that was just started.

The sequences are random and seeded; a failing one names its seed and its jobs, and ``--seeds SEED`` runs it alone.
"""

from __future__ import annotations

import json
import random

import pytest

from support import webuis
from support.jobs import A, differences, hires
from support.scale import Scale
from support.sequences import OTHER, checkpoints_of, multipass_job, vae_for_a_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
ON_EACH_MINIATURE, ON_A_REAL_WEBUI = (5, 40, 100), 50
"""By scale; and so many on a real webui."""
LONGEST = 4
"""Jobs in a sequence."""


def wanted(server: webuis.Server, scale: Scale) -> range:
    """The seeds to run; the two miniatures have different ones."""
    if server.webui.real:
        return scale.seeds(0, ON_A_REAL_WEBUI, ON_A_REAL_WEBUI)
    older = server.webui.name == webuis.miniatures()[1].name
    return scale.seeds(ON_EACH_MINIATURE[-1] * older, *ON_EACH_MINIATURE)


def plain_jobs(server: webuis.Server) -> list[dict]:
    """Jobs that do not use Multipass: each checkpoint, a hires pass, another clip skip, tiling, a VAE for the job.

    That is the last one: reForge itself leaves it on when it has been put on for a second time.
    """
    names = checkpoints_of(server)
    alone = [{"override_settings": {"sd_model_checkpoint": f"{name}.safetensors"}} for name in names]
    return [
        {},
        *alone,
        hires(),
        {**hires("Lanczos"), "tiling": True},
        {"override_settings": {"CLIP_stop_at_last_layers": 2}},
        {"batch_size": 2, "prompt": "mood-sd1, mood-sdxl, a cat"},
        {"override_settings": {"sd_model_checkpoint": f"{A}.safetensors", **vae_for_a_job(server, OTHER)}},
    ]


@pytest.fixture(scope="module")
def fresh(webui, tmp_path_factory):
    """For each plain job: its picture, VAE and the option that follows the checkpoint, in a webui that was just started
    without the extension."""
    with webuis.running(webui, tmp_path_factory.mktemp("fresh") / "data", multipass=False) as server:
        made = []
        for body in plain_jobs(server):
            # Twice: the first picture of a file has no hash, and making a model draws random numbers.
            server.client.txt2img(**body)
            picture = server.client.txt2img(**body)
            active = server.client.get("/sdapi/v1/options")["sd_checkpoint_hash"]
            made.append((body, picture, server.client.probe()["active vae"], active))
        if not server.webui.kind.vaes_are_modules:
            body, picture, _, active = made[-1]
            of_its_own = made[0][2]
            made[-1] = body, picture, of_its_own, active
        yield made


def select_by_title(server, name: str) -> None:
    """Select a checkpoint as the webui writes it down itself once it has been swapped in: with its hash."""
    server.client.txt2img(override_settings={"sd_model_checkpoint": f"{name}.safetensors"})
    title = next(one["title"] for one in server.client.get("/sdapi/v1/sd-models") if one["model_name"] == name)
    server.client.post("/sdapi/v1/options", {"sd_model_checkpoint": title})


@pytest.mark.both
def test_a_plain_job_after_any_sequence_is_as_in_a_fresh_webui(pair, fresh, scale):
    server = pair.ours
    seeds = wanted(server, scale)
    select_by_title(server, A)
    before, config = server.client.get("/sdapi/v1/options"), server.config
    refused = ended = done = 0
    for seed in seeds:
        dice = random.Random(seed)
        jobs = [multipass_job(dice, server) for _ in range(dice.randint(1, LONGEST))]
        results = [job.run(server) for job in jobs]
        refused += results.count(None)
        ended += sum(bool(job.end) for job in jobs)
        done += len(jobs)
        body, expected, vae, active = dice.choice(fresh)
        server.client.txt2img(**body)
        got = server.client.txt2img(**body)
        state = server.client.probe()
        story = json.dumps([seed, [vars(job) for job in jobs], body])
        assert got.infotexts == expected.infotexts, story
        assert got.difference(expected) == 0, story
        limit = 1 if server.webui.kind.limits else None
        assert (state["active vae"], state["empty"], state["limit"]) == (vae, [], limit), story
        options = {**before, "sd_checkpoint_hash": active}
        assert differences(options, server.client.get("/sdapi/v1/options")) == {}, story
        assert server.config == config, story
    print(f"{len(seeds)} sequences, {done} jobs, {ended} of them ended early, {refused} refused")
    assert done - refused > done / 2
