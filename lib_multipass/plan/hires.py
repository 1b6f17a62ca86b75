"""The hires pass as it is declared: switched on, an upscaler that leads to its checkpoint, a refiner that fits.

Sentences stand here in two tenses where the plan says what will be and the job what was done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from lib_multipass.memory.headers import Facts
from lib_multipass.plan import crossing
from lib_multipass.plan.args import AUTOMATIC_VAE, NO_VAE, SAME_MODULES, SAME_VAE, PassArgs, label, written
from lib_multipass.plan.crossing import FIRST, REFINED_PASSES, SECOND
from lib_multipass.plan.names import Checkpoint, absent, called
from lib_multipass.plan.roles import Roles
from lib_multipass.plan.second_pass import SecondPass, own_field
from lib_multipass.plan.situation import Hires, Situation
from lib_multipass.words import MultipassError

HIRES_DEFAULTS = {"denoising_strength": 0.7, "hr_scale": 2.0, "hr_upscaler": "Latent"}
"""What the webui's page shows at first (``modules/ui.py``, 1.6.0 to 1.10.1), for a webui that runs without a page."""


def missing_hires_values(job: Mapping[str, Any], page: Mapping[str, Any], switched_on: bool) -> dict[str, Any]:
    """Values that an API request left empty and without which the hires pass fails.

    An empty upscaler means "Latent" to the webui. It is filled only if the request itself asked for no hires pass. A
    request that asked for one goes on giving the same picture.
    """
    wanted = HIRES_DEFAULTS if switched_on else ("denoising_strength", "hr_scale")
    return {name: page.get(name, HIRES_DEFAULTS[name]) for name in wanted if job.get(name) is None}


HIRES_CFG = "hr_cfg"
"""The field of webuis that have one for the hires pass's CFG scale; the pass follows it alone."""
HIRES_MODULES = "hr_additional_modules"
"""Forge Neo's field for the hires pass's VAE and text encoders."""
SAME_CHECKPOINT = "Use same checkpoint"
"""What the webui's own Hires checkpoint shows for none of its own (1.6.0 to 1.10.1)."""


def declared(hires: Hires) -> dict[str, Any]:
    """The fields that switch the hires pass on and fill what was left empty.

    A text such as "Use same sampler" becomes None, as the page itself does. With a request's ``infotext`` the webui
    (1.8.0 to 1.10.1) fills these texts in and then fails on them.
    """
    off = not hires.given.get("enable_hr")
    fields = missing_hires_values(hires.given, hires.page, switched_on=off)
    fields |= {name: None for name, text in hires.same.items() if hires.given.get(name) == text}
    wanted = fields.get("hr_upscaler", hires.given.get("hr_upscaler"))
    if not hires.defaults_to_latent and wanted in (None, HIRES_DEFAULTS["hr_upscaler"]):
        fields["hr_upscaler"] = upscaler_between(hires)
    return {**fields, "enable_hr": True} if off else fields


def of_its_own(hires: Hires, own: SecondPass, vaes: Collection[str], foreign: bool = False) -> dict[str, Any]:
    """Fields that some webuis have for the hires pass alone: its CFG scale, and its modules.

    In a request without it the CFG scale is 1 (Forge Neo, reForge), and at 1 the negative prompt has no effect. Without
    ``hr_additional_modules`` Forge Neo fails.

    Args:
        hires: the hires pass as it was asked for.
        own: the second pass's settings.
        vaes: the names of the VAE files.
        foreign: whether the first pass's VAE is one of another latent space than the second checkpoint's.
    """
    given = hires.given
    fields = {}
    if HIRES_CFG in given:
        fields[HIRES_CFG] = own_field(own.cfg_scale, given[HIRES_CFG], hires.cfg_left_out, hires.cfg_of_first)
    if HIRES_MODULES in given:
        modules = own_modules(hires, own, vaes, foreign)
        if modules is not None:
            fields[HIRES_MODULES] = modules
        elif given[HIRES_MODULES] is None or own.vae == AUTOMATIC_VAE:
            fields[HIRES_MODULES] = [SAME_MODULES]
    return fields


def own_modules(hires: Hires, own: SecondPass, vaes: Collection[str], foreign: bool) -> list[str] | None:
    """The hires pass's own modules, where there are any; None if it has the first pass's."""
    others = [one for one in hires.modules if one not in vaes]
    if own.modules is not None:
        return [*own.modules]
    if own.vae in vaes:
        return [*others, own.vae]
    return others if own.vae == NO_VAE or foreign else None


def with_theirs(args: PassArgs, given: Mapping[str, Any], modules: Collection[str] | None) -> PassArgs:
    """The settings, with what the webui's own field chooses as the hires pass's modules where ours leave it open.

    So ADetailer's passes on its checkpoint have them too, and the infotext says them.

    Args:
        args: the user's settings.
        given: the fields of the webui's job by name.
        modules: the names of the webui's modules, which leaves others out without a word; None where it has none.
    """
    theirs = given.get(HIRES_MODULES)
    if modules is None or args.vae != SAME_VAE or not isinstance(theirs, list) or SAME_MODULES in theirs:
        return args
    names = (PurePath(one).name for one in theirs)
    return replace(args, vae=written(name for name in names if name in modules))


def require_swap(hires: Hires, roles: Roles) -> None:
    """Refuse what the webui would fail at after the first pass.

    Raises:
        MultipassError: where its settings are frozen, and it has to change them.
    """
    if hires.frozen and (roles.swaps or roles.own.modules is not None):
        raise MultipassError(
            f"{label('checkpoint')}: the webui's settings are frozen on its command line, and it has to change them "
            f"for a second pass with {roles.second.name_for_extra}; start it without that flag."
        )


