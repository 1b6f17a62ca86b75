"""After a job, X is as before: a row for each thing that Multipass changes for the time of one job, and who undoes it.

The rows are checked against what is really there: everything in the process that a job changes has to be in one, and
so has every step that clears up after a job.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from support.as_before import beyond, differing, in_rows, look, of_ours
from support.jobs import A, B, C
from support.scale import matrix
from support.stage import ANEW, ENDINGS, FAILED, FINISHED, KEPT, ONE, OWN, REFUSED, TWO, Stage, stages

PARTS = ("Ahead", "Control", "FirstPass", "Gauge", "Keys", "PassVae", "Progress", "PutOff", "Stages", "Tags")
AT_ONCE = {
    "Ahead._next": "Ahead.end",
    "Ahead._ready": "Ahead.end",
    "Ahead.reader._reading": "Ahead.end",
    "FirstPass.sampling": "finally of first_pass.watched",
    **{f"Job.parts.{part}": "Job._leave" for part in PARTS},
    "PassVae.in_hires_pass": "finally of PassVae.hires_pass",
    "PassVae.vaes": "PassVae.end",
    "Stages.in_hires": "finally of once.in_hires",
    "Progress.stage": "finally of Progress.at",
    "options.Options.CLIP_stop_at_last_layers": "finally of options.read_as",
    "p.cfg_scale": "finally of hires_pass.of_its_own",
    "sd_samplers.sample_to_image": "finally of pictures.decoded_already",
    "shared.opts.data": "finally of swaps._hash_kept",
    "shared.state.textinfo": "Progress.end",
    "state.kept.room": "finally of models.swapping",
    "state.running.before": "finally of lending.swapping",
    "state.running.is_swapping": "finally of lending.swapping",
    "state.running.job": "Running.end or jobs.end_running",
    "threads": "Ahead.end",
}
"""As before once the job has ended, however it has."""

FOR_LATER = {"state.kept.lacks": "Gauge.end", "networks.networks_in_memory": "Tags.end"}
"""What the end of some jobs changes for later ones: what ran out of memory, and LoRAs that are to be read anew."""

IN_THE_STORE = {"state.kept.stages": "PutOff.end"}
"""What was to wait for batches that never came stays no longer than others; ``test_put_off.py`` has its own test."""

UNTIL_OTHER_JOBS = {
    "state.kept.decision": "its checkpoints are kept for the next job; models.let_go",
    "state.kept.vae_given": "the VAE stays on a parked checkpoint, where the next job finds it",
    "state.kept.vae": "the VAE's file is kept for the next job; pass_vae.forget",
    "layers.padding_mode": "tiled, as the webui leaves the checkpoint that is active; follow.leave",
    "model.base_vae": "as its VAE",
    "model.loaded_vae_file": "as its VAE",
    "sd_hijack.model_hijack.circular_enabled": "as the webui leaves it",
    "sd_vae.base_vae": "of the active checkpoint",
    "sd_vae.checkpoint_info": "of the active checkpoint",
    "sd_vae.loaded_vae_file": "of the active checkpoint",
    "weights": "as its VAE",
}
"""As before once jobs without Multipass have run on each of its checkpoints."""

FOR_GOOD = {
    "memory.headers._known": "what the headers of files say, read once",
    "memory.headers._layouts": "what the headers of files say, read once",
    "memory.loaded._seen": "what was made of files whose headers say nothing",
    "memory.lora_files._known": "what the headers of LoRAs say, read once",
    "Ahead.reader._stop": "of a thread that has ended",
    "Ahead.reader._thread": "a thread that has ended",
    "state.kept.as_loaded": "what the weights of files are",
    "state.kept.embeddings": "which embeddings fit which text encoder, read once",
    "state.kept.has_swapped": "whether a job of ours has ever run",
    "state.kept.last": "what the last job has to tell",
    "state.kept.lacks": "what ran out of memory in this run",
    "state.kept.measured": "what pictures took of the memory in this run",
    "state.kept.lent": "whose part a checkpoint has, until it is loaded otherwise",
    "state.kept.recent": "what was active in this run",
    "state.kept.loads": "a count",
    "sd_hijack.model_hijack.clip": "of the checkpoint that was hijacked last, or that is active",
    "sd_hijack.model_hijack.layers": "of the checkpoint that was hijacked last, or that is active",
    "p._multipass": "the job's number",
    "p._multipass_refused": "why it was refused, until it is made anew",
    "p.comments": "what its user is told",
    "p.extra_generation_params": "its infotext",
    "p.hr_checkpoint_name": "as declared",
    "p.override_settings": "without the checkpoint of a refused job",
    "p.script_args_value": "ADetailer's tabs, as aimed",
}
"""Whatever follows: memories of this run, and what is declared on the job."""

WITH_THE_JOB = {
    **dict.fromkeys(("FirstPass.added_later", "FirstPass.copied"), "for its infotexts"),
    **dict.fromkeys(("FirstPass.pictures", "FirstPass.infotexts", "FirstPass.numbers"), "its first passes"),
    **dict.fromkeys((f"Gauge.{name}" for name in ("_before", "_checked", "_failed", "_failures", "_lack")), "read"),
    "Job.journal": "its passes and swaps",
    "PutOff._decided": "the number of its last batch",
    **dict.fromkeys(("Progress.job", "Progress.job_before", "Progress.text"), "what it said last"),
}
"""What a job notes for itself, and nobody reads when it is over."""

WHEN_REFUSED = {"sd_models.model_data.sd_model", "sd_models.model_data.loaded_sd_models"}
"""As before too, once a job was refused: nothing is loaded for it."""

OF_THE_PAGE = {"page.off._Why.reason", "webui.a1111.controls._controls", "page.paste._own", "page.planline._seen"}
"""Set while the page is built, or by its visitors."""

OF_THE_WEBUI = {
    *(f"shared.state.{name}" for name in ("interrupted", "job_count", "job_no", "job_timestamp", "time_start")),
    *("shared.state.processing_has_refined_job_count", "shared.state.sampling_step", "shared.state.sampling_steps"),
    *("shared.multipass_probe_seen", "mini.events.story", "model.last_sent", "layers.whole"),
}
"""What the webui sets for each job, and what the tests' own parts note: ``whole`` is the model that a part is of."""

