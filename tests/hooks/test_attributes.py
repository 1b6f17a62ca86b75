"""What Multipass leaves on ``p``, which the webui and other extensions serialise: plain JSON, at any moment."""

from __future__ import annotations

import copy
import json
from contextlib import closing, suppress
from types import SimpleNamespace

import pytest

from support.jobs import A, B, C
from support.plots import Option

FACE = {"ad_model": "face_yolov8n.pt"}
HOOKS = (
    *("setup_scrips", "before_process", "process", "before_process_batch", "process_batch", "before_hr"),
    *("after_extra_networks_activate", "process_before_every_sampling", "post_sample", "postprocess_batch"),
    *("postprocess_batch_list", "postprocess_image", "postprocess"),
)
METHODS = ("init", "sample", "sample_hr_pass", "close")


def is_json(value) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


class Watch:
    """All attributes of every ``p`` that comes by, original or copy, before and after each hook and method."""

    def __init__(self, host, monkeypatch):
        self.seen = []
        for owner, names in (
            (host.scripts.ScriptRunner, HOOKS),
            (host.processing.StableDiffusionProcessingTxt2Img, METHODS),
        ):
            for name in filter(lambda name: hasattr(owner, name), names):
                monkeypatch.setattr(owner, name, self._watched(name, getattr(owner, name), owner))

    def _watched(self, name, original, owner):
        def called(*args, **kwargs):
            p = kwargs["p"] if "p" in kwargs else args[1 if name in HOOKS else 0]
            self._look(f"before {name}", p)
            try:
                return original(*args, **kwargs)
            finally:
                self._look(f"after {name}", p)

        return called

    def _look(self, moment, p):
        if hasattr(p, "hr_checkpoint_name"):  # ADetailer's inner jobs are of img2img
            self.seen.append((moment, dict(vars(p))))


def without_multipass(host, monkeypatch):
    """None of our hooks is called."""
    for name in ("setup", "before_process", "process_batch", "before_hr", "postprocess"):
        monkeypatch.setattr(type(host.script()), name, lambda *_args, **_kwargs: None)


def in_pieces(values) -> tuple:
    return (1, *values[1:])


def render(host, *args, **fields):
    with suppress(Exception):
        host.run(host.job(*args, **fields))


def plot(host, *seconds):
    """Cells as X/Y/Z plot makes them: copies that it never closes, whose exceptions it swallows."""
    from lib_multipass.page.plot import _option
    from lib_multipass.plan.axes import AXES

    whole = host.job(kind=in_pieces)
    option = _option(SimpleNamespace(AxisOptionTxt2Img=Option), AXES[0])
    host.shared.state.begin(job="plot")
    with suppress(Exception), closing(whole):
        for second in seconds:
            host.shared.state.interrupted = False
            cell = copy.copy(whole)
            option.apply(cell, second, seconds)
            with suppress(Exception):
                host.processing.process_images(cell)
    host.shared.state.end()


JOBS = {
    "ticked": lambda host: render(host, True, B),
    "ticked, two batches, faces": lambda host: render(host, True, B, C, faces=dict(FACE), n_iter=2, batch_size=2),
    "ticked, everything": lambda host: render(
        host, {"checkpoint": B, "vae": "other.safetensors", "cfg_scale": 3.0, "clip_skip": 2, "show_first_pass": True}
    ),
    "ticked, to itself": lambda host: render(host, True, A, hr_checkpoint_name=C),
    "ticked, with a script": lambda host: render(host, True, B, kind=in_pieces),
    "unticked": lambda host: render(host),
    "unticked, with a script": lambda host: render(host, kind=in_pieces),
    "refused": lambda host: render(host, True, "nobody", override_settings={"sd_model_checkpoint": B}),
    "refused, with a script": lambda host: render(host, True, "nobody", kind=in_pieces),
    "of no second checkpoint": lambda host: render(host, True),
    "cells": lambda host: plot(host, B, "nobody", C),
}

MADE = {name for name in JOBS if name.startswith("ticked")} | {"cells"}


@pytest.fixture
def by_hand(bench, monkeypatch):
    """All that a job without Multipass has at each moment."""
    host = bench.host
    host.sd_models.load_model()
    with monkeypatch.context() as without:
        watch = Watch(host, without)
        without_multipass(host, without)
        p = host.job(hr_checkpoint_name=B, faces=dict(FACE), n_iter=2, batch_size=2)
        assert len(host.run(p).images) == 4
    return watch.seen


@pytest.mark.parametrize("job", JOBS)
def test_what_we_add_is_plain_json(bench, by_hand, monkeypatch, job):
    theirs = {name for _, known in by_hand for name in known}
    no_json = {(moment, name) for moment, known in by_hand for name, value in known.items() if not is_json(value)}
    watch = Watch(bench.host, monkeypatch)
    JOBS[job](bench.host)
    assert {moment for moment, _ in watch.seen} >= {"before before_process", "after init", "after close"}
    pairs = [(moment, name, value) for moment, known in watch.seen for name, value in known.items()]
    assert {(moment, name) for moment, name, value in pairs if not is_json(value)} - no_json == set()
    assert [(moment, name) for moment, name, value in pairs if callable(value)] == []
    added = {(moment, name): value for moment, name, value in pairs if name not in theirs}
    assert copy.deepcopy(added) == added
    assert [value for value in added.values() if json.loads(json.dumps(value)) != value] == []
    assert any(name == "_multipass" for _, name in added) is (job in MADE)


def payload_of(p) -> str:
    """What stable-diffusion-webui-distributed 2.3.0 sends to its workers, in its ``before_process``."""
    payload = copy.copy(p.__dict__)
    del payload["scripts_value"], payload["script_args_value"]
    payload = copy.deepcopy(payload)
    for name in ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc", "c", "uc"):
        payload.pop(name, None)
    return json.dumps(payload)


@pytest.mark.parametrize("job", JOBS)
def test_what_is_sent_to_a_worker(bench, monkeypatch, job):
    host, sent = bench.host, []
    host.sd_models.load_model()
    before_process = host.scripts.ScriptRunner.before_process

    def and_then_send(self, p):
        before_process(self, p)
        sent.append(payload_of(p))

    monkeypatch.setattr(host.scripts.ScriptRunner, "before_process", and_then_send)
    JOBS[job](host)
    assert len(sent) >= (3 if job == "cells" else 1)
