"""Jobs in a webui with room for one checkpoint."""

from __future__ import annotations

from typing import Any

from support.jobs import B


def job(host: Any, second: str = B, faces: Any = None, own: str | None = None, **fields: Any) -> Any:
    ours = {"enabled": True, "checkpoint": second, **({"adetailer": own} if own else {})}
    return host.job(ours, faces=faces and dict(faces), **{"hr_upscaler": "Lanczos", **fields})