UNDONE_BY = {undo for row in AT_ONCE.values() for undo in row.split(" or ") if not row.startswith("finally")}
STEPS = sorted({*UNDONE_BY, *FOR_LATER.values(), *IN_THE_STORE.values()})


def changed(stage: Stage, p: Any, ending: str = FINISHED) -> tuple[set[str], set[str]]:
    """What is not as before after this job, and after further ones without Multipass."""
    before = look(stage.host, p, weights=True)
    stage.run(p, ending)
    after = stage.differing(before, stage.look(p, weights=True))
    stage.plain_jobs()
    return after, stage.differing(before, stage.look(p, weights=True))


_own: dict[str, tuple[set[str], set[str]]] = {}


def by_the_webui(stage: Stage) -> tuple[set[str], set[str]]:
    """The same of a job that the webui does alone."""
    loaded = KEPT if stage.host.limit == 3 else ANEW
    if loaded not in _own:
        _own[loaded] = changed(stage, stage.job(None))
    return _own[loaded]


@pytest.fixture
def stage_of(host: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Stage]]:
    """The miniature with all checkpoints loaded or with one."""
    with stages(host, monkeypatch) as made:
        yield made


@pytest.mark.parametrize(("ending", "loaded", "number"), matrix(ENDINGS, (KEPT, ANEW), (TWO, ONE)))
def test_everything_is_as_before(stage_of: Callable[[str], Stage], ending: str, loaded: str, number: str) -> None:
    stage = stage_of(loaded)
    own_after, own_later = by_the_webui(stage)
    ours = OWN if number == TWO else {**OWN, "checkpoint": A}
    after, later = changed(stage, stage.made(ending, ours), ending)
    at_once = {*AT_ONCE, *(WHEN_REFUSED if ending == REFUSED else ())}
    assert in_rows(after, at_once) == set()
    assert beyond(after - own_after, UNTIL_OTHER_JOBS, FOR_GOOD, WITH_THE_JOB, OF_THE_WEBUI) == set()
    assert in_rows(later, UNTIL_OTHER_JOBS) == set()
    assert beyond(later - own_later, FOR_GOOD, WITH_THE_JOB, OF_THE_WEBUI) == set()


