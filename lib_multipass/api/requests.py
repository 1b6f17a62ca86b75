"""The plan of a txt2img request that is not run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lib_multipass.plan.args import PassArgs
from lib_multipass.plan.decide import decide
from lib_multipass.plan.forecast import Forecast
from lib_multipass.plan.hires import with_theirs
from lib_multipass.plan.roles import roles_of
from lib_multipass.webui import host
from lib_multipass.words import MultipassError

LARGEST_SIDE, LARGEST_BATCH, LARGEST_SCALE = 16384, 1024, 64


@dataclass
class PlanRequest:
    """The part of a ``/sdapi/v1/txt2img`` body that the plan depends on; everything else in it is ignored."""

    prompt: str = ""
    hr_prompt: str = ""
    width: int = 512
    height: int = 512
    batch_size: int = 1
    enable_hr: bool = False
    hr_scale: float = 2.0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_upscaler: str | None = None
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    override_settings: dict[str, Any] = field(default_factory=dict)
    alwayson_scripts: dict[str, Any] = field(default_factory=dict)
    page: dict[str, Any] = field(default_factory=dict)
    """What the page says besides, by the names of the job's fields: whether a kept pass is asked for again."""


def plan_of(request: PlanRequest) -> Forecast:
    """What the request would do: nothing is loaded, moved or changed.

    Raises:
        MultipassError: for what the request itself would be refused for.
    """
    _check_sizes(request)
    args = PassArgs.parse(_args_of(request, "multipass"))
    files = host.vaes.names(), host.vaes.module_names()
    args = with_theirs(args, request.page, files[1])
    roles = roles_of(args, host.checkpoints.base_of(request), host.checkpoints.known(), *files)
    return decide(roles, host.gathering.of_request(request, roles, _args_of(request, "adetailer"))).forecast


def _args_of(request: PlanRequest, title: str) -> list[Any]:
    found = next((value for name, value in request.alwayson_scripts.items() if name.lower() == title), None)
    args = found.get("args") if isinstance(found, dict) else None
    if isinstance(args, dict):
        return [args]
    return list(args) if isinstance(args, (list, tuple)) else []


def _check_sizes(request: PlanRequest) -> None:
    limits = {"width": (1, LARGEST_SIDE), "height": (1, LARGEST_SIDE), "batch_size": (1, LARGEST_BATCH)}
    limits |= dict.fromkeys(("hr_resize_x", "hr_resize_y"), (0, LARGEST_SIDE)) | {"hr_scale": (0, LARGEST_SCALE)}
    for name, (lowest, highest) in limits.items():
        value = getattr(request, name)
        if not lowest <= value <= highest:
            raise MultipassError(f"{name}: {value!r} is not allowed here; it has to be from {lowest} to {highest}.")
