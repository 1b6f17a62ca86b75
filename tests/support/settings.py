"""The webui's settings, changed for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.webuis import Server


@contextmanager
def settings(server: Server, **values: Any) -> Iterator[None]:
    """Set these through the API, and set them back at the end; reForge tells those of extensions to nobody."""
    known = {**server.client.get("/probe/state")["data"], **server.client.get("/sdapi/v1/options")}
    server.client.post("/sdapi/v1/options", values)
    try:
        yield
    finally:
        server.client.post("/sdapi/v1/options", {name: known[name] for name in values})
