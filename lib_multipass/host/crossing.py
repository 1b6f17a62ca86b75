"""What has to be right before the passes of a job can follow each other: architectures, upscaler, refiner."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import shared

from lib_multipass import args as fields
from lib_multipass import crossing
from lib_multipass.checkpoints import Checkpoint
from lib_multipass.crossing import FIRST, PIXEL_UPSCALER, REFINED_PASSES, SECOND
from lib_multipass.headers import FLUX, SD3
from lib_multipass.host import checkpoints, features, files
from lib_multipass.plan import Plan

OPTION = "multipass_crossing_upscaler"
REFINER_PASS = "hires_fix_refiner_pass"
MASK_WEIGHT = "inpainting_mask_weight"
BASE = "First-pass checkpoint"


def setting() -> Any:
    """The entry of the Settings page."""
    info = shared.OptionInfo(
        PIXEL_UPSCALER, "Upscaler between architectures", gr.Dropdown, lambda: {"choices": _pixel_upscalers()}
    )
    return info.info(
        "takes the place of a latent upscaler when the two passes cannot read each other's latent pictures"
    )


def require_usable(plan: Plan) -> None:
    """Refuse checkpoints that cannot do what the plan wants of them.

    The first pass's checkpoint may be loaded while its file is gone, so of that one only the architecture counts.

    Raises:
        MultipassError: with the checkpoint's name and the reason.
    """
    base = files.facts_of(plan.base)
    crossing.require_architecture(BASE, plan.base.name, base, _beyond_this_webui())
    crossing.require_beginner(BASE, plan.base.name, base)
    for field, checkpoint in (("checkpoint", plan.second), ("adetailer", plan.faces)):
        if checkpoint is not None:
            facts = files.facts_of(checkpoint)
            crossing.require_checkpoint(fields.label(field), checkpoint.name, facts)
            crossing.require_architecture(fields.label(field), checkpoint.name, facts, _beyond_this_webui())


def _beyond_this_webui() -> set[str]:
    """Architectures that this webui does not know: no version knows Flux, and old ones not SD 3."""
    return {FLUX} if features.knows_sd3() else {FLUX, SD3}


def lets_latents_cross(p: Any, plan: Plan) -> bool:
    """Whether a latent upscaler would hand on latents that the second checkpoint can read; True for pixel upscalers."""
    return not _is_latent(p) or crossing.latents_fit(files.facts_of(plan.base), files.facts_of(plan.second))


def _is_latent(p: Any) -> bool:
    return p.hr_upscaler is None or p.hr_upscaler in shared.latent_upscale_modes


def why_not_latent(p: Any, plan: Plan) -> str:
    """Why the job cannot be done with its latent upscaler: how a sentence begins; empty if it can.

    For an inpainting checkpoint the webui makes an empty mask of the first pass's size, unless *Inpainting conditioning
    mask strength* is below 1; with pixel upscalers it has the right size (``sample_hr_pass``, 1.6.0 to 1.10.1).
    """
    first, second = files.facts_of(plan.base), files.facts_of(plan.second)
    if not lets_latents_cross(p, plan):
        return (
            f"{plan.base.name_for_extra} is {first.architecture}, {plan.second.name_for_extra} is "
            f"{second.architecture}: the upscaler {p.hr_upscaler or 'Latent'} cannot lead from one to the other"
        )
    weight = getattr(p, MASK_WEIGHT, _in_force(p, MASK_WEIGHT, 1))
    weaker = isinstance(weight, int | float) and weight < 1
    if _is_latent(p) and second.takes_picture and not weaker:
        kind = "is an inpainting checkpoint" if second.inpainting else "goes on from pictures"
        return f"{plan.second.name_for_extra} {kind}: the upscaler {p.hr_upscaler or 'Latent'} cannot lead to it"
    return ""


def cross_in_pixels(p: Any, plan: Plan) -> None:
    """Replace a latent upscaler that would lead to a checkpoint which cannot go on from it."""
    reason = why_not_latent(p, plan)
    if reason:
        upscaler = upscaler_between(p)
        p.comment(f"{reason}, so {upscaler} was used.")
        p.hr_upscaler = upscaler


def upscaler_between(p: Any) -> str:
    """The upscaler that takes a latent one's place."""
    return crossing.replacement(_in_force(p, OPTION, PIXEL_UPSCALER), _pixel_upscalers())


def _in_force(p: Any, option: str, usual: str) -> str:
    """An option's value for this job; when a job is prepared its own settings are not applied yet."""
    return (p.override_settings or {}).get(option, getattr(shared.opts, option, usual))


def _pixel_upscalers() -> list[str]:
    return [upscaler.name for upscaler in shared.sd_upscalers if upscaler.name != "None"]


def refiner_of(p: Any) -> Checkpoint | None:
    """The checkpoint that will take over as refiner; None too if it is set to take over at the very end.

    Raises:
        MultipassError: for a name over which the webui would fail, at the very end too.
    """
    refiner = checkpoints.refiner_of(p)
    return None if p.refiner_switch_at is not None and p.refiner_switch_at >= 1 else refiner


def check_refiner(p: Any, plan: Plan) -> None:
    """Say what a refiner does to the second pass, and refuse one that cannot go on where it takes over.

    Raises:
        MultipassError: when there is no such checkpoint, or when its latent space is another than that of the
            checkpoint before it.
    """
    refiner = refiner_of(p)
    if refiner is None:
        return
    facts = files.facts_of(refiner)
    crossing.require_architecture("Refiner", refiner.name, facts, _beyond_this_webui())
    for refined in REFINED_PASSES.get(_in_force(p, REFINER_PASS, SECOND), (FIRST, SECOND)):
        checkpoint = plan.base if refined == FIRST else plan.second
        if checkpoint.filename == refiner.filename:
            continue
        crossing.require_same_latents(
            refiner.name_for_extra, checkpoint.name_for_extra, facts, files.facts_of(checkpoint)
        )
        if refined == SECOND and plan.swaps:
            p.comment(
                f"The refiner {refiner.name_for_extra} takes over from {plan.second.name_for_extra} within the second "
                f"pass. To finish with {plan.second.name_for_extra}, switch the refiner off or set Settings, Hires "
                f"fix: which pass to enable refiner for, to {FIRST}."
            )
