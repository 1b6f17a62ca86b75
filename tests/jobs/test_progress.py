"""Progress texts in the API."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from support.client import RefusedError
from support.in_turn import in_turn
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer


def watch(client, body):
    """What ``/sdapi/v1/progress`` answers, as often as it can be asked, while the job runs; and once afterwards."""
    answers, over = [], threading.Event()

    def ask():
        while not over.is_set():
            answers.append(client.get("/sdapi/v1/progress?skip_current_image=true"))
            time.sleep(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        client.txt2img(**body)
    except RefusedError as refused:
        return answers, refused
    finally:
        over.set()
        thread.join()
    return answers, client.get("/sdapi/v1/progress?skip_current_image=true")


def running(answers):
    return [answer for answer in answers if answer["state"]["job_count"] > 0]


def counts(answers):
    return {answer["state"]["job_count"] for answer in running(answers)}


LONG = {"steps": 8, "hr_second_pass_steps": 8}


@pytest.mark.parametrize("switched_on", [False, True], ids=["hires fix on", "hires fix off"])
def test_the_api_shows_it_and_counts_as_the_webui(pair, switched_on):
    if not pair.real:
        pytest.skip("the miniature samples too fast to be watched")
    job = {**hires("Lanczos"), **LONG, "n_iter": 2}
    scripts = multipass(True, B)
    by_hand, _ = watch(pair.stock.client, {**job, "hr_checkpoint_name": B})
    answers, after = watch(pair.ours.client, {**job, "enable_hr": not switched_on, "alwayson_scripts": scripts})
    texts = in_turn(answer["textinfo"] for answer in running(answers) if answer["textinfo"])
    texts = [text for text in texts if not text.startswith("Loading")]
    assert in_turn(texts) == [f"Pass 1 of 2: {A}", f"Pass 2 of 2: {B}"] * 2
    batches = {answer["state"]["job"] for answer in running(answers)}
    assert f"Pass 2 of 2: {B} (Batch 2 out of 2)" in batches
    assert counts(answers) == counts(by_hand) == {4}
    steps = [answer["progress"] for answer in running(answers)]
    assert all(after >= before - 0.26 for before, after in pairwise(steps))
    assert max(steps) > 0.9
    assert (after["textinfo"], after["state"]["job"]) == (None, "")


def test_loads_and_faces_in_the_api(pair, start):
    if not pair.real:
        pytest.skip("the miniature loads too fast to be watched")
    need_adetailer(pair)
    with start() as server:
        server.client.txt2img()  # 1.6.0 cannot be asked while its very first job begins
        body = {**hires("Lanczos"), **LONG, "alwayson_scripts": {**adetailer(server), **multipass(True, B, C)}}
        answers, after = watch(server.client, body)
    texts = {answer["textinfo"] for answer in answers}
    assert {f"Pass 1 of 2: {A}", f"Loading {B}", f"Pass 2 of 2: {B}", f"Loading {C}", f"faces: {C}"} <= texts
    assert after["textinfo"] is None


def test_cleared_when_a_job_is_refused(pair):
    client = pair.ours.client
    _, refused = watch(client, {**hires(), "hr_upscaler": "none such", "alwayson_scripts": multipass(True, B)})
    assert isinstance(refused, Exception)
    after = client.get("/sdapi/v1/progress?skip_current_image=true")
    assert (after.get("textinfo"), after["state"]["job"]) == (None, "")
