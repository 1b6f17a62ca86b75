"""Faults in jobs on a running webui, and what has to be right after each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from support.client import RefusedError, Rendered
from support.faults import Fault, JobKind
from support.hosts import NEO
from support.jobs import A, differences
from support.switchboard import INTERRUPT, WAYS, Place
from support.webuis import Server

Body = dict[str, Any]
PLAIN: Body = {"steps": 2}
MOST_LOADED = 3
"""No job here has more checkpoints."""


class Stage:
    """A webui with a switch in every function, what it makes without faults, and its state then.

    Args:
        server: the webui.
        bodies: the request of each kind of job.
        after: the kind of the Multipass job that follows a fault.
    """

    def __init__(self, server: Server, bodies: dict[JobKind, Body], after: JobKind) -> None:
        self.server, self.client, self.bodies, self.after = server, server.client, bodies, after
        self.injected = self.armed = 0
        self.loaded: bool | None = None
        """Whether all checkpoints are loaded, or only the first; None if that is not known."""
        self.calls_of: dict[JobKind, dict[str, int]] = {}
        self.pictures_of: dict[JobKind, set[str]] = {}
        for _ in range(2):  # the first picture of a file has no hash
            self._render(PLAIN)
            self.multipass = self._render(bodies[after])
        self.plain = self._render(PLAIN)
        self.idle, self.options, self.config = self.client.get("/probe/idle"), self._options(), server.config
        state = self.client.probe()
        self.vae, self.data = state["active vae"], state["data"]

    def _render(self, body: Body) -> Rendered:
        return self.client.txt2img(**body)

    def _options(self) -> dict:
        return self.client.get("/sdapi/v1/options")

    def faults(self, place: Place) -> list[Fault]:
        """All faults that there are in this function."""
        name = f"{place.module}:{place.name}"
        counts = {kind: self._calls(kind).get(name, 0) for kind in self.bodies}
        return [Fault(place, n, kind, how) for kind in counts for how in WAYS for n in range(1, counts[kind] + 1)]

    def _calls(self, kind: JobKind) -> dict[str, int]:
        """How often each function is called in this job; notes its pictures, with and without faces, as well."""
        if kind not in self.calls_of:
            self._prepare(kind)
            self.client.post("/probe/count")
            body, self.loaded = self.bodies[kind], None
            self.pictures_of[kind] = {*_hashes(self._render(body))}
            self.calls_of[kind] = self.client.get("/probe/counted")
            if kind.faces:
                scripts = {name: given for name, given in body["alwayson_scripts"].items() if name != "ADetailer"}
                self.pictures_of[kind] |= {*_hashes(self._render({**body, "alwayson_scripts": scripts}))}
        return self.calls_of[kind]

    def _prepare(self, kind: JobKind) -> None:
        """Its checkpoints are loaded already, or none but the first; or the same job was made before."""
        if kind.again:
            self._render(self.bodies[kind])
        elif self.loaded != kind.kept:
            self._render(self.bodies[self.after] if kind.kept else PLAIN)

    def inject(self, fault: Fault) -> list[str]:
        """Let it happen; what is wrong afterwards, one sentence a wrong thing."""
        self._calls(fault.kind)
        self._prepare(fault.kind)
        printed = len(self.server.log)
        place = f"{fault.place.module}:{fault.place.name}"
        self.client.post("/probe/fault", {"place": place, "nth": fault.nth, "how": fault.how})
        got = self._outcome(fault)
        fired = self.client.post("/probe/fault")["fired"]
        self.injected += fired
        self.armed += 1
        said, self.loaded = self.server.log[printed:], None
        wrong = [*self._at_once(fault, got, said if fired else None), *self._later(fault.kind)]
        if not wrong:
            self.loaded = fault.kind.kept
        else:
            wrong.append(f"the console said: {said[-6000:]}")
        return [f"{fault}: {sentence}" for sentence in wrong]

    def _outcome(self, fault: Fault) -> Rendered | RefusedError:
        try:
            return self._render(self.bodies[fault.kind])
        except RefusedError as error:
            return error

    def _at_once(self, fault: Fault, got: Rendered | RefusedError, said: str | None) -> Iterator[str]:
        """What is wrong with the answer and with the webui's state after it; ``said`` is None if nothing happened."""
        if isinstance(got, RefusedError):
            # The webui has nothing to write an infotext from after an interrupt before the first picture (1.6.0 to
            # 1.10.1), X/Y/Z plot after a first cell that failed before it had its seeds (1.6.0), and Forge Neo after a
            # load that failed for a face, since it has no model then.
            printed = said or ""
            interrupted = fault.how == INTERRUPT and "info=infotexts[0]" in printed
            told = "failed on purpose" in printed and "in create_infotext" in printed
            failed = "failed on purpose" in str(got) and got.status in (422, 500)
            without = fault.kind.grid or self.server.webui.kind is NEO
            if not interrupted and not (fault.fails and (failed or (without and told))):
                yield f"the user saw {got}"
        elif said is not None and fault.fails:
            if "failed on purpose" not in said:
                yield "nobody was told"
            if not fault.kind.grid and not {*_hashes(got)} <= self.pictures_of[fault.kind]:
                yield "the pictures are other ones, and only the console says something"
        yield from self._state(self.client.get("/probe/state"))

    def _later(self, kind: JobKind) -> Iterator[str]:
        jobs = [self._plain_job, self._multipass_job]
        for run in jobs if kind.kept else reversed(jobs):
            try:
                yield from run()
            except RefusedError as error:
                yield f"the job of {run.__name__} failed: {error}"
                return

    def _plain_job(self) -> Iterator[str]:
        got = self._render(PLAIN)
        state = self.client.get("/probe/state")
        if not got.same_as(self.plain) or got.infotexts != self.plain.infotexts:
            yield f"the next plain job made another picture, {got.infotext}"
        if (state["loaded"], state["active"]) != ([A], A):
            yield f"after a plain job {state['loaded']} are loaded and {state['active']} is active"
        if state["active vae"] != self.vae:
            yield "after a plain job the VAE is another one"
        if self.client.get("/multipass/v1/state")["keeping"]:
            yield "after a plain job checkpoints are kept"
        yield from self._state(state)

    def _multipass_job(self) -> Iterator[str]:
        self.client.post("/probe/clear")
        got = self._render(self.bodies[self.after])
        state = self.client.get("/probe/state")
        if got.difference(self.multipass) and state["builds"]:
            got = self._render(self.bodies[self.after])  # building a model shifts the VAE's noise
        if not got.same_as(self.multipass) or got.infotexts != self.multipass.infotexts:
            yield f"the next Multipass job made another picture, {got.infotext}"
        yield from self._state(state)

    def _state(self, state: dict) -> Iterator[str]:
        """What is wrong with what the webui has loaded, set and stored."""
        loaded = state["loaded"]
        if state["empty"]:
            yield f"{state['empty']} are listed and empty"
        if len({*loaded}) < len(loaded) or len(loaded) > MOST_LOADED:
            yield f"{loaded} are loaded"
        if state["active"] is not None and state["active"] not in loaded:
            yield f"the active {state['active']} is not listed"
        for name, expected, found in (
            ("options", self.data, state["data"]),
            ("the API's options", self.options, self._options()),
            ("what a job has for itself", self.idle, self.client.get("/probe/idle")),
        ):
            if differences(expected, found):
                yield f"{name} changed: {differences(expected, found)}"
        if self.server.config != self.config:
            yield "config.json changed"


def _hashes(rendered: Rendered) -> list[str]:
    return [hashlib.sha256(picture.tobytes()).hexdigest() for picture in rendered.pictures]
