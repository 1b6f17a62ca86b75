"""The moment between the passes, in the miniature inside this process."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest

from lib_multipass.state import running


@pytest.fixture
def first_pass(host):
    from lib_multipass.passes import first_pass

    return first_pass


def active(host) -> str:
    return host.sd_models.model_data.sd_model.sd_checkpoint_info.name_for_extra


def test_the_swap_waits_for_the_hires_pass(host):
    p, seen = host.job(True, "beta"), []
    original = host.processing.sd_models.reload_model_weights

    def before_hr(*_args, **_kwargs):
        seen.append(active(host))

    p.calculate_hr_conds = lambda: (before_hr(), type(p).calculate_hr_conds(p))
    host.run(p)
    assert seen == ["beta"]
    assert host.sd_models.reload_model_weights is original


def test_somebody_elses_hires_pass_finds_the_second_checkpoint_active(host):
    p, seen = host.job(True, "beta"), []

    def sample_hr_pass(*args, **kwargs):
        seen.append(active(host))
        return type(p).sample_hr_pass(p, *args, **kwargs)

    p.sample_hr_pass = sample_hr_pass
    host.run(p)
    assert seen == ["beta"]


def test_a_swap_of_the_refiner_to_the_same_checkpoint_is_not_put_off(first_pass, monkeypatch):
    info = object()

    def sample_hr_pass(): ...

    sample_hr_pass.puts_swap_first = True
    p = SimpleNamespace(hr_checkpoint_info=info, refiner_checkpoint_info=None, sample_hr_pass=sample_hr_pass)
    part = first_pass.FirstPass(sampling=p)
    monkeypatch.setattr(running, "job", SimpleNamespace(parts={first_pass.FirstPass: part}))
    assert first_pass.puts_off(info)
    assert not first_pass.puts_off(object())
    assert not first_pass.puts_off(None)
    p.refiner_checkpoint_info = info
    assert not first_pass.puts_off(info)


def test_a_job_without_multipass_is_left_alone(host, first_pass):
    p = host.job(hr_checkpoint_name="beta")
    original, seen = type(p).sample_hr_pass, []
    p.sample_hr_pass = lambda *args: (
        seen.append((running.part(first_pass.FirstPass), active(host))),
        original(p, *args),
    )[1]
    host.run(p)
    assert seen == [(None, "beta")]


def test_the_job_is_forgotten_when_its_first_pass_fails(host, first_pass):
    p, parts = host.job(True, "beta"), []

    def fail(*_args):
        parts.append(running.part(first_pass.FirstPass))
        assert parts[0].sampling is p
        raise RuntimeError("out of memory")

    p.setup_conds = lambda: setattr(p, "rng", SimpleNamespace(next=fail))
    with pytest.raises(RuntimeError, match="out of memory"):
        host.run(p)
    assert running.job is None
    assert parts[0].sampling is None


def test_a_copy_of_a_finished_job_is_a_job_of_its_own(host):
    p = host.job({"checkpoint": "beta", "show_first_pass": True})
    first = host.run(p)
    again = copy.copy(p)
    second = host.run(again)
    assert (len(first.images), len(second.images)) == (2, 2)
    assert first.infotexts == second.infotexts


def test_first_passes_stand_before_what_other_scripts_added(host, first_pass):
    shown = first_pass.FirstPass(True, pictures=["a first", "b first"], infotexts=["A", "B"], numbers=[0, 1])
    processed = SimpleNamespace(
        images=["grid", "a", "b", "somebody else's"],
        infotexts=["all", "text a", "text b"],
        index_of_first_image=1,
        all_seeds=[5, 6, 7],
        all_subseeds=[8, 9, 10],
        all_prompts=["x", "y", "z"],
        all_negative_prompts=["", "", ""],
    )
    shown.add_to(processed)
    assert processed.images == ["grid", "a", "b", "a first", "b first", "somebody else's"]
    assert processed.infotexts == ["all", "text a", "text b", "A", "B"]
    assert processed.all_seeds == [5, 6, 5, 6, 7]  # the third picture was not made
    assert processed.all_prompts == ["x", "y", "x", "y", "z"]
