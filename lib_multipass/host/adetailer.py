"""ADetailer inside a job: its slice of the script arguments, read and replaced."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from modules import shared

from lib_multipass import args as fields
from lib_multipass import detailer
from lib_multipass.checkpoints import Checkpoint
from lib_multipass.host import checkpoints
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

        if _is_frozen() and not all(already(tab) for _, tab in detailer.enabled_tabs(self.args)):
            raise MultipassError(
                f"{fields.label('adetailer')}: the webui's settings are frozen on its command line, so ADetailer "
                f"cannot run on {checkpoint.name_for_extra}; choose {fields.SAME_AS_FIRST!r} or "
                f"{fields.AS_IN_ADETAILER!r}."
            )
        aimed = detailer.aim_tabs(self.args, checkpoints.alias_of(checkpoint), already)
        script_args = list(self.p.script_args)
        script_args[self.slot] = aimed
        self.p.script_args = type(self.p.script_args)(script_args)


def checkpoints_of(args: Sequence[Any], plan: Plan) -> list[Checkpoint]:
    """The checkpoint of each enabled tab in these arguments of ADetailer's, once they are aimed as planned."""
    if not _has_checkpoints():
        return []
    return [plan.faces or _checkpoint_of(tab, plan.base) for _, tab in detailer.enabled_tabs(args)]


def find(p: Any) -> Detailer | None:
    """ADetailer in this job, or None: not there, no enabled tab, or older than 23.9.0 and without a checkpoint."""
    script = next(filter(is_adetailer, p.scripts.alwayson_scripts), None)
    if script is None or not isinstance(p.script_args, (list, tuple)):
        return None
    found = Detailer(p, script)
    return found if _has_checkpoints() and any(detailer.enabled_tabs(found.args)) else None


def _checkpoint_of(tab: dict, base: Checkpoint) -> Checkpoint:
    # A tab without one, or with a name that the webui does not know, runs on the first pass's: the webui drops an
    # override that it cannot resolve.
    return checkpoints.by_alias(detailer.own_checkpoint(tab)) or base


def is_adetailer(script: Any) -> bool:
    """Whether this script is ADetailer's; its title and its file's name have never changed."""
    return (script.title() or "").strip().lower() == "adetailer" or PurePath(script.filename).stem == "!adetailer"


def _is_frozen() -> bool:
    # ADetailer changes the checkpoint by an override of this setting. The last two flags came with 1.8.0.
    flags, name = shared.cmd_opts, "sd_model_checkpoint"
    sections = getattr(flags, "freeze_settings_in_sections", None) or ""
    settings = getattr(flags, "freeze_specific_settings", None) or ""
    section = shared.opts.data_labels[name].section[0]
    return flags.freeze_settings or section in _listed(sections) or name in _listed(settings)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


def _has_checkpoints() -> bool:
    # Its argument model forbids unknown keys: a field that it does not have would make it skip the tab.
    model = getattr(sys.modules.get("adetailer.args"), "ADetailerArgs", None)
    names = getattr(model, "model_fields", None) or getattr(model, "__fields__", {})
    return "ad_checkpoint" in names
