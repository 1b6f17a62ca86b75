"""The end of a job: whatever closes it, copies it or wraps its methods; and the end of a script around its pieces."""

from __future__ import annotations

import copy
from contextlib import closing, suppress

import pytest

from support.idle import idle_state
from support.jobs import B


@pytest.fixture(autouse=True)
def plain_job_first(host):
    host.run(host.job())


def in_pieces(values) -> tuple:
    """Script arguments with a script selected, which may render the job in pieces."""
    return (1, *values[1:])


def pixels(processed) -> list[bytes]:
    return [picture.tobytes() for picture in processed.images]


OWN = {"checkpoint": B, "cfg_scale": 3.0}


@pytest.mark.parametrize("way", [copy.copy, lambda p: copy.copy(copy.copy(p))])
def test_copies_that_are_closed_end_nothing(host, monkeypatch, way):
    expected = pixels(host.run(host.job(OWN, n_iter=2)))
    process_batch = host.scripts.ScriptRunner.process_batch

    def and_close_a_copy(self, p, **kwargs):
        process_batch(self, p, **kwargs)
        said = host.shared.state.textinfo
        way(p).close()
        assert host.shared.state.textinfo == said is not None

    monkeypatch.setattr(host.scripts.ScriptRunner, "process_batch", and_close_a_copy)
    assert pixels(host.run(host.job(OWN, n_iter=2))) == expected


