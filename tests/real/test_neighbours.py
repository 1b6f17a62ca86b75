"""Jobs beside other extensions, on real webuis; their folders are given in ``MULTIPASS_NEIGHBOURS``."""

from __future__ import annotations

import base64
import io
import time

import numpy as np
import pytest
from PIL import Image

from support import neighbours
from support.client import Rendered
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer, warm, without
from support.kept import OFF, made, not_again
from support.neighbours import COLOURS, CONTROLNET, DYNAMIC, SCHEDULER, TWEAKS, WILDCARDS
from support.plots import LABELS, assert_cells, plot
from support.settings import settings

# Two webuis with many extensions start before the first test.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
VARIANTS = "a {red|green|blue} cat, {sunny|dark|windy}"


@pytest.fixture(scope="module")
def beside(webui, tmp_path_factory):
    folders = neighbours.given()
    if not folders:
        pytest.skip(neighbours.HOW_TO_GIVE)
    with neighbours.running_both(webui, tmp_path_factory.mktemp("neighbours"), folders) as both:
        yield both


def as_by_hand(beside, scripts=None, stock_scripts=None, own=None, **job) -> Rendered:
    """Our picture, once it is known to be the one that the same webui makes without Multipass."""
    job = {**hires("Lanczos"), **job}
    stock_scripts = scripts if stock_scripts is None else stock_scripts
    expected = warm(beside.stock, **job, hr_checkpoint_name=B, alwayson_scripts=stock_scripts or {})
    got = warm(beside.ours, **job, alwayson_scripts={**(scripts or {}), **multipass({"checkpoint": B, **(own or {})})})
    assert got.same_as(expected)
    assert [without(text, "Multipass") for text in got.infotexts] == [without(text) for text in expected.infotexts]
    return got


def control(option="Both"):
    """A ControlNet unit that needs no model: what it does is in the attention layers."""
    picture = Image.linear_gradient("L").convert("RGB").resize((64, 64))
    file = io.BytesIO()
    picture.save(file, "PNG")
    unit = {"enabled": True, "module": "reference_only", "model": "None", "save_detected_map": False}
    unit |= {"image": base64.b64encode(file.getvalue()).decode(), "hr_option": option}
    return {"ControlNet": {"args": [unit]}}


def tweaks(cfg_scale=0, mode="Default", count=1):
    return {"Hires. fix tweaks": {"args": [cfg_scale, False, mode, "Default", count]}}


def prompts_of(rendered: Rendered) -> list[str]:
    return [text.split("\n")[0] for text in rendered.infotexts]


def test_all_load_together(beside):
    titles = beside.ours.client.get("/sdapi/v1/scripts")["txt2img"]
    assert "multipass" in titles
    assert {*titles} - {"multipass"} == {*beside.stock.client.get("/sdapi/v1/scripts")["txt2img"]}
    controls = [control["label"] for control in beside.ours.client.get("/probe/script?title=Multipass")]
    assert "Second-pass checkpoint" in controls
    plan = beside.ours.client.post("/multipass/v1/plan", {"alwayson_scripts": multipass(True, B)})
    assert [part["checkpoint"].split(".")[0] for part in plan["passes"]] == [A, B]
    assert warm(beside.ours).same_as(warm(beside.stock))
    as_by_hand(beside)
    assert beside.ours.log.count("Traceback") == beside.stock.log.count("Traceback")  # a webui may have its own


def test_controlnet(beside):
    beside.need(CONTROLNET)
    pictures = [as_by_hand(beside)]
    pictures += [as_by_hand(beside, control(option)) for option in ("Both", "Low res only", "High res only")]
    for index, one in enumerate(pictures):
        assert not any(one.like(other) for other in pictures[index + 1 :])
    assert all("ControlNet 0" in picture.infotext for picture in pictures[1:])
    as_by_hand(beside, control(), n_iter=2)
    assert warm(beside.ours).same_as(warm(beside.stock))


@pytest.mark.parametrize("mode", ["Default", "Append"])
def test_hires_fix_tweaks(beside, mode):
    beside.need(TWEAKS)
    plain = as_by_hand(beside, hr_prompt="at night")
    got = as_by_hand(beside, tweaks(mode=mode), hr_prompt="at night")
    assert got.same_as(plain) is (mode == "Default")


def test_hires_fix_tweaks_own_count_of_hires_passes(beside):
    beside.need(TWEAKS)
    got = as_by_hand(beside, tweaks(count=2), n_iter=2)
    assert len({picture.tobytes() for picture in got.pictures[-4:]}) == 4