def switched_on(hires: Hires, fields: Mapping[str, Any]) -> str:
    """What the job says about it; empty if the hires pass was on."""
    if hires.given.get("enable_hr"):
        return ""
    job = {**hires.given, **fields}
    return (
        f"Multipass switched Hires. fix on for this picture: upscaler {job.get('hr_upscaler')}, "
        f"denoising strength {job.get('denoising_strength')}."
    )


def other_choice(hires: Hires, roles: Roles) -> str:
    """What to say of the webui's own Hires checkpoint, where it is another one; empty if it is not."""
    chosen = hires.given.get("hr_checkpoint_name")
    if not chosen or chosen == SAME_CHECKPOINT:
        return ""
    if hires.stock is not None and hires.stock.filename == roles.second.filename:
        return ""
    return (
        f"The hires pass was made with {roles.second.name_for_extra}, chosen in Multipass; "
        f"the Hires checkpoint {chosen!r} was not used."
    )


def lets_latents_cross(upscaler: str | None, hires: Hires, first: Facts, second: Facts) -> bool:
    """Whether a latent upscaler would hand on latents that the second checkpoint can read; True for pixel upscalers."""
    return not _is_latent(upscaler, hires) or crossing.latents_fit(first, second)


def _is_latent(upscaler: str | None, hires: Hires) -> bool:
    return upscaler is None or upscaler in hires.latent_upscalers


def why_not_latent(upscaler: str | None, hires: Hires, roles: Roles, facts: Mapping[str, Facts]) -> str:
    """Why the job cannot be done with its latent upscaler: how a sentence begins; empty if it can.

    With a latent upscaler the webui gives an inpainting checkpoint an empty mask of the first pass's size, which is the
    wrong one, unless *Inpainting conditioning mask strength* is below 1. With a pixel upscaler the mask has the right
    size (``sample_hr_pass``, 1.6.0 to 1.10.1).
    """
    base, made_by = roles.base, roles.second
    first, second = facts[base.filename], facts[made_by.filename]
    if not lets_latents_cross(upscaler, hires, first, second):
        return (
            f"{called(base, [made_by])} is {first.architecture}, {called(made_by, [base])} is "
            f"{second.architecture}: the upscaler {upscaler or 'Latent'} cannot lead from one to the other"
        )
    weaker = isinstance(hires.mask_weight, int | float) and hires.mask_weight < 1
    if _is_latent(upscaler, hires) and second.takes_picture and not weaker:
        kind = "is an inpainting checkpoint" if second.inpainting else "goes on from pictures"
        return f"{made_by.name_for_extra} {kind}: the upscaler {upscaler or 'Latent'} cannot lead to it"
    return ""


def upscaler_between(hires: Hires) -> str:
    """The upscaler that takes a latent one's place."""
    return crossing.replacement(hires.crossing_upscaler, hires.pixel_upscalers, hires.plain_upscaler)


def taking_over(situation: Situation) -> Checkpoint | None:
    """The refiner; None too if it is set to take over at the very end.

    Raises:
        MultipassError: for a name over which the webui would fail, at the very end too.
    """
    if situation.no_refiner is not None:
        raise MultipassError(f"Refiner: {absent(situation.no_refiner, situation.known)}.")
    at = situation.hires.given.get("refiner_switch_at")
    return None if at is not None and at >= 1 else situation.refiner


def why_not_kept(situation: Situation) -> dict[str, str]:
    """By pass, why it is not kept for later jobs, as the end of a sentence; empty if it is."""
    refined = () if situation.refiner is None else _refined(situation)
    return {
        made: situation.not_kept or ("a refiner works in it" if made in refined else "") for made in (FIRST, SECOND)
    }


def _refined(situation: Situation) -> Collection[str]:
    """The passes in which the refiner takes over: both where the setting says neither (``apply_refiner``)."""
    setting = situation.hires.refined
    return REFINED_PASSES.get(setting if isinstance(setting, str) else "", (FIRST, SECOND))


def _about_idle(situation: Situation) -> str:
    idle = situation.idle_refiner
    if idle is None or not situation.hires.given.get("refiner_switch_at"):
        return ""
    return (
        f"The refiner {idle.name_for_extra} has no part in this picture: this webui uses none together with Hires. fix."
    )


def check_refiner(situation: Situation, roles: Roles) -> str:
    """What a refiner does to the second pass; empty without one there.

    Raises:
        MultipassError: when there is no such checkpoint, or when its latent space is another than that of the
            checkpoint before it.
    """
    refiner, told = taking_over(situation), ""
    if refiner is None:
        return _about_idle(situation)
    facts = situation.facts[refiner.filename]
    crossing.require_architecture("Refiner", refiner.name, facts, situation.beyond)
    for refined in _refined(situation):
        checkpoint = roles.base if refined == FIRST else roles.second
        if checkpoint.filename == refiner.filename:
            continue
        before = situation.facts[checkpoint.filename]
        crossing.require_same_latents(refiner.name_for_extra, checkpoint.name_for_extra, facts, before)
        if refined == SECOND and roles.swaps:
            told = (
                f"The refiner {refiner.name_for_extra} takes over from {roles.second.name_for_extra} within the second "
                f"pass. To finish with {roles.second.name_for_extra}, switch the refiner off or set Settings, Hires "
                f"fix: which pass to enable refiner for, to {FIRST}."
            )
    return told
