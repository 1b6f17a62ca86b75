"""The plan of a job: decided once, from plain values, before anything is loaded.

Plan line, API, console line and job read this one value; what only the running job can know is not in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib_multipass.memory.placement import Decision
from lib_multipass.memory.working import estimate, second_pass_pixels
from lib_multipass.plan import aiming, crossing, hires, unshared, vae_choice
from lib_multipass.plan import args as fields
from lib_multipass.plan.args import AUTOMATIC_VAE, SAME_AS_SECOND, SAME_MODULES, SAME_VAE
from lib_multipass.plan.borrowing import borrowed
from lib_multipass.plan.detailer import enabled_tabs
from lib_multipass.plan.forecast import FACES, FIRST, REFINER, SECOND, Forecast
from lib_multipass.plan.keeping import forecast, keeping
from lib_multipass.plan.modules import lacking_modules, twofold
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.order import Order, order
from lib_multipass.plan.roles import Roles
from lib_multipass.plan.second_pass import lasting_vae
from lib_multipass.plan.situation import Machine, Situation


@dataclass(frozen=True)
class Vaes:
    """The VAEs of one job, by name or as a text of ``VAE_MODES``."""

    hires: str | None = None
    """Of the hires pass, whatever checkpoint is active in it; None: as the webui is set."""
    lasting: Mapping[str, str] = field(default_factory=dict)
    """By checkpoint file, for the whole job."""
    setting: str | None = None
    """The webui's *SD VAE* in the job; while it reads otherwise, somebody overrides it."""
    apart: Collection[str] = ()
    """Checkpoint files of another latent space than the first pass's, which have their own VAE."""
    modules: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By checkpoint file, the modules that it is made with for the whole job, where VAEs are modules."""
    keep: bool = False
    """Whether the hires pass's file is kept in memory. It goes onto the checkpoint and off again with every picture."""


@dataclass(frozen=True)
class Plan:
    """What a job will do."""

    roles: Roles
    in_use: tuple[Checkpoint, ...]
    """Who makes each pass, in order: first, second, each of ADetailer's, the refiner's."""
    estimate: int
    """Bytes that its pictures take on the device, as estimated."""
    forecast: Forecast
    decision: Decision | None = None
    """Where the checkpoints are kept; None if the user's own settings decide."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the webui's job that are declared."""
    tabs: Sequence[Any] | None = None
    """ADetailer's arguments; None leaves them as they are."""
    vaes: Vaes = field(default_factory=Vaes)
    given_vaes: Mapping[str, str] = field(default_factory=dict)
    """By checkpoint file, the VAE file that the job's settings put on it."""
    comments: tuple[str, ...] = ()
    """What the job says on its result."""
    not_kept: Mapping[str, str] = field(default_factory=dict)
    """By pass, why it is not kept for later jobs; empty if it is."""
    order: Order = field(default_factory=Order)
    not_shared: tuple[str, ...] = ()
    """What pictures lack that another webui makes for this job without Multipass."""

    @property
    def base(self) -> Checkpoint:
        """Makes the first pass."""
        return self.roles.base

    @property
    def second(self) -> Checkpoint:
        """Makes the hires pass."""
        return self.roles.second