def test_closing_a_script_job_ends_what_its_last_cell_has_left(host, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("no sampling")

    before = idle_state(host)
    whole = host.job(OWN, kind=in_pieces)
    host.shared.state.begin(job="plot")
    with closing(whole):
        with monkeypatch.context() as patch, suppress(RuntimeError):
            patch.setattr(host.processing, "decode_latent_batch", fail)
            host.processing.process_images(copy.copy(whole))
        assert idle_state(host)["running"]["job"] is not None
    host.shared.state.end()
    assert idle_state(host) == before


def test_what_a_deep_copy_is_refused_for_is_told_by_the_whole(host):
    whole = host.job(True, "nobody", kind=in_pieces)
    cell = copy.copy(whole)
    vars(cell).update(copy.deepcopy({key: value for key, value in vars(whole).items() if "multipass" in key}))
    with suppress(Exception):
        host.run(cell)
    other = host.job(True, "nobody else", kind=in_pieces)
    with suppress(Exception):
        host.run(other)
    with pytest.raises(Exception, match="'nobody'"):
        whole.close()


def test_a_job_that_was_refused_can_be_made_with_other_arguments(host):
    """Scripts render one ``p`` again and again, with other prompts."""
    p, good = host.job(True, "nobody"), host.job(OWN)
    with pytest.raises(Exception, match="'nobody'"):
        host.run(p)
    p.script_args = good.script_args
    assert pixels(host.run(p)) == pixels(host.run(good))


PARTS = ["Gauge", "Progress", "Control", "Keys", "Tags", "PassVae", "FirstPass", "PutOff", "Stages", "Ahead"]
"""In the order in which a job enters them."""


@pytest.mark.parametrize("kind", PARTS)
def test_a_job_that_cannot_be_entered_is_over_at_once(host, monkeypatch, kind):
    """X/Y/Z plot closes none of its cells; nothing of this one holds while the next is made."""
    from lib_multipass.job.jobs import Job
    from lib_multipass.state import Part, running

    def begin(part):
        entered.append(type(part).__name__)
        if entered[-1] == kind:
            raise ZeroDivisionError("no entrance")
        begins[type(part)](part)

    def leave(job, part):
        left.append(type(part).__name__)
        inner(job, part)

    before, entered, left, inner = idle_state(host), [], [], Job._leave
    begins = {part: part.begin for part in Part.__subclasses__()}
    for part in begins:
        monkeypatch.setattr(part, "begin", begin)
    monkeypatch.setattr(Job, "_leave", leave)
    p = host.job(OWN)
    p.scripts.before_process(p)
    assert entered == PARTS[: PARTS.index(kind) + 1]
    assert left == entered[::-1]
    assert running.job is None
    assert idle_state(host) == before
    with pytest.raises(Exception, match="could not prepare the job: ZeroDivisionError: no entrance"):
        p.init([], [], [])


def test_a_job_whose_checkpoints_cannot_be_kept_is_over_at_once(host, monkeypatch):
    """What it failed with counts: memory that ran out is remembered."""
    from lib_multipass.state import kept, running
    from lib_multipass.webui.a1111 import models

    def fail(*_args):
        raise MemoryError

    monkeypatch.setattr(models, "keep", fail)
    before = idle_state(host)
    p = host.job(True, B)
    p.scripts.before_process(p)
    assert running.job is None
    assert idle_state(host) == before
    assert [lack.count for lack in kept.lacks.values()] == [1]
    with pytest.raises(Exception, match="could not prepare the job: MemoryError"):
        p.init([], [], [])


def test_a_copy_of_a_refused_job_is_refused(host):
    """Extensions that replace ``process_images_inner`` may go on with one."""
    p = host.job(True, "nobody")
    p.scripts.before_process(p)
    with pytest.raises(Exception, match="'nobody'"):
        copy.copy(p).init([], [], [])


class Neighbour:
    """Another extension that wraps the methods that end and begin a job."""

    def __init__(self, host):
        self.job, self.patches, self.calls = host.processing.StableDiffusionProcessingTxt2Img, host.patches, []

    def install(self):
        for name in ("init", "close"):
            self.patches.patch("neighbour", self.job, name, self._wrapped(name, getattr(self.job, name)))

    def uninstall(self):
        for name in ("init", "close"):
            self.patches.undo("neighbour", self.job, name)

    def _wrapped(self, name, inner):
        def wrapper(self_, *args):
            self.calls.append(name)
            return inner(self_, *args)

        return wrapper


def test_another_extensions_wrappers_around_ours(host):
    expected, before, neighbour = pixels(host.run(host.job(OWN))), idle_state(host), Neighbour(host)
    neighbour.install()
    try:
        assert pixels(host.run(host.job(OWN))) == expected
        assert neighbour.calls == ["init", "close"]
        with pytest.raises(Exception, match="'nobody'"):
            host.run(host.job(True, "nobody"))
    finally:
        neighbour.uninstall()
    assert idle_state(host) == before
    with pytest.raises(Exception, match="'nobody'"):
        host.run(host.job(True, "nobody"))


def test_another_extensions_wrappers_below_ours(host):
    expected, neighbour = pixels(host.run(host.job(OWN))), Neighbour(host)
    host.script_callbacks.script_unloaded_callback()
    neighbour.install()
    try:
        theirs = neighbour.job.close
        host.initialize.initialize_rest(reload_script_modules=True)
        host.build_page()
        assert pixels(host.run(host.job(OWN))) == expected
        assert neighbour.calls == ["init", "close"]
        host.script_callbacks.script_unloaded_callback()
        assert neighbour.job.close is theirs
    finally:
        neighbour.uninstall()
        host.initialize.initialize_rest(reload_script_modules=True)
        host.build_page()


def test_nothing_is_left_on_the_webuis_classes(host):
    classes = (host.processing.StableDiffusionProcessing, host.processing.StableDiffusionProcessingTxt2Img)
    found = []
    for _ in range(3):
        host.script_callbacks.script_unloaded_callback()
        found.append([{name: value for name, value in vars(one).items() if callable(value)} for one in classes])
        host.initialize.initialize_rest(reload_script_modules=True)
        host.build_page()
    assert found[0] == found[1] == found[2]
    modules = {method.__module__.partition(".")[0] for one in found[0] for method in one.values()}
    assert "lib_multipass" not in modules
