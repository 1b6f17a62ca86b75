"""Faults in jobs on the miniature, and what has to be right after each of them."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from support.idle import idle_state
from support.inprocess import Host
from support.jobs import A, B, C, differences
from support.switchboard import FAIL, FAIL_AFTER, WAYS, FaultError, Place, Switchboard

SAVING = {"samples_save": True, "save_images_before_highres_fix": True}
TIGHT = {"multipass_stages": 512, "multipass_ram_reserve": 9999}
"""Settings of a job that keeps its stages and has room for one checkpoint."""
SAVED = "saved-in-faults"
"""Folder below the webui's data."""


@dataclass(frozen=True)
class JobKind:
    """A Multipass job in which faults happen."""

    name: str
    faces: bool = False
    n_iter: int = 1
    grid: bool = False
    """Whether it is rendered as X/Y/Z plot renders its cells."""
    kept: bool = False
    """Whether the job before it was a Multipass job, too, so that its checkpoints are loaded."""
    saves: bool = False
    """Whether its pictures are saved, and copies of them before the hires pass."""
    tight: bool = False
    """Whether it keeps its stages and has room for one checkpoint."""
    again: bool = False
    """Whether the job before it was the same."""
    own: dict[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.name

    def make(self, host: Host) -> Any:
        """A new one."""
        faces = {"ad_model": "face_yolov8n.pt"} if self.faces else None
        overrides = (dict(SAVING) if self.saves else {}) | (TIGHT if self.tight else {})
        own = {"checkpoint": B, "adetailer": C, **self.own}
        p = host.job(own, faces=faces, n_iter=self.n_iter, override_settings=overrides)
        p.outpath_samples = SAVED
        return _small(p)


def _small(p: Any) -> Any:
    p.width = p.height = 32
    return p


KINDS = [
    JobKind("single"),
    JobKind("single-kept", kept=True),
    JobKind("faces", faces=True),
    JobKind("three", n_iter=3, kept=True),
    JobKind("three-faces", n_iter=3, faces=True),
    JobKind("grid-faces", faces=True, grid=True),
    JobKind("saved", faces=True, n_iter=2, kept=True, saves=True),
    JobKind(
        "all-set",
        faces=True,
        kept=True,
        own={"vae": "other.safetensors", "cfg_scale": 3, "clip_skip": 2, "show_first_pass": True},
    ),
    JobKind("pass-by-pass", n_iter=3, tight=True),
    JobKind("put-off", faces=True, n_iter=2, tight=True, again=True),
]


@dataclass(frozen=True)
class Fault:
    """One fault: in which call of what, in which job."""

    place: Place
    nth: int
    kind: JobKind
    how: str

    def __str__(self) -> str:
        return f"call {self.nth} of {self.place} {self.how} in {self.kind}"

    @property
    def fails(self) -> bool:
        """Whether it is an error, not an end that the user asked for."""
        return self.how in (FAIL, FAIL_AFTER)


@dataclass
class Outcome:
    """How a job with a fault in it ended."""

    error: BaseException | None = None
    swallowed: list[BaseException] = field(default_factory=list)
    """What a grid did not let through."""
    said: str = ""
    """What the console shows."""
    pictures: list[bytes] = field(default_factory=list)


class Stage:
    """The miniature, what it makes without faults, and its state then."""

    def __init__(self, host: Host, board: Switchboard) -> None:
        self.host, self.board, self.injected = host, board, 0
        self.after_fault = JobKind("after", faces=True)
        self.pictures_of: dict[str, set[bytes]] = {}
        self.calls_of: dict[str, Counter[Place]] = {}
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            for _ in range(2):  # the first picture of a file has no hash
                self._run_plain()
                self.multipass = self._run_multipass()
            self.plain = self._run_plain()
        self.idle = idle_state(host)
        self.options = copy.deepcopy(host.shared.opts.data)
        self.config = self._config()

    def _config(self) -> bytes:
        return Path(self.host.shared.config_filename).read_bytes()

    def _run_plain(self) -> list[bytes]:
        return _pictures(self.host.run(_small(self.host.job())))

    def _run_multipass(self) -> list[bytes]:
        return _pictures(self.host.run(self.after_fault.make(self.host)))

    def expected(self, kind: JobKind) -> set[bytes]:
        """The pictures of this job, with and without the faces, which ADetailer leaves as they are if it fails."""
        if kind.name not in self.pictures_of:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                with_faces = _pictures(self.host.run(kind.make(self.host)))
                bare = replace(kind, faces=False, grid=False)
                without = _pictures(self.host.run(bare.make(self.host)))
                self._run_plain()
            self.pictures_of[kind.name] = {*with_faces, *without}
        return self.pictures_of[kind.name]

    def faults(self, place: Place) -> list[Fault]:
        """All faults that there are in this function."""
        counts = {kind: self._calls(kind)[place] for kind in KINDS}
        return [Fault(place, nth, kind, how) for kind in KINDS for how in WAYS for nth in range(1, counts[kind] + 1)]

    def _calls(self, kind: JobKind) -> Counter[Place]:
        """How often each function is called in this job."""
        if kind.name not in self.calls_of:
            with redirect_stdout(io.StringIO()) as printed, redirect_stderr(printed):
                self._prepare(kind)
                p = kind.make(self.host)
                self.board.calls = counted = Counter()
                self._run_as(kind, p, Outcome())
                self.board.calls = None
                self._run_plain()
            self.calls_of[kind.name] = counted
        return self.calls_of[kind.name]

    def inject(self, fault: Fault) -> list[str]:
        """Let it happen; what is wrong afterwards, one sentence a wrong thing."""
        expected = self.expected(fault.kind)
        with redirect_stdout(io.StringIO()) as printed, redirect_stderr(printed):
            self._prepare(fault.kind)
            outcome = self._run(fault)
            wrong = [*self._at_once(outcome, fault, expected), *self._later(fault.kind)]
        self.injected += self.board.fired
        return [f"{fault}: {sentence}" for sentence in wrong]

    def _prepare(self, kind: JobKind) -> None:
        """What is not loaded has no hash either, so that it is read ahead and hashed."""
        from lib_multipass.state import kept

        shutil.rmtree(Path(self.host.paths.data_path) / SAVED, ignore_errors=True)
        kept.stages.clear()
        if kind.again:
            self.host.run(kind.make(self.host))
        if kind.kept:
            self._run_multipass()
        else:
            store = Path(self.host.hashes._store)
            known = json.loads(store.read_text(encoding="utf8"))
            known.pop(f"checkpoint/{B}.safetensors", None)
            store.write_text(json.dumps(known), encoding="utf8")

    def _run(self, fault: Fault) -> Outcome:
        outcome = Outcome()
        with redirect_stderr(io.StringIO()) as said:
            p = fault.kind.make(self.host)
            self.board.arm(fault.place, fault.nth, fault.how)
            try:
                self._run_as(fault.kind, p, outcome)
            except Exception as error:
                outcome.error = error
            finally:
                self.board.disarm()
        outcome.said = said.getvalue()
        return outcome

    def _run_as(self, kind: JobKind, p: Any, outcome: Outcome) -> None:
        if kind.grid:
            self._run_grid(p, outcome)
        else:
            outcome.pictures = _pictures(self.host.run(p))

    def _run_grid(self, p: Any, outcome: Outcome) -> None:
        """As X/Y/Z plot does it: shallow copies, errors swallowed, the selected checkpoint again at the end."""
        p.script_args = (1, *p.script_args[1:])
        p.setup_scripts()
        p.seed, p.steps = 5, 2  # the webui's own seed and sampler scripts set theirs there
        cells = [copy.copy(p) for _ in range(2)]
        with closing(p):
            self.host.shared.state.begin(job="test")
            try:
                for cell in cells:
                    try:
                        outcome.pictures += _pictures(self.host.processing.process_images(cell))
                    except Exception as error:
                        outcome.swallowed.append(error)
                self.host.sd_models.reload_model_weights()
            finally:
                self.host.shared.state.end()

    def _at_once(self, outcome: Outcome, fault: Fault, expected: set[bytes]) -> Iterator[str]:
        seen = [error for error in (outcome.error, *outcome.swallowed) if error is not None]
        for error in seen:
            if not fault.fails or not is_clear(error):
                yield f"the user saw {error!r}"
        if self.board.fired and fault.fails and not seen:
            if "failed on purpose" not in outcome.said:
                yield "nobody was told"
            if not set(outcome.pictures) <= expected:
                yield f"the pictures are other ones, and only the console says something: {outcome.said[-300:]}"
        yield from self._state()

    def _later(self, kind: JobKind) -> Iterator[str]:
        jobs = [("plain", self._run_plain, self.plain), ("Multipass", self._run_multipass, self.multipass)]
        for name, run, expected in jobs if kind.kept else reversed(jobs):
            try:
                if run() != expected:
                    yield f"the next {name} job made another picture"
            except Exception as error:
                yield f"the next {name} job failed: {error!r}"
            if name == "plain" and self.host.loaded != [A]:
                yield f"after a plain job {self.host.loaded} are loaded"
            yield from self._state()
        # A defect shall not be taken for one of the next fault's.
        with contextlib.suppress(Exception):
            self._run_plain()

    def _state(self) -> Iterator[str]:
        wrong = differences(self.options, self.host.shared.opts.data)
        if wrong:
            yield f"options changed: {wrong}"
            self.host.shared.opts.data = copy.deepcopy(self.options)
        if self._config() != self.config:
            yield "config.json changed"
        left = differences(self.idle, idle_state(self.host))
        if left:
            yield f"left behind: {left}"
        yield from _zombies(self.host)


def is_clear(error: BaseException) -> bool:
    """Whether this is the fault itself, or a sentence of ours that names it."""
    from lib_multipass.words import MultipassError

    return isinstance(error, FaultError) or (isinstance(error, MultipassError) and "failed on purpose" in str(error))


def _pictures(processed: Any) -> list[bytes]:
    return [picture.tobytes() for picture in processed.images]


def _zombies(host: Host) -> Iterator[str]:
    data = host.sd_models.model_data
    listed = [id(model) for model in data.loaded_sd_models]
    if len(set(listed)) != len(listed):
        yield "a model is listed twice"
    if data.sd_model is not None and id(data.sd_model) not in listed:
        yield "the active model is not listed"
    for model in data.loaded_sd_models:
        if any(tensor.is_meta for tensor in model.parameters()):
            yield f"{model.sd_checkpoint_info.name_for_extra} is listed and empty"