def decide(roles: Roles, situation: Situation) -> Plan:
    """Decide what a job will do.

    Raises:
        MultipassError: for a file that cannot make its pass, and for whatever else the job cannot be done with.
    """
    _require_usable(roles, situation)
    facts, vaes = situation.facts, situation.vaes
    about_refiner = hires.check_refiner(situation, roles)
    apart = vae_choice.is_apart(vaes, roles, facts)
    declared = hires.declared(situation.hires) | hires.of_its_own(situation.hires, roles.own, vaes.files, apart)
    job = {**situation.hires.given, **declared}
    why = hires.why_not_latent(job.get("hr_upscaler"), situation.hires, roles, facts)
    instead = hires.upscaler_between(situation.hires)
    aimed = aiming.aim(roles, situation.faces, job, vaes, facts)
    cast = _cast(roles, aimed.checkpoints, hires.taking_over(situation))
    in_use = tuple(checkpoint for _, checkpoint in cast)
    foreign = [known for known in in_use if vaes.is_foreign(facts[roles.base.filename], facts[known.filename])]
    given_vaes = _given_vaes(roles, situation, in_use, foreign)
    told = [*dict.fromkeys(aiming.dropped(situation, roles)), *borrowed(situation, cast, given_vaes)]
    estimated = _estimate(job, situation.machine)
    crossed, other = why and f"{why}, so {instead} was used.", hires.other_choice(situation.hires, roles)
    made_with = _vaes(roles, situation, aimed, foreign, declared.get(hires.HIRES_MODULES))
    kept = keeping(situation, in_use, roles.args.keep, estimated, twofold(cast, roles, situation, made_with.modules))
    ordered = order(roles, situation, cast, kept, job.get("n_iter") or 1)
    left = (_foreign_vae(roles, vaes, foreign), aiming.left_encoders(roles, situation, aimed, made_with.modules))
    warnings = [*_warnings(roles, situation, job, why and f"{why}; {instead} will be used."), about_refiner]
    return Plan(
        roles,
        in_use,
        estimated,
        forecast(kept, situation, cast, _said(*warnings, *told), ordered.said),
        kept.decision,
        # The webui validates and records the name. Up to 1.7.0 every text is looked up as one, so no swap is None.
        declared
        | {"hr_checkpoint_name": situation.alias if roles.swaps else None}
        | ({"hr_upscaler": instead} if why else {}),
        aimed.args,
        made_with,
        given_vaes,
        _said(about_refiner, hires.switched_on(situation.hires, declared), crossed, other, aimed.comment, *told, *left),
        hires.why_not_kept(situation),
        ordered,
        unshared.left_out(roles, declared, situation.is_sent),
    )


_SIZES = {"width": 512, "height": 512, "hr_scale": 1, "hr_resize_x": 0, "hr_resize_y": 0}


def _estimate(job: Mapping[str, Any], machine: Machine) -> int:
    """Bytes that the second pass's pictures take on the device."""
    pixels = second_pass_pixels(*(job.get(name) or usual for name, usual in _SIZES.items()))
    return estimate(pixels, job["batch_size"], machine.half, machine.half_vae)


def _said(*sentences: str) -> tuple[str, ...]:
    return tuple(filter(None, sentences))


def _require_usable(roles: Roles, situation: Situation) -> None:
    """Refuse checkpoints and a VAE that cannot do what is wanted of them.

    Of the first pass's checkpoint only the architecture counts: it may be loaded although its file is gone.
    """
    base = situation.facts[roles.base.filename]
    crossing.require_architecture(crossing.BASE, roles.base.name, base, situation.beyond)
    crossing.require_beginner(crossing.BASE, roles.base.name, base)
    for name, checkpoint in (("checkpoint", roles.second), ("adetailer", roles.faces)):
        if checkpoint is not None:
            facts = situation.facts[checkpoint.filename]
            crossing.require_checkpoint(fields.label(name), checkpoint.name, facts)
            crossing.require_architecture(fields.label(name), checkpoint.name, facts, situation.beyond)
    second = situation.facts[roles.second.filename]
    vae_choice.require(situation.vaes, roles.own.vae, roles.second, second)
    hires.require_swap(situation.hires, roles)


def _cast(roles: Roles, faces: Sequence[Checkpoint], refiner: Checkpoint | None) -> list[tuple[str, Checkpoint]]:
    """Who makes each pass, in order."""
    cast = [(FIRST, roles.base), (SECOND, roles.second), *((FACES, checkpoint) for checkpoint in faces)]
    return [*cast, (REFINER, refiner)] if refiner else cast


