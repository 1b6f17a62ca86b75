"""Requests that come at once, on running webuis: the webui makes one after the other, and nothing of them mixes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.client import RefusedError
from support.jobs import A, B, C, adetailer, hires, multipass, warm, without
from support.page import Page

LONG = {"steps": 40, "n_iter": 8}
"""Long enough to be met while it runs."""


def jobs(server) -> dict[str, dict]:
    """Bodies that differ in all that one job could take from another: checkpoints, own settings, sizes, pieces."""
    first_shown = {"checkpoint": C, "show_first_pass": True}
    return {
        "to beta": {**hires(), "alwayson_scripts": multipass(True, B)},
        "to gamma": {**hires("Lanczos"), "alwayson_scripts": multipass(True, C), "seed": 11},
        "own settings": {
            **hires(),
            "alwayson_scripts": multipass({"checkpoint": B, "cfg_scale": 9.0, "clip_skip": 2}),
            "n_iter": 2,
        },
        "from gamma": {
            **hires("Lanczos"),
            "alwayson_scripts": multipass(True, A),
            "override_settings": {"sd_model_checkpoint": C},
        },
        "first pass shown": {**hires(), "alwayson_scripts": multipass(first_shown), "batch_size": 2, "width": 128},
        "by hand": {**hires(), "hr_checkpoint_name": B, "seed": 3},
        "plain": {"seed": 5},
        **with_faces(server),
    }


def with_faces(server) -> dict[str, dict]:
    if not server.webui.adetailer:
        return {}
    return {
        "faces": {**hires(), "alwayson_scripts": {**multipass(True, B, "Same as first pass"), **adetailer(server)}},
        "faces alone": {"alwayson_scripts": adetailer(server, C)},
    }


def same(ours, alone) -> bool:
    """Whether pictures and infotexts are equal; the hash of a file's first picture is not what is looked at here."""
    texts = zip(ours.infotexts, alone.infotexts, strict=True)
    return ours.same_as(alone) and all(without(one) == without(other) for one, other in texts)


@pytest.mark.timeout(900)
def test_jobs_that_are_sent_at_once_are_as_if_made_alone(pair):
    client, bodies = pair.ours.client, jobs(pair.ours)
    alone = {name: warm(pair.ours, **body) for name, body in bodies.items()}
    assert len({made.pictures[0].tobytes() for made in alone.values()}) == len(bodies)
    before = client.get("/sdapi/v1/options"), pair.ours.config
    names = [*bodies, *reversed(bodies)]
    with ThreadPoolExecutor(len(names)) as pool:
        together = list(pool.map(lambda name: client.txt2img(**bodies[name]), names))
    assert [name for name, made in zip(names, together, strict=True) if not same(made, alone[name])] == []
    after = client.get("/sdapi/v1/options"), pair.ours.config
    assert ({**after[0], "sd_checkpoint_hash": ""}, after[1]) == ({**before[0], "sd_checkpoint_hash": ""}, before[1])


@pytest.mark.timeout(900)
def test_a_refused_job_between_others_is_refused_alone(pair):
    client, good = pair.ours.client, {**hires(), "alwayson_scripts": multipass(True, B)}
    alone = warm(pair.ours, **good)

    def send(number: int):
        checkpoint = f"nobody {number}"
        if number % 2 == 0:
            return same(client.txt2img(**good), alone)
        with pytest.raises(RefusedError, match=checkpoint):
            client.txt2img(**hires(), alwayson_scripts=multipass(True, checkpoint))
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(send, range(6)))


@pytest.mark.timeout(900)
@pytest.mark.both
def test_jobs_of_pages_and_of_the_api_and_plans_at_once(pair):
    client, bodies = pair.ours.client, jobs(pair.ours)
    bodies = {name: bodies[name] for name in ("to beta", "to gamma", "own settings")}
    alone = {name: warm(pair.ours, **body) for name, body in bodies.items()}
    plans = {name: client.post("/multipass/v1/plan", body)["passes"] for name, body in bodies.items()}
    assert plans["to beta"] != plans["to gamma"]
    pages = {name: Page(client) for name in bodies}
    for name, page in pages.items():
        page.paste(alone[name].infotext)
    with ThreadPoolExecutor(4 * len(bodies)) as pool:
        shown = {name: pool.submit(page.generate) for name, page in pages.items()}
        sent = {name: pool.submit(client.txt2img, **body) for name, body in bodies.items()}
        planned = {name: pool.submit(client.post, "/multipass/v1/plan", body) for name, body in bodies.items()}
    assert [name for name in bodies if not same(sent[name].result(), alone[name])] == []
    assert [name for name in bodies if shown[name].result()[0].tobytes() != alone[name].pictures[0].tobytes()] == []
    assert {name: plan.result()["passes"] for name, plan in planned.items()} == plans


@pytest.mark.timeout(900)
def test_a_release_during_a_job_waits_for_its_end(pair):
    client = pair.ours.client
    body = {**hires(), **LONG, "alwayson_scripts": multipass(True, B)}
    alone = warm(pair.ours, **body)
    with ThreadPoolExecutor(2) as pool:
        job = pool.submit(client.txt2img, **body)
        while not client.get("/multipass/v1/state")["busy"]:
            assert not job.done()
        release = pool.submit(client.post, "/multipass/v1/release")
        met = 0
        while client.get("/multipass/v1/state")["busy"]:
            # The state is asked for before: what has returned by now did not wait.
            met += not release.done()
            threading.Event().wait(0.05)
        made, released = job.result(), release.result()
    assert met > 1
    assert made.same_as(alone)
    assert made.infotexts == alone.infotexts
    assert B in [*released["released"], *released["kept"]]
    state = client.get("/multipass/v1/state")
    assert (state["keeping"], len(state["loaded"])) == (False, 1)
    assert warm(pair.ours, **{**body, "n_iter": 1}).pictures[0].tobytes() == alone.pictures[0].tobytes()
