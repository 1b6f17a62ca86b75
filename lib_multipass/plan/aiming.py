"""ADetailer's tabs as they are declared: on the plan's checkpoint, and following the hires pass where they may."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lib_multipass.memory.headers import Facts
from lib_multipass.plan import args as fields
from lib_multipass.plan import detailer, second_pass
from lib_multipass.plan.names import Checkpoint, absent
from lib_multipass.plan.roles import Roles
from lib_multipass.plan.situation import Faces, Situation
from lib_multipass.plan.vae_choice import SETTING, VaeSettings, second_pass_vae
from lib_multipass.words import MultipassError

CLIP_SKIP = "CLIP_stop_at_last_layers"
"""The webui's setting."""


@dataclass(frozen=True)
class Aimed:
    """ADetailer's part of a plan."""

    args: list[Any] | None = None
    """Its arguments, to be replaced; None leaves it as it is."""
    checkpoints: tuple[Checkpoint, ...] = ()
    """The checkpoint of each tab that runs."""
    vaes: tuple[str | None, ...] = ()
    """The VAE that each of them sets for itself, if any."""
    comment: str = ""


def aim(roles: Roles, faces: Faces, given: Mapping[str, Any], vaes: VaeSettings, facts: Mapping[str, Facts]) -> Aimed:
    """Point the tabs at the plan's checkpoint and, if they follow, at what the hires pass is made with.

    Through ADetailer's own fields, so its infotext says what was done.

    Args:
        roles: the job's checkpoints.
        faces: ADetailer in it.
        given: the fields of the webui's job by name.
        vaes: the webui's VAEs.
        facts: of the job's checkpoints, by file name.

    Raises:
        MultipassError: when the command line forbids it; ADetailer would then leave the faces as they are.
    """
    if "ad_checkpoint" not in faces.known:
        return Aimed()
    made_by = tuple(roles.faces or own for own in faces.checkpoints)
    if not faces.in_job:
        return Aimed(None, made_by)
    tabs = dict(detailer.enabled_tabs(faces.args))
    if not tabs:
        return Aimed()
    own = dict(zip(tabs, faces.checkpoints, strict=True))
    aimed, comment = list(faces.args), ""
    if roles.faces is not None:
        elsewhere = [index for index in tabs if own[index].filename != roles.faces.filename]
        if elsewhere and faces.frozen:
            raise MultipassError(
                f"{fields.label('adetailer')}: the webui's settings are frozen on its command line, so ADetailer "
                f"cannot run on {roles.faces.name_for_extra}; choose {fields.SAME_AS_FIRST!r} or "
                f"{fields.AS_IN_ADETAILER!r}."
            )
        for index in elsewhere:
            aimed[index] = detailer.aim(aimed[index], faces.alias)
    there = [i for i, made in zip(tabs, made_by, strict=True) if made.filename == roles.second.filename]
    if roles.args.adetailer_follows:
        finish, comment = _finish(roles, faces, given, second_pass_vae(vaes, roles, facts), vaes, bool(there))
        for index in there:
            aimed[index] = detailer.follow(aimed[index], finish, faces.known)
    return Aimed(aimed, made_by, tuple(detailer.own_vae(aimed[index]) for index in tabs), comment)


def _finish(
    roles: Roles, faces: Faces, given: Mapping[str, Any], wanted: str, vaes: VaeSettings, concerned: bool
) -> tuple[second_pass.Finish, str]:
    """What the tabs take over, and what to say if they cannot."""
    vae = vaes.name_for_override(wanted, roles.second.filename) if SETTING in faces.can_override else None
    finish = second_pass.finish(given, roles.own, faces.clip_skip, vae)
    if concerned and finish.clip_skip is not None and CLIP_SKIP not in faces.can_override:
        return replace(finish, clip_skip=None), (
            "ADetailer kept the first pass's clip skip: this webui cannot take an override of it back, because "
            "its settings are frozen or were never saved; press Apply settings once on its Settings page."
        )
    return finish, ""


def left_encoders(roles: Roles, situation: Situation, aimed: Aimed, lasting: Collection[str]) -> str:
    """What to say where passes on the second checkpoint have other text encoders than the hires pass.

    ADetailer has no field for them, and begins with the first pass's.

    Args:
        roles: the job's checkpoints.
        situation: what stands.
        aimed: the tabs as they will run.
        lasting: the checkpoint files that have the hires pass's modules for the whole job.
    """
    second, own = roles.second.filename, roles.own.modules
    there = any(checkpoint.filename == second for checkpoint in aimed.checkpoints)
    if own is None or second in lasting or not (there and roles.args.adetailer_follows):
        return ""
    first, wanted = ({*names} - {*situation.vaes.files} for names in (situation.hires.modules, own))
    if first == wanted:
        return ""
    return f"ADetailer's passes on {roles.second.name_for_extra} had the first pass's text encoders."


def dropped(situation: Situation, roles: Roles) -> Iterator[str]:
    """Names that lead nowhere, and that the webui leaves out with a word in the console at most."""
    vaes, files = situation.vaes, list(situation.vaes.files)
    if vaes.is_absent(vaes.override):
        said = second_pass.absent_vae(vaes.override, files)
        yield f"override_settings.{SETTING}: {said}. The webui goes on as if none was set."
    for _, tab in detailer.enabled_tabs(situation.faces.args):
        name = detailer.own_checkpoint(tab)
        if roles.faces is None and name in situation.faces.lost:
            said = absent(name, situation.known)
            yield f"ADetailer: {said}. It runs on {roles.base.name_for_extra} instead."
        vae = detailer.own_vae(tab)
        if vaes.is_absent(vae):
            yield f"ADetailer: {second_pass.absent_vae(vae, files)}. It goes on as if none was set."