def _given_vaes(
    roles: Roles, situation: Situation, in_use: Sequence[Checkpoint], foreign: Collection[Checkpoint]
) -> dict[str, str]:
    """By checkpoint file, the VAE file that the job's settings put on it, if any."""
    found = {}
    for known in in_use:
        own = roles.own.vae if known.filename == roles.second.filename else SAME_VAE
        name = AUTOMATIC_VAE if own == SAME_VAE and known in foreign else own
        found[known.filename] = situation.vaes.given(name, known.filename)
    return {file: vae for file, vae in found.items() if vae}


def _vaes(
    roles: Roles,
    situation: Situation,
    aimed: aiming.Aimed,
    foreign: Sequence[Checkpoint],
    modules: Sequence[str] | None,
) -> Vaes:
    """Which VAEs hold for the whole job and which in the hires pass alone.

    Args:
        roles: the job's checkpoints.
        situation: what stands.
        aimed: ADetailer's tabs as they will run.
        foreign: the checkpoints on which the VAE that is fixed for all does not fit.
        modules: what is declared as the hires pass's modules, if anything.
    """
    setting, second = situation.vaes.require_text(), roles.second.filename
    wanted = vae_choice.second_pass_vae(situation.vaes, roles, situation.facts)

    def lasts(file: str, name: str, follows: bool) -> bool:
        tabs = zip(aimed.checkpoints, aimed.vaes, strict=False)
        return lasting_vae(name, setting, [own for checkpoint, own in tabs if checkpoint.filename == file], follows)

    lasting = {known.filename: AUTOMATIC_VAE for known in foreign if lasts(known.filename, AUTOMATIC_VAE, follows=True)}
    apart = [file for file in lasting if file != second or roles.own.vae == SAME_VAE]
    in_first_pass = {checkpoint.filename for checkpoint in (roles.base, situation.refiner) if checkpoint}
    own_vae = roles.own.vae != SAME_VAE and second not in in_first_pass
    made_with = {}
    if own_vae and lasts(second, wanted, roles.args.adetailer_follows):
        lasting[second] = wanted
        made_with = {} if modules in (None, [SAME_MODULES]) else {second: modules}
    own = None if wanted == SAME_VAE else wanted
    return Vaes(own, lasting, setting, apart, made_with, keep=own is not None and second not in lasting)


def _foreign_vae(roles: Roles, vaes: vae_choice.VaeSettings, foreign: Sequence[Checkpoint]) -> str:
    """What the job says of a VAE that is fixed for all checkpoints and was not put on these."""
    unfit = {known.filename: known for known in foreign}
    if roles.own.vae != SAME_VAE:
        unfit.pop(roles.second.filename, None)
    if not unfit:
        return ""
    return (
        f"The SD VAE {vaes.fixed_name} was taken for one of {roles.base.name_for_extra}'s latent space and was not put "
        f"on {', '.join(known.name_for_extra for known in unfit.values())}, which has another."
    )


def _warnings(roles: Roles, situation: Situation, job: Mapping[str, Any], crossed: str) -> Iterator[str]:
    """What the plan says that will be."""
    base, second = (situation.facts[made.filename] for made in (roles.base, roles.second))
    if not roles.args.enabled:
        yield "Multipass is off in this request."
    if not situation.hires.given.get("enable_hr"):
        yield "Hires. fix is off; Multipass will switch it on."
    if roles.args.adetailer != SAME_AS_SECOND and not any(enabled_tabs(situation.faces.args)):
        yield "No ADetailer tab is on, so the ADetailer checkpoint has no use."
    if vae_choice.is_apart(situation.vaes, roles, situation.facts):
        yield (
            f"The SD VAE {situation.vaes.fixed_name} will not be put on {roles.second.name_for_extra}, which has "
            "another latent space."
        )
    yield from lacking_modules(roles, situation)
    if not hires.lets_latents_cross(job.get("hr_upscaler"), situation.hires, base, second):
        yield "A latent upscaler cannot lead from one of these architectures to the other."
    elif crossed:
        yield crossed