def test_the_cfg_scale_of_hires_fix_tweaks_wins(beside):
    beside.need(TWEAKS)
    theirs = as_by_hand(beside, tweaks(cfg_scale=9))
    both = as_by_hand(beside, tweaks(cfg_scale=9), own={"cfg_scale": 2})
    assert both.same_as(theirs)
    assert "Hires CFG scale: 9" in both.infotext
    assert "Multipass CFG scale: 2.0" in both.infotext


@pytest.mark.parametrize("left_open", [0, 5], ids=["none", "the first pass's"])
def test_a_cfg_scale_that_hires_fix_tweaks_leaves_open(beside, left_open):
    beside.need(TWEAKS)
    by_hand = {**hires("Lanczos"), "hr_checkpoint_name": B, "alwayson_scripts": tweaks(cfg_scale=2)}
    ours = {**tweaks(cfg_scale=left_open), **multipass({"checkpoint": B, "cfg_scale": 2})}
    assert warm(beside.ours, **hires("Lanczos"), alwayson_scripts=ours).same_as(warm(beside.stock, **by_hand))


def test_dynamic_prompts(beside):
    beside.need(DYNAMIC)
    got = as_by_hand(beside, prompt=VARIANTS, n_iter=4)
    assert len({*prompts_of(got)}) > 1
    assert not any("{" in prompt for prompt in prompts_of(got))


@pytest.mark.parametrize("hires_prompt", ["", "a __colour__ house"])
def test_wildcards(beside, hires_prompt):
    beside.need(WILDCARDS)
    got = as_by_hand(beside, prompt="a __colour__ cat", hr_prompt=hires_prompt, n_iter=4)
    assert len({*prompts_of(got)}) > 1
    assert all(prompt.split(" ")[1] in COLOURS for prompt in prompts_of(got)[-4:])
    # Up to 1.8 the webui writes the hires prompt as it was given; the extension notes it where it has filled it in.
    assert ("Wildcard hr prompt: a __colour__ house" in got.infotext) is bool(hires_prompt)


KEPT = {
    "nothing": {},
    "another upscaler": {"hr_upscaler": "Latent"},
    "hires prompt": {"scripts": lambda: tweaks(mode="Append"), "hr_prompt": "at night"},
    "hires CFG scale": {"scripts": lambda: tweaks(cfg_scale=9)},
    "two hires passes": {"scripts": lambda: tweaks(count=2), "n_iter": 2},
    "wildcards": {"prompt": "a __colour__ cat", "hr_prompt": "a __colour__ house", "n_iter": 2},
    "control": {"scripts": control},
    "control of the first pass": {"scripts": lambda: control("Low res only")},
    "control of the second pass": {"scripts": lambda: control("High res only")},
}
"""Jobs with other extensions at work or idle."""
NOT_KEPT = {name for name in KEPT if "control" in name} | {"two hires passes"}
"""Jobs on which an extension works in a way that cannot be compared: at each step, or by functions put on the job."""
NEEDS = {**dict.fromkeys(("hires prompt", "hires CFG scale", "two hires passes"), TWEAKS), "wildcards": WILDCARDS}
NEEDS |= {name: CONTROLNET for name in KEPT if "control" in name}


@pytest.mark.parametrize("case", KEPT)
def test_kept_passes(beside, case):
    """A second job with other settings later on, other jobs in between, equals the one without keeping."""
    if case in NEEDS:
        beside.need(NEEDS[case])
    server, given = beside.ours, dict(KEPT[case])
    scripts = given.pop("scripts", dict)()
    job = {**hires("Lanczos"), **given}
    later = {**job, "denoising_strength": 0.4}
    made(server, job, OFF, scripts)
    expected = [made(server, one, OFF, scripts) for one in (job, later)]
    with settings(server, multipass_stages=512):
        server.client.post("/multipass/v1/release")
        made(server, job, scripts=scripts)
        for one, plain in zip((later, job, job), (expected[1], expected[0], expected[0]), strict=True):
            server.client.txt2img(seed=99)
            got, said = not_again(server, lambda one=one: made(server, one, scripts=scripts))
            assert got.infotexts == plain.infotexts
            assert got.difference(plain) == 0
            assert ("first pass" in said) == (case not in NOT_KEPT), said


def queued(server, **job) -> str:
    """Give the job to agent-scheduler's queue; returns the number of its task."""
    usual = {"prompt": "a cat, sunny", "negative_prompt": "rain", "seed": 7, "steps": 4, "width": 64, "height": 64}
    body = {**usual, "cfg_scale": 5, "sampler_name": "Euler", **job}
    return server.client.post("/agent-scheduler/v1/queue/txt2img", body)["task_id"]


