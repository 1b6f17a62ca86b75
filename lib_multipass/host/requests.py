"""The plan of a txt2img request that is not run."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from lib_multipass.args import SAME_AS_SECOND, SAME_VAE, PassArgs
from lib_multipass.detailer import enabled_tabs
from lib_multipass.forecast import Forecast
from lib_multipass.host import adetailer, crossing, dropped, outlook, vaes
from lib_multipass.messages import MultipassError
from lib_multipass.plan import Plan

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


def plan_of(request: PlanRequest) -> Forecast:
    """What the request would do: nothing is loaded, moved or changed.

    Raises:
        MultipassError: for what the request itself would be refused for.
    """
    _check_sizes(request)
    job = SimpleNamespace(**vars(request))
    args = PassArgs.parse(_args_of(request, "multipass"))
    plan = outlook.plan_of(job, args)
    faces = _args_of(request, "adetailer")
    tabs = adetailer.checkpoints_of(faces, plan)
    warnings = _warnings(request, args, plan)
    job.comment = warnings.append
    crossing.check_refiner(job, plan)
    dropped.comment(job, plan, faces)
    return outlook.Outlook(job, plan, tabs, args.keep).forecast(warnings)


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


def _warnings(request: PlanRequest, args: PassArgs, plan: Plan) -> list[str]:
    """What the job would comment on."""
    warnings = []
    if not args.enabled:
        warnings.append("Multipass is off in this request.")
    if not request.enable_hr:
        warnings.append("Hires. fix is off; Multipass will switch it on.")
    if args.adetailer != SAME_AS_SECOND and not any(enabled_tabs(_args_of(request, "adetailer"))):
        warnings.append("No ADetailer tab is on, so the ADetailer checkpoint has no use.")
    if plan.own.vae == SAME_VAE and vaes.is_foreign(request, plan.base, plan.second):
        warnings.append(
            f"The SD VAE {vaes.fixed_name(request)} will not be put on {plan.second.name_for_extra}, which has another "
            "latent space."
        )
    if not crossing.lets_latents_cross(request, plan):
        warnings.append("A latent upscaler cannot lead from one of these architectures to the other.")
    elif reason := crossing.why_not_latent(request, plan):
        warnings.append(f"{reason}; {crossing.upscaler_between(request)} will be used.")
    return warnings
