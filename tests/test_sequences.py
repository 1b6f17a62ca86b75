"""After any sequence of Multipass jobs, a plain job is what it is in a webui that was just started.

The sequences are random and seeded; a failing one names its seed and its jobs, and ``MULTIPASS_SEQUENCES=SEED:1`` runs
it alone.
"""

from __future__ import annotations

import json
import os
import random

import pytest

from support import webuis
from support.jobs import A, differences, hires
from support.sequences import OTHER, checkpoints_of, multipass_job

ON_THE_MINIATURE, ON_A_REAL_WEBUI = 200, 50
LONGEST = 4
"""Jobs in a sequence."""


def wanted(real: bool) -> range:
    """The seeds to run."""
    first, _, count = os.environ.get("MULTIPASS_SEQUENCES", "0").partition(":")
    usual = ON_A_REAL_WEBUI if real else ON_THE_MINIATURE
    return range(int(first), int(first) + int(count or usual))


def plain_jobs(names) -> list[dict]:
    """Jobs that do not use Multipass: each checkpoint, a hires pass, another clip skip, tiling, a VAE for the job."""
    alone = [{"override_settings": {"sd_model_checkpoint": f"{name}.safetensors"}} for name in names]
    return [
        {},
        *alone,
        hires(),
        {**hires("Lanczos"), "tiling": True},
        {"override_settings": {"CLIP_stop_at_last_layers": 2}},
        {"override_settings": {"sd_model_checkpoint": f"{A}.safetensors", "sd_vae": OTHER}},
        {"batch_size": 2, "prompt": "mood-sd1, mood-sdxl, a cat"},
    ]


@pytest.fixture(scope="module")
def fresh(webui, tmp_path_factory):
    """For each plain job: picture, infotext and VAE in a webui without the extension that was just started."""
    with webuis.running(webui, tmp_path_factory.mktemp("fresh") / "data", multipass=False) as server:
        made = []
        for body in plain_jobs(checkpoints_of(server)):
            # Twice: the first picture of a file has no hash, and making a model draws random numbers.
            server.client.txt2img(**body)
            made.append((body, server.client.txt2img(**body), server.client.probe()["active vae"]))
        yield made


def test_a_plain_job_after_any_sequence_is_as_in_a_fresh_webui(pair, fresh):
    server = pair.ours
    before, config = server.client.get("/sdapi/v1/options"), server.config
    refused = ended = done = 0
    for seed in wanted(pair.real):
        dice = random.Random(seed)
        jobs = [multipass_job(dice, server) for _ in range(dice.randint(1, LONGEST))]
        results = [job.run(server) for job in jobs]
        refused += results.count(None)
        ended += sum(bool(job.end) for job in jobs)
        done += len(jobs)
        body, expected, vae = dice.choice(fresh)
        server.client.txt2img(**body)
        got = server.client.txt2img(**body)
        state = server.client.probe()
        story = json.dumps([seed, [vars(job) for job in jobs], body])
        assert got.same_as(expected), story
        assert got.infotexts == expected.infotexts, story
        assert (state["active vae"], state["empty"], state["limit"]) == (vae, [], 1), story
        changed = differences(before, server.client.get("/sdapi/v1/options"))
        if "sd_model_checkpoint" in body.get("override_settings", {}):
            changed.pop("sd_checkpoint_hash", None)  # the webui's own, where it reads the file for an override
        assert changed == {}, story
        assert server.config == config, story
    print(f"{len(wanted(pair.real))} sequences, {done} jobs, {ended} of them ended early, {refused} refused")
    assert done - refused > done / 2
