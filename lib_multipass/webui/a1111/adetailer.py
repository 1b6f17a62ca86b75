"""ADetailer inside a job: its slice of the script arguments, read and replaced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from modules import shared

from lib_multipass.plan.aiming import CLIP_SKIP
from lib_multipass.plan.detailer import enabled_tabs, own_checkpoint
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.roles import Roles
from lib_multipass.plan.situation import Faces
from lib_multipass.plan.vae_choice import SETTING
from lib_multipass.webui.a1111 import checkpoints, features
from lib_multipass.webui.base import host

CHECKPOINT = "sd_model_checkpoint"
"""The setting that ADetailer overrides to change the checkpoint."""


def is_adetailer(script: Any) -> bool:
    """Whether this script is ADetailer's; its title and its file's name have never changed."""
    return (script.title() or "").strip().lower() == "adetailer" or PurePath(script.filename).stem == "!adetailer"


def in_job(p: Any, roles: Roles) -> Faces:
    """ADetailer in this job; nothing if it is not there, or older than 23.9.0 and without a checkpoint of its own."""
    slot = _slot(p)
    known = features.adetailer_fields()
    if slot is None or "ad_checkpoint" not in known:
        return Faces()
    args = list(p.script_args[slot])
    if not any(enabled_tabs(args)):
        return Faces()
    overrides = p.override_settings or {}
    return Faces(
        args,
        _checkpoints(args, roles.base),
        known,
        _lost(args),
        alias=checkpoints.alias_of(roles.faces) if roles.faces is not None else "",
        frozen=host.options.is_frozen(CHECKPOINT),
        can_override=[name for name in (SETTING, CLIP_SKIP) if host.options.can_override(name)],
        clip_skip=overrides.get(CLIP_SKIP, shared.opts.CLIP_stop_at_last_layers),
    )


def in_request(args: Sequence[Any], roles: Roles) -> Faces:
    """ADetailer in a request that is not run, by its arguments."""
    return Faces(args, _checkpoints(args, roles.base), features.adetailer_fields(), _lost(args), in_job=False)


def replace(p: Any, args: Sequence[Any]) -> None:
    """Give a job other arguments for ADetailer.

    The script arguments are replaced whole and keep their type; callbacks slice them when they are called, so
    ADetailer sees the new ones in its own ``process`` and writes its infotext from them.
    """
    script_args = list(p.script_args)
    script_args[_slot(p)] = args
    p.script_args = type(p.script_args)(script_args)


def _slot(p: Any) -> slice | None:
    script = next(filter(is_adetailer, p.scripts.alwayson_scripts), None)
    if script is None or not isinstance(p.script_args, (list, tuple)):
        return None
    return slice(script.args_from, script.args_to)


def _checkpoints(args: Sequence[Any], base: Checkpoint) -> list[Checkpoint]:
    # A tab without one, or with a name that the webui does not know, runs on the first pass's: the webui drops an
    # override that it cannot resolve.
    return [host.checkpoints.by_alias(own_checkpoint(tab)) or base for _, tab in enabled_tabs(args)]


def _lost(args: Sequence[Any]) -> list[str]:
    names = [own_checkpoint(tab) for _, tab in enabled_tabs(args)]
    return [name for name in names if isinstance(name, str) and host.checkpoints.by_alias(name) is None]