def test_between_jobs_our_modules_are_as_before_the_first(stage_of: Callable[[str], Stage]) -> None:
    """What the first job of all left would be as before after every later one."""
    host = stage_of(KEPT).host
    assert beyond(differing(host.before_any_job, of_ours(host.modules_before)), FOR_GOOD, OF_THE_PAGE) == set()


@contextmanager
def watched_steps(stage: Stage, without: str | None = None) -> Iterator[set[str]]:
    """The names of the steps that are taken to clear up, but for one that is left out."""
    from lib_multipass.job import hooks
    from lib_multipass.job.jobs import Job
    from lib_multipass.state import Part, Running, running

    taken: set[str] = set()

    def watched(name: str, step: Callable, instead: Callable = lambda *_args: None) -> Callable:
        def taking(*args: Any) -> None:
            taken.add(name)
            (instead if name == without else step)(*args)

        return taking

    def end_running() -> None:
        if running.job is not None:
            inner()

    inner = watched("jobs.end_running", hooks.end_running)
    with stage.monkeypatch.context() as patch:
        for kind in Part.__subclasses__():
            if "end" in vars(kind):
                patch.setattr(kind, "end", watched(f"{kind.__name__}.end", kind.end))
        patch.setattr(Job, "_leave", watched("Job._leave", Job._leave, lambda _job, part: part.end()))
        patch.setattr(Running, "end", watched("Running.end", Running.end))
        patch.setattr(hooks, "end_running", end_running)
        yield taken


def test_every_step_of_the_clearing_up_is_in_a_row(stage_of: Callable[[str], Stage]) -> None:
    from lib_multipass.state import Part

    stage = stage_of(ANEW)
    with watched_steps(stage) as taken:
        for ending in ENDINGS:
            stage.run(stage.made(ending, OWN), ending)
        stage.run(stage.job(OWN), FAILED, close=False)
        stage.plain_jobs()
    assert taken == {*STEPS}
    assert {kind.__name__ for kind in Part.__subclasses__()} == {*PARTS}
    assert {f"{kind.__name__}.end" for kind in Part.__subclasses__() if "end" in vars(kind)} <= {*STEPS}


@pytest.mark.parametrize("step", sorted(UNDONE_BY))
def test_without_a_step_its_rows_are_not_as_before(stage_of: Callable[[str], Stage], step: str) -> None:
    stage = stage_of(ANEW)
    p, earlier = stage.job(OWN), step == "jobs.end_running"
    before = look(stage.host, p)
    with watched_steps(stage, without=step):
        stage.run(p, FAILED if earlier else FINISHED, close=not earlier)
        if earlier:
            stage.plain_jobs()
        wrong = stage.differing(before, stage.look(p))
    rows = {row for row, undo in AT_ONCE.items() if step in undo.split(" or ")} - {"threads"}
    assert {row for row in AT_ONCE if in_rows(wrong, [row])} >= rows != set()


@pytest.mark.parametrize("without", [None, "Gauge.end", "Tags.end"])
def test_without_a_step_later_jobs_are_told_nothing(
    stage_of: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch, without: str | None
) -> None:
    """A job of two architectures that runs out of memory, with a LoRA in it."""
    from lib_multipass.memory import headers
    from lib_multipass.state import kept
    from lib_multipass.webui.a1111 import files

    def fail(*_args: Any, **_kwargs: Any) -> None:
        lora.mtime = 7.0  # read for the checkpoint that is active
        raise MemoryError

    stage, lora = stage_of(KEPT), SimpleNamespace(mtime=0.0)
    loras = SimpleNamespace(loaded_networks=[], networks_in_memory={"style": lora})
    monkeypatch.setitem(sys.modules, "networks", loras)
    facts = {name: headers.Facts(1, "SDXL" if name == B else "SD 1.x") for name in (A, B, C)}
    monkeypatch.setattr(files, "facts_of", lambda checkpoint: facts[checkpoint.name_for_extra])
    monkeypatch.setattr(stage.host.sd_samplers._Sampler, "sample_img2img", fail)
    with watched_steps(stage, without=without):
        stage.run(stage.job({"checkpoint": B}, hr_upscaler="Lanczos"))
    told = {"state.kept.lacks": bool(kept.lacks), "networks.networks_in_memory": lora.mtime == float("-inf")}
    assert told == {row: step != without for row, step in FOR_LATER.items()}


