"""Multipass jobs with and without kept stages, and what they say that they did not make again."""

from __future__ import annotations

import re
from collections.abc import Callable

from support.client import Rendered
from support.jobs import B, multipass
from support.webuis import Server

ON, OFF = {}, {"multipass_stages": 0}
SAID = re.compile(r"not made again: (.*)")


def made(server: Server, body: dict, keeping: dict = ON, scripts: dict | None = None, own: dict | None = None):
    """A Multipass job; it keeps its stages if asked to.

    Args:
        server: the webui.
        body: of the request.
        keeping: ON where the settings say whether stages are kept, OFF for none.
        scripts: parts of other scripts.
        own: our arguments, but for the usual checkpoint.
    """
    overrides = {**keeping, **body.get("override_settings", {})}
    ours = multipass({"enabled": True, "checkpoint": B, **(own or {})})
    job = {**body, "override_settings": overrides, "alwayson_scripts": {**(scripts or {}), **ours}}
    return server.client.txt2img(**job)


def each_said(server: Server, work: Callable[[], Rendered]) -> tuple[Rendered, list[str]]:
    """What was made, and what each job's line in the console says that it did not make again."""
    before = len(server.log)
    got = work()
    return got, SAID.findall(server.log[before:])


def not_again(server: Server, work: Callable[[], Rendered]) -> tuple[Rendered, str]:
    """What a job made, and what its line in the console says that it did not make again."""
    got, said = each_said(server, work)
    return got, said[-1] if said else ""
