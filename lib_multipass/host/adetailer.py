"""ADetailer inside a job: its slice of the script arguments, read and replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from modules import shared

from lib_multipass import args as fields
from lib_multipass import detailer, second_pass
from lib_multipass.checkpoints import Checkpoint
from lib_multipass.host import checkpoints, features, vaes
from lib_multipass.host.second_pass import CLIP_SKIP
from lib_multipass.messages import MultipassError
from lib_multipass.plan import Plan


class Detailer:
    """ADetailer's part of the job ``p``."""

    def __init__(self, p: Any, script: Any) -> None:
        self.p = p
        self.slot = slice(script.args_from, script.args_to)

    @property
    def args(self) -> list[Any]:
        """ADetailer's arguments as they stand in the job."""
        return list(self.p.script_args[self.slot])

    def checkpoints(self, base: Checkpoint) -> list[Checkpoint]:
        """The checkpoint of each enabled tab."""
        return [_checkpoint_of(tab, base) for _, tab in detailer.enabled_tabs(self.args)]

    def aim(self, checkpoint: Checkpoint, base: Checkpoint) -> None:
        """Let every enabled tab run on ``checkpoint``.

        The script arguments are replaced whole and keep their type; callbacks slice them when they are called, so
        ADetailer sees the new ones in its own ``process`` and writes its infotext from them.

        Raises:
            MultipassError: when the command line forbids it; ADetailer would then leave the faces as they are.
        """

        def already(tab: dict) -> bool:
            return _checkpoint_of(tab, base).filename == checkpoint.filename

        if is_frozen() and not all(already(tab) for _, tab in detailer.enabled_tabs(self.args)):
            raise MultipassError(
                f"{fields.label('adetailer')}: the webui's settings are frozen on its command line, so ADetailer "
                f"cannot run on {checkpoint.name_for_extra}; choose {fields.SAME_AS_FIRST!r} or "
                f"{fields.AS_IN_ADETAILER!r}."
            )
        self._replace(detailer.aim_tabs(self.args, checkpoints.alias_of(checkpoint), already))

    def follow(self, plan: Plan) -> None:
        """Let every enabled tab that runs on the second-pass checkpoint take from the hires pass what it leaves open.

        Like the checkpoint this goes through ADetailer's own fields, so its infotext says what was done.
        """

        def runs_there(tab: dict) -> bool:
            return _checkpoint_of(tab, plan.base).filename == plan.second.filename

        vae = vaes.name_for_override(vaes.second_pass_vae(self.p, plan), plan.second.filename)
        overrides = self.p.override_settings or {}
        clip_skip = overrides.get(CLIP_SKIP, shared.opts.CLIP_stop_at_last_layers)
        finish = second_pass.finish(vars(self.p), plan.own, clip_skip, vae if _can_override(vaes.SETTING) else None)
        concerned = any(runs_there(tab) for _, tab in detailer.enabled_tabs(self.args))
        if concerned and finish.clip_skip is not None and not _can_override(CLIP_SKIP):
            finish = replace(finish, clip_skip=None)
            self.p.comment(
                "ADetailer kept the first pass's clip skip: this webui cannot take an override of it back, because "
                "its settings are frozen or were never saved; press Apply settings once on its Settings page."
            )
        self._replace(detailer.follow_tabs(self.args, runs_there, finish, features.adetailer_fields()))

    def vaes(self, base: Checkpoint) -> list[tuple[str, str | None]]:
        """The checkpoint file and the own VAE, if it has one, of each enabled tab."""
        tabs = [tab for _, tab in detailer.enabled_tabs(self.args)]
        return [(_checkpoint_of(tab, base).filename, detailer.own_vae(tab)) for tab in tabs]

    def _replace(self, tabs: list[Any]) -> None:
        script_args = list(self.p.script_args)
        script_args[self.slot] = tabs
        self.p.script_args = type(self.p.script_args)(script_args)


def checkpoints_of(args: Sequence[Any], plan: Plan) -> list[Checkpoint]:
    """The checkpoint of each enabled tab in these arguments of ADetailer's, once they are aimed as planned."""
    if "ad_checkpoint" not in features.adetailer_fields():
        return []
    return [plan.faces or _checkpoint_of(tab, plan.base) for _, tab in detailer.enabled_tabs(args)]


def find(p: Any) -> Detailer | None:
    """ADetailer in this job, or None: not there, no enabled tab, or older than 23.9.0 and without a checkpoint."""
    script = next(filter(is_adetailer, p.scripts.alwayson_scripts), None)
    if script is None or not isinstance(p.script_args, (list, tuple)):
        return None
    found = Detailer(p, script)
    return found if "ad_checkpoint" in features.adetailer_fields() and any(detailer.enabled_tabs(found.args)) else None


def _checkpoint_of(tab: dict, base: Checkpoint) -> Checkpoint:
    # A tab without one, or with a name that the webui does not know, runs on the first pass's: the webui drops an
    # override that it cannot resolve.
    return checkpoints.by_alias(detailer.own_checkpoint(tab)) or base


def is_adetailer(script: Any) -> bool:
    """Whether this script is ADetailer's; its title and its file's name have never changed."""
    return (script.title() or "").strip().lower() == "adetailer" or PurePath(script.filename).stem == "!adetailer"


def _can_override(name: str) -> bool:
    # An override of a setting that is not stored is an error in 1.6.0 and stays for good in later versions.
    return name in shared.opts.data and not is_frozen(name)


def is_frozen(name: str = "sd_model_checkpoint") -> bool:
    # ADetailer changes the checkpoint by an override of this setting.
    sections, settings = features.frozen()
    section = shared.opts.data_labels[name].section[0]
    return shared.cmd_opts.freeze_settings or section in sections or name in settings
