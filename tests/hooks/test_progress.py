"""The text in the progress bar: which pass runs with which checkpoint."""

from __future__ import annotations

import pytest

from support.in_turn import in_turn
from support.jobs import A, B, C
from support.tight import job

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


def test_a_kept_first_pass_has_the_name_of_its_own_checkpoint(host, tight, said):
    """Although the second one stays active all the time."""
    for strength in (0.4, 0.5):
        del said[:]
        host.run(job(host, denoising_strength=strength))
    assert in_turn(said) == [f"Pass 1 of 2: {A}", f"Pass 2 of 2: {B}", None]


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
