"""The text in the progress bar: which pass runs with which checkpoint."""

from __future__ import annotations

import threading
import time
from itertools import groupby, pairwise

import pytest

from support.client import RefusedError
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer

FACE = {"ad_model": "face_yolov8n.pt"}


@pytest.fixture
def said(host, monkeypatch):
    """Every text that the progress bar would show, in order; a job without Multipass came before."""
    host.run(host.job())
    texts, state = [], type(host.shared.state)

    def note(self, name, value):
        object.__setattr__(self, name, value)
        if name == "textinfo":
            texts.append(value)

    monkeypatch.setattr(state, "__setattr__", note, raising=False)
    return texts


def in_turn(texts):
    return [text for text, _ in groupby(texts)]


def test_passes_loads_and_faces_are_named(host, said):
    p = host.job(True, B, C, faces=dict(FACE), n_iter=2)
    host.run(p)
    assert in_turn(said) == [
        f"Pass 1 of 2: {A}",
        *(f"Pass 2 of 2: {B}", f"Loading {B}", f"Pass 2 of 2: {B}"),
        *(f"Loading {C}", f"faces: {C}"),
        *(f"Pass 1 of 2: {A}", f"Pass 2 of 2: {B}", f"faces: {C}"),
        None,
    ]


def test_nothing_is_said_without_multipass(host, said):
    host.run(host.job(faces=dict(FACE)))
    assert said == []
    assert host.shared.state.textinfo is None


def test_the_webuis_own_count_stays_beside_it(host, said, monkeypatch):
    jobs, state = [], host.shared.state
    count = type(state).nextjob
    monkeypatch.setattr(type(state), "nextjob", lambda self: (jobs.append((self.job, self.job_no)), count(self)))
    host.run(host.job(True, B, n_iter=2))
    assert [text for text, _ in jobs] == [
        f"Pass 2 of 2: {B} (Batch 1 out of 2)",
        f"Pass 2 of 2: {B} (Batch 1 out of 2)",
        f"Pass 2 of 2: {B} (Batch 2 out of 2)",
        f"Pass 2 of 2: {B} (Batch 2 out of 2)",
    ]


@pytest.mark.parametrize("place", ["sample", "sample_hr_pass"])
def test_cleared_on_failure(host, said, monkeypatch, place):
    p = host.job(True, B)

    def fail(*_args, **_kwargs):
        raise RuntimeError("out of paint")

    name = "create_sampler" if place == "sample" else "decode_latent_batch"
    module = host.sd_samplers if place == "sample" else host.processing
    monkeypatch.setattr(module, name, fail)
    with pytest.raises(RuntimeError, match="out of paint"):
        host.run(p)
    assert said
    assert host.shared.state.textinfo is None
    assert host.shared.state.job == ""


def test_cleared_at_the_end_of_each_piece_of_a_scripts_job(host, said):
    state = host.shared.state
    state.begin(job="test")
    state.job = "1 out of 2"
    p = host.job(True, B)
    host.processing.process_images(p)
    assert (state.job, state.textinfo) == ("1 out of 2", None)
    p.close()
    state.end()


def test_somebody_elses_text_stays(host, said):
    p = host.job(True, B)
    state = host.shared.state
    end = p.close

    def close():
        state.textinfo = "Uploading"
        end()

    p.close = close
    host.run(p)
    assert state.textinfo == "Uploading"
    state.textinfo = None


def test_the_refiner_is_named_where_it_takes_over(host, said, monkeypatch):
    """A swap within a pass."""
    p = host.job(True, B)
    sd_models = host.sd_models
    before_hr = p.scripts.before_hr

    def swap(p):
        before_hr(p)
        with sd_models.SkipWritingToConfig():
            sd_models.reload_model_weights(info=sd_models.get_closet_checkpoint_match(C))

    monkeypatch.setattr(p.scripts, "before_hr", swap)
    host.run(p)
    assert f"Pass 2 of 2: {C}" in said


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
