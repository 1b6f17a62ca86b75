"""Jobs of which the extension Distributed hands a share to another webui, inside one process."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest

from support.jobs import B

OWN = {"checkpoint": B, "vae": "other.safetensors", "cfg_scale": 3.0}
SAYS = "The pictures from attic were made without "


@pytest.fixture(autouse=True)
def plain_job_first(host):
    host.run(host.job())


class World:
    """What Distributed's script knows, as far as it is looked at."""

    def __init__(self):
        self.p, self.jobs = None, []
        self.attic = SimpleNamespace(label="attic", supported_scripts={"txt2img": ["adetailer"], "img2img": []})
        self.makes, self.enabled = 1, True

    def share(self, p):
        here = SimpleNamespace(label="master", supported_scripts={})
        self.p = p
        self.jobs = [SimpleNamespace(worker=worker, gallery_map=[]) for worker in (here, self.attic)]

    def collect(self):
        self.jobs[1].gallery_map = [*range(self.makes)]


@pytest.fixture
def shared(host, monkeypatch):
    """Put Distributed among the scripts: a function with its place, which returns its world."""

    class Script(host.scripts.Script):
        def title(self):
            return "Distribute"

        def before_process(self, p, *args):
            if self.world.enabled:
                self.world.share(p)

        def postprocess_image(self, p, pp, *args):
            if self.world.enabled:
                self.world.collect()

    def put(first: bool) -> World:
        script = Script()
        script.world, script.filename = World(), "distributed.py"
        script.args_from = script.args_to = 0
        runner = copy.copy(host.scripts.scripts_txt2img)
        others = runner.alwayson_scripts
        runner.alwayson_scripts = [script, *others] if first else [*others, script]
        monkeypatch.setattr(host.scripts, "scripts_txt2img", runner)
        return script.world

    return put


def said(host, *args) -> tuple[list[str], str]:
    """What a job says of shares, as a job and as its result."""
    p = host.job(*args)
    result = host.run(p)
    return [text for text in p.comments if "Distributed" in text], result.comments


def test_what_a_webui_without_multipass_has_not_followed_is_said(host, shared):
    shared(first=False)
    (comment,), result = said(host, dict(OWN))
    assert comment.startswith(f"{SAYS}Second-pass VAE, Second-pass CFG scale, since Distributed")
    assert result.endswith(f"{comment}\n")
    assert said(host, True, B)[0] == []


def test_shares_that_were_sent_before_the_second_checkpoint_was_declared(host, shared):
    shared(first=True)
    assert said(host, True, B)[0][0].startswith(f"{SAYS}{B}, since Distributed")
    assert said(host, dict(OWN))[0][0].startswith(f"{SAYS}{B}, Second-pass VAE, Second-pass CFG scale, since")


@pytest.mark.parametrize("first", [False, True])
def test_a_webui_with_multipass_followed(host, shared, first):
    shared(first).attic.supported_scripts["txt2img"] += ["multipass"]
    assert said(host, dict(OWN))[0] == []


def test_one_that_was_never_asked_for_its_scripts_was_sent_none_of_ours(host, shared):
    shared(first=False).attic.supported_scripts = {}
    assert said(host, dict(OWN))[0] != []


def test_one_that_has_made_nothing_is_not_named(host, shared):
    shared(first=False).makes = 0
    assert said(host, dict(OWN))[0] == []


@pytest.mark.parametrize("first", [False, True])
def test_what_an_earlier_job_shared_is_not_this_ones(host, shared, first):
    world = shared(first)
    assert said(host, dict(OWN))[0] != []
    world.enabled = False
    assert said(host, dict(OWN))[0] == []


def test_an_unticked_job_says_nothing(host, shared):
    shared(first=True)
    assert said(host, False, B)[0] == []


def test_a_distributed_of_another_making_does_not_end_a_job(host, shared, monkeypatch):
    from lib_multipass.words import log

    told = []
    monkeypatch.setattr(log, "exception", told.append)
    shared(first=False).attic.supported_scripts = None
    assert len(host.run(host.job(dict(OWN))).images) == 1
    assert told == ["it could not be told who made which pictures"]