def task_of(server, number: str, within: float = 60) -> dict:
    """The task once it has ended; seconds to wait for that."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        task = server.client.get(f"/agent-scheduler/v1/task/{number}")["data"]
        time.sleep(1.5)  # what is queued in the second after the last task is forgotten
        if task["status"] not in ("pending", "running"):
            return task
    raise AssertionError(f"task {number} has not ended; its queue: {server.client.get('/agent-scheduler/v1/queue')}")


def result_of(server, number: str) -> Rendered:
    task = task_of(server, number)
    assert task["status"] == "done", task
    results = server.client.get(f"/agent-scheduler/v1/task/{number}/results")["data"]
    files = [base64.b64decode(result["image"].split(",")[-1]) for result in results]
    pictures = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]
    return Rendered(pictures, [result["infotext"] for result in results], [], {})


def test_agent_schedulers_queue(beside):
    beside.need(SCHEDULER)
    job = {**hires("Lanczos"), "alwayson_scripts": multipass(True, B)}
    expected = warm(beside.ours, **job)
    got = result_of(beside.ours, queued(beside.ours, **job))
    assert got.same_as(expected)
    assert got.infotexts == expected.infotexts


def test_queued_jobs_do_not_mix(beside):
    beside.need(SCHEDULER)
    jobs = [
        {**hires("Lanczos"), "alwayson_scripts": multipass(True, B)},
        {**hires("Lanczos"), "alwayson_scripts": multipass({"checkpoint": C, "cfg_scale": 9.0})},
        {},
        {**hires("Lanczos"), "alwayson_scripts": multipass(True, A), "override_settings": {"sd_model_checkpoint": C}},
    ]
    expected = [warm(beside.ours, **job) for job in jobs]
    assert len({made.pictures[0].tobytes() for made in expected}) == len(jobs)
    tasks = [queued(beside.ours, **job) for job in jobs]
    for number, alone in zip(tasks, expected, strict=True):
        got = result_of(beside.ours, number)
        assert got.same_as(alone)
        # The queue makes a number with a point of a plain job's "Denoising strength: 0" (1.6.0).
        assert without(got.infotext, "Denoising") == without(alone.infotext, "Denoising")


def test_a_bare_object_is_emptied_by_agent_schedulers_queue(beside):
    """So nothing is left of it by the time we could refuse it; docs/neighbours.md says so."""
    beside.need(SCHEDULER)
    bare = {"Multipass": {"args": {"checkpoint": B}}}
    got = result_of(beside.ours, queued(beside.ours, **hires("Lanczos"), alwayson_scripts=bare))
    assert got.same_as(warm(beside.ours, **hires("Lanczos")))


def test_a_queued_job_that_cannot_be_done_says_why(beside):
    beside.need(SCHEDULER)
    task = task_of(beside.ours, queued(beside.ours, alwayson_scripts=multipass(True, "alpah")))
    assert task["status"] == "failed"
    assert "there is no checkpoint 'alpah'" in task["result"]
    as_by_hand(beside)


def everything(beside) -> dict:
    """What each of the other extensions adds to a request."""
    scripts = {}
    if CONTROLNET in beside.folders:
        scripts |= control()
    if TWEAKS in beside.folders:
        scripts |= tweaks(cfg_scale=9, mode="Append")
    return scripts


def test_all_at_once_with_adetailer_running_all_scripts(beside):
    need_adetailer(beside)
    job = {"override_settings": {"ad_only_selected_scripts": False}, "prompt": VARIANTS, "hr_prompt": "at night"}
    scripts = everything(beside)
    follows = {"adetailer_follows": False}
    plain = as_by_hand(beside, scripts, own=follows, **job, n_iter=2)
    faces = {**scripts, **adetailer(beside.ours)}, {**scripts, **adetailer(beside.stock, B)}
    got = as_by_hand(beside, *faces, own=follows, **job, n_iter=2)
    assert not got.like(plain)
    assert warm(beside.ours).same_as(warm(beside.stock))


def test_the_axis_of_the_xyz_plot(beside):
    scripts = everything(beside)
    job = {**hires("Lanczos"), "prompt": "a {red|green|blue} cat"}

    def alone(name):
        return warm(beside.ours, **job, alwayson_scripts={**scripts, **multipass(True, name)}).pictures[0]

    expected = [alone(name) for name in (B, C)]
    given = plot(beside.ours, (LABELS[0], f"{B}, {C}"))
    got = warm(beside.ours, **job, **given, alwayson_scripts={**scripts, **multipass(True, B)})
    assert_cells(got, expected)
    assert not np.array_equal(*expected)