def test_a_step_that_fails_is_taken_again_at_the_next_end(stage_of: Callable[[str], Stage]) -> None:
    """The webui closes a job after it has finished it; until then nothing else of the job holds."""
    from lib_multipass.passes.ahead import Ahead
    from lib_multipass.passes.progress import Progress
    from lib_multipass.state import running

    stage = stage_of(KEPT)
    p, ends, tried, held = stage.job(OWN), {kind: kind.end for kind in (Ahead, Progress)}, [], []

    def failing(part: Any) -> None:
        if tried.count(type(part)):
            held.append({kind.__name__ for kind in running.job.parts})
        tried.append(type(part))
        if tried.count(type(part)) == 1:
            raise OSError
        ends[type(part)](part)

    before = look(stage.host, p)
    with stage.monkeypatch.context() as patch:
        for kind in ends:
            patch.setattr(kind, "end", failing)
        stage.run(p)
    assert tried == [Ahead, Progress] * 2
    assert held == [{"Ahead", "Progress"}, {"Progress"}]
    assert in_rows(stage.differing(before, stage.look(p)), AT_ONCE) == set()


def test_nothing_of_a_job_outlives_it(stage_of: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    from lib_multipass.words import log

    stage = stage_of(ANEW)
    monkeypatch.setattr(log, "exception", lambda *_args: None)  # pytest keeps logged errors, with their frames
    for ending in ENDINGS:
        stage.run(stage.made(ending, OWN), ending)
        outliving = [weakref.ref(one) for one in (stage.ours, *stage.parts) if one is not None]
        stage.ours, stage.parts = None, []
        gc.collect()
        assert [one for one in outliving if one() is not None] == []


def during(stage: Stage, p: Any) -> set[str]:
    """What a job changes while it runs."""
    from mini import painter

    host, seen = stage.host, []
    places = [(painter.Painter, name) for name in ("predict", "encode_first_stage", "decode_first_stage")]
    places += [(painter.TextEncoder, "forward"), (host.sd_samplers._Sampler, "sample_img2img")]
    places += [(host.sd_models, name) for name in ("load_model_weights", "send_model_to_device")]

    def watched(inner: Callable) -> Callable:
        def look_first(*args: Any, **kwargs: Any) -> Any:
            seen.append(stage.look(p))
            return inner(*args, **kwargs)

        return look_first

    with stage.monkeypatch.context() as patch:
        for owner, name in places:
            patch.setattr(owner, name, watched(getattr(owner, name)))
        before = look(host, p)
        stage.run(p)
    return set().union(*(stage.differing(before, one) for one in seen))


@pytest.mark.in_turn
@pytest.mark.parametrize("loaded", [ANEW, KEPT])
def test_what_a_job_changes_is_in_a_row(stage_of: Callable[[str], Stage], loaded: str) -> None:
    stage = stage_of(loaded)
    own, found = by_the_webui(stage)[0] | during(stage, stage.job(None)), set()
    for ours in (OWN, {**OWN, "checkpoint": A}):
        stage.plain_jobs()
        found |= during(stage, stage.job(ours))
    assert beyond(found - own, AT_ONCE, UNTIL_OTHER_JOBS, FOR_GOOD, WITH_THE_JOB, OF_THE_WEBUI) == set()
    # A row for what never changes would prove nothing; a thread may have ended before anybody looked.
    unseen = {row for row in AT_ONCE if not in_rows(found, [row])} - {"threads"}
    assert unseen == ({"Ahead._next", "Ahead._ready", "Ahead.reader._reading"} if loaded == KEPT else set())
