"""Jobs on the miniature inside this process that have everything which is changed for their time, and their endings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from support.as_before import differing, look, of_job
from support.jobs import A, B, C
from support.pretended import empty

FINISHED, FAILED, FAILED_LATE, ENDED, ENDED_LATE, REFUSED, UNPREPARED = ENDINGS = (
    *("finished", "failed in its first pass", "failed in its second pass"),
    *("interrupted in its first pass", "interrupted in its second pass", "refused", "not prepared"),
)
WHERE = {FAILED: "sample", ENDED: "sample", FAILED_LATE: "sample_img2img", ENDED_LATE: "sample_img2img"}
OWN = {"checkpoint": B, "adetailer": C, "vae": "other.safetensors", "cfg_scale": 3.0, "clip_skip": 2}
OWN |= {"show_first_pass": True}
KEPT, ANEW = "all are loaded", "one is loaded"
TWO, ONE = "two checkpoints", "one checkpoint"
FACES = {"ad_model": "face_yolov8n.pt"}
_numbers = count()


class Stage:
    """The miniature, and jobs on it."""

    def __init__(self, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host, self.monkeypatch = host, monkeypatch
        self.ours: Any = None
        """The job of ours that ran last; held here, as its parts are, so that it can be looked at when it is over."""
        self.parts: list[Any] = []
        """Those that it has entered."""
        self._fresh: dict[str, Any] = {}
        """What it and they had before."""

    def look(self, p: Any = None, weights: bool = False) -> dict[str, Any]:
        """Everything by name, with what the job of ours that ran last has."""
        return look(self.host, p, weights) | ({} if self.ours is None else of_job(self.ours, self.parts))

    def differing(self, before: dict[str, Any], now: dict[str, Any]) -> set[str]:
        """The names of what is not as it was before the job."""
        return differing({**before, **self._fresh}, now)

    def job(self, ours: dict | None, **more: Any) -> Any:
        """A job that has everything which is changed for its time; without ours, as the webui does it."""
        fields = {"tiling": True, "hr_upscaler": "Latent", "outpath_samples": "saved", **more}
        number = next(_numbers)  # what the webui has encoded before, it keeps
        fields |= {"prompt": f"a cat, {number}", "negative_prompt": f"rain, {number}"}
        if ours is not None:
            return self.host.job(ours, faces=dict(FACES), **fields)
        faces = {**FACES, "ad_use_checkpoint": True, "ad_checkpoint": C}
        return self.host.job(faces=faces, hr_checkpoint_name=B, **fields)

    def plain_jobs(self) -> None:
        for name in (B, C, A):
            overrides = {"sd_model_checkpoint": f"{name}.safetensors"}
            self.host.run(self.host.job(override_settings=overrides, outpath_samples="saved"))

    def forget_hash(self) -> None:
        """As if this file were new: it is read ahead and hashed."""
        store = Path(self.host.hashes._store)
        known = json.loads(store.read_text(encoding="utf8"))
        known.pop(f"checkpoint/{B}.safetensors", None)
        store.write_text(json.dumps(known), encoding="utf8")

    def made(self, ending: str, ours: dict) -> Any:
        """A job that will end like this."""
        if ending == REFUSED:
            overrides = {"sd_model_checkpoint": f"{C}.safetensors"}
            return self.job({**ours, "checkpoint": "nobody"}, override_settings=overrides)
        return self.job(ours)

    def run(self, p: Any, ending: str = FINISHED, close: bool = True) -> None:
        """Run a job and let it end like this."""
        from lib_multipass.webui.a1111 import models

        def fail(*_args: Any, **_kwargs: Any) -> None:
            raise ZeroDivisionError

        def at(inner: Callable) -> Callable:
            def sample(sampler: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
                if job is p:
                    self.host.shared.state.interrupt() if ending in (ENDED, ENDED_LATE) else fail()
                return inner(sampler, job, *args, **kwargs)

            return sample

        with self.monkeypatch.context() as patch:
            self._hold(patch)
            if ending == UNPREPARED:
                patch.setattr(models, "keep", fail)
            elif ending in WHERE:
                sampler, name = self.host.sd_samplers._Sampler, WHERE[ending]
                patch.setattr(sampler, name, at(getattr(sampler, name)))
            with suppress(Exception):
                self.host.run(p) if close else self._run_open(p)

    def _hold(self, patch: pytest.MonkeyPatch) -> None:
        from lib_multipass.job.jobs import Job
        from lib_multipass.plan.decide import Vaes

        self.ours, self.parts, self._fresh, enter = None, [], {}, Job._enter

        def entered(job: Any, part: Any) -> None:
            self.ours, idle = job, part
            if hasattr(part, "vaes"):
                idle = type(part)(Vaes())  # before a job no VAE is wanted
            self._fresh = of_job(job, [idle]) | self._fresh
            self._fresh = {name: value for name, value in self._fresh.items() if not name.startswith("Job.parts.")}
            self.parts.append(part)
            enter(job, part)

        patch.setattr(Job, "_enter", entered)

    def _run_open(self, p: Any) -> None:
        """As X/Y/Z plot renders a cell: nobody closes it."""
        self.host.shared.state.begin(job="cell")
        try:
            self.host.processing.process_images(p)
        finally:
            self.host.shared.state.end()


def forget_noted(host: Any) -> None:
    """What the probe and the miniature have written down of all tests so far, which would be looked through at each
    step."""
    from mini import events

    events.clear()
    for noted in host.shared.multipass_probe_seen.values():
        noted.clear()


@contextmanager
def stages(host: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Stage]]:
    """The miniature with all checkpoints loaded before and after the job by the user's own settings, or with one."""
    from lib_multipass.job import jobs

    def stage(loaded: str) -> Stage:
        data = host.shared.opts.data
        for name in ("samples_save", "save_images_before_highres_fix"):
            monkeypatch.setitem(data, name, True)
        monkeypatch.setitem(data, "sd_checkpoints_limit", 3 if loaded == KEPT else 1)
        forget_noted(host)
        made = Stage(host, monkeypatch)
        host.run(host.job(True, B, outpath_samples="saved"))
        empty(host)  # new models: whatever earlier jobs have left on one would be as before after this one, too
        host.sd_models.load_model()
        made.plain_jobs()
        if loaded == ANEW:
            made.forget_hash()
        return made

    yield stage
    monkeypatch.undo()
    jobs.end_running()
    host.run(host.job())
