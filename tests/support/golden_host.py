"""Plays the golden record's cases on the miniature and writes down what came out, through what a webui sees alone."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
from fastapi import FastAPI
from fastapi.testclient import TestClient

from support.golden_cases import FIELDS, Case
from support.golden_page import Page
from support.golden_plain import Plain
from support.golden_watch import Watch, spoken
from support.plots import Option
from support.pretended import empty

ASKED = (
    *("prompt", "hr_prompt", "width", "height", "batch_size", "enable_hr", "hr_scale", "hr_resize_x", "hr_resize_y"),
    *("hr_upscaler", "refiner_checkpoint", "refiner_switch_at", "override_settings"),
)
"""Fields of a job that a plan is asked with."""
KEPT = ("sd_checkpoints_limit", "sd_checkpoints_keep_in_cpu")
LEFT_OUT = {"scripts_value", "script_args_value", "comments", "cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc"}


class Player:
    """The miniature as a player of cases; one kind of host at a time."""

    def __init__(self, host, monkeypatch) -> None:
        self.host, self.monkeypatch = host, monkeypatch
        self.watch = Watch(host)
        app = FastAPI()
        host.script_callbacks.app_started_callback(None, app)
        self.api = TestClient(app)
        self.axes, self.page = axes_of(host), Page(host)
        for name in ("alpha", "beta", "gamma", "drawn-old", "drawn-large", "drawn-no-vae"):
            host.run(host.job(True, name))  # from now on their hashes are known
        self._let_go()
        host.sd_models.list_models()
        self._load_first()
        host.run(host.job(enable_hr=False))  # whichever case is first finds its texts encoded
        self.fresh = False
        self.plain = Plain(host, self.api.get("/multipass/v1/state").json()["version"])

    def play(self, case: Case) -> dict[str, Any]:
        """What came of a case, by what was looked at; what is empty is left out."""
        if case.render or not self.fresh:
            self._load_first()
        with self.monkeypatch.context() as patch, contextlib.ExitStack() as stack:
            options = {"persistent_cond_cache": False, **case.options}
            for name, value in options.items():
                patch.setitem(self.host.shared.opts.data, name, value)
            for name, value in case.flags.items():
                patch.setattr(self.host.shared.cmd_opts, name, value)
            self._pretend(case, patch, stack)
            for name in case.loaded:
                self.host.run(self.host.job(True, name))
            self.watch.events.clear()
            came = self._rendered(case, patch) if case.render else self._hooks(case)
            self._let_go()
        self.fresh = not (case.render or case.loaded)
        return self.plain({name: value for name, value in came.items() if value not in ({}, [], None, "")})

    def leave(self) -> None:
        """The miniature as any other test finds it."""
        self._load_first()
        self.api.close()

    def _pretend(self, case: Case, patch: Any, stack: contextlib.ExitStack) -> None:
        """Memory of the case's size, whatever this machine has."""
        from mini import device

        ram, told, read = int(case.ram * 1e9), psutil.virtual_memory, Path.read_text

        def read_text(path: Path, *args: Any, **kwargs: Any) -> str:
            return "" if str(path) == "/proc/self/cgroup" else read(path, *args, **kwargs)

        patch.setattr(psutil, "virtual_memory", lambda: told()._replace(total=ram, available=ram))
        patch.setattr(Path, "read_text", read_text)
        if case.vram is not None:
            stack.enter_context(device.pretend(device.Device(int(case.vram * 1e9))))
            self.host.sd_models.send_model_to_device(self.host.shared.sd_model)

    def _let_go(self) -> None:
        """An unticked job's hook: nothing is kept any more."""
        idle = self.host.job()
        idle.scripts.before_process(idle)
        idle.close()
        self.host.shared.state.interrupted = False

    def _load_first(self) -> None:
        """Only the selected checkpoint is loaded."""
        empty(self.host)
        self.host.sd_models.load_model()
        self.fresh = True

    def _job(self, case: Case) -> Any:
        host = self.host
        args, ours = self._filled(case.args), host.script()
        if isinstance(args, dict):
            values = dict(zip(FIELDS, (control.value for control in ours.controls), strict=True))
            args = [*{**values, "enabled": True, **args}.values()]
        p = host.job(*args[: ours.args_to - ours.args_from], **self._filled(case.job))
        script, values = host.script("ADetailer"), list(p.script_args)
        if case.faces:
            values[script.args_from] = True
            values[script.args_from + 2 : script.args_from + 2 + len(case.faces)] = copy.deepcopy(case.faces)
        if case.how == "pieces":
            values[0] = 1
        p.script_args = tuple(values)
        return p

    def _piece(self, whole: Any, case: Case) -> Any:
        """What runs: a shallow copy where a script renders the job in pieces, as X/Y/Z plot does."""
        p = copy.copy(whole) if case.axes or case.how == "pieces" else whole
        for label, value in case.axes.items():
            self.axes[label].apply(p, value, [value])
        return p

    def _filled(self, value: Any) -> Any:
        """A copy with the hashes that are asked for."""
        if isinstance(value, dict):
            return {name: self._filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        known = self.host.sd_models.checkpoint_aliases
        return re.sub(r"{(\w+)}", lambda found: known[found[1]].shorthash, value) if isinstance(value, str) else value

    def _hooks(self, case: Case) -> dict[str, Any]:
        host, whole = self.host, self._job(case)
        came = self._foreseen(whole, case)
        if case.how == "pieces":
            host.scripts.scripts_txt2img.setup_scrips(whole)
        p, shared = self._piece(whole, case), self._fields(whole)
        with spoken() as said, self.watch.refusal(came):
            host.shared.state.begin(job="test")
            for _ in range(2 if case.how == "twice" else 1):
                before = self._fields(p)
                p.scripts.before_process(p)
            after = self._fields(p)
            came["changed"] = changes(before, after)
            came["changed in the whole"] = {} if p is whole else changes(shared, self._fields(whole))
            came["shown"] = host.shared.state.textinfo
            came["keeps"] = [getattr(host.shared.opts, name) for name in KEPT]
            came["interrupted"] = host.shared.state.interrupted or None
            came["comments"] = list(p.comments)
            p.setup_prompts()
            p.init(p.all_prompts, [5], [5])
        with self.watch.refusal(came, "refused at the end"), contextlib.closing(whole):
            pass
        host.shared.state.end()
        came["console"] = said()
        return came

    def _rendered(self, case: Case, patch: Any) -> dict[str, Any]:
        host, p, opts = self.host, self._job(case), self.host.shared.opts
        came = self._foreseen(p, case)
        before = dict(opts.data)
        with self.watch.passes(patch) as seen, spoken() as said:
            if case.how in ("fails", "interrupted"):
                self.watch.disturb(patch, case.how)
            for _ in range(2 if case.how == "twice" else 1):
                with self.watch.refusal(came):
                    if case.how == "pieces":
                        self._in_pieces(p, came)
                    else:
                        came |= pictures(host.run(self._piece(p, case)))
        came["comments"] = list(p.comments)
        came["passes"], came["story"] = seen, [" ".join(event) for event in self.watch.events.story]
        came["loaded"], came["keeps"] = host.loaded, [getattr(opts, name) for name in KEPT]
        came["shown"], came["interrupted"] = host.shared.state.textinfo, host.shared.state.interrupted or None
        came["settings"] = changes(before, opts.data)
        came["console"] = said()
        return came

    def _in_pieces(self, whole: Any, came: dict[str, Any]) -> None:
        """As X/Y/Z plot does it: what a cell raises is swallowed."""
        host = self.host
        host.shared.state.begin(job="test")
        try:
            with contextlib.closing(whole):
                for _ in range(2):
                    with self.watch.refusal(came, "refused in a piece"):
                        came |= pictures(host.processing.process_images(copy.copy(whole)))
        finally:
            host.shared.state.end()

    def _foreseen(self, p: Any, case: Case) -> dict[str, Any]:
        """What the API and the page say of the job before it runs; they do not know what a plot's axes set."""
        scripts = self.host.script(), self.host.script("ADetailer")
        args = [list(p.script_args[script.args_from : script.args_to]) for script in scripts]
        if case.axes:
            return {}
        if isinstance(case.args, list):
            return {"plan": self._plan(p, [self._filled(case.args), args[1]])}
        return {"plan": self._plan(p, args), "line": self.page.line(p, *args)}

    def _plan(self, p: Any, args: list[list]) -> Any:
        asked = {name: getattr(p, name) for name in ASKED}
        asked["alwayson_scripts"] = {"Multipass": {"args": args[0]}, "ADetailer": {"args": args[1]}}
        answer = self.api.post("/multipass/v1/plan", content=json.dumps(asked))
        return answer.json() if answer.status_code == 200 else {"refused": answer.status_code, **answer.json()}

    def _fields(self, p: Any) -> dict[str, Any]:
        """Of a job, as plain values; only the two scripts' arguments and what else changed among all."""
        hidden = {name for name in vars(p) if name.startswith("_multipass")} | LEFT_OUT
        found = {name: value for name, value in vars(p).items() if name not in hidden}
        args = list(p.script_args)
        for name, script in (("Multipass", self.host.script()), ("ADetailer", self.host.script("ADetailer"))):
            found[f"arguments of {name}"] = args[script.args_from : script.args_to]
            args[script.args_from : script.args_to] = [None] * (script.args_to - script.args_from)
        return self.plain({**found, "arguments of others": args, "type of arguments": type(p.script_args).__name__})


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if name not in before or before[name] != value}


def pictures(processed: Any) -> dict[str, Any]:
    sizes = [f"{picture.width}x{picture.height}" for picture in processed.images]
    return {"pictures": sizes, "first picture": processed.index_of_first_image, "infotexts": processed.infotexts}


def axes_of(host) -> dict[str, Option]:
    """The axes by their labels, as a plot gets them when the page is built."""
    module = SimpleNamespace(axis_options=[], AxisOptionTxt2Img=Option)
    entry = SimpleNamespace(path="/webui/scripts/xyz_grid.py", module=module, script_class=None, basedir="/webui")
    host.scripts.scripts_data.append(entry)
    try:
        host.script_callbacks.before_ui_callback()
    finally:
        host.scripts.scripts_data.remove(entry)
    return {option.label: option for option in module.axis_options}
