"""ADetailer inside a job: its slice of the script arguments, read and replaced."""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import Any

from lib_multipass import detailer
from lib_multipass.checkpoints import Checkpoint
from lib_multipass.host import checkpoints


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
        """The checkpoint of each enabled tab.

        A tab without one, or with a name that the webui does not know, runs on the first pass's: the webui drops an
        override that it cannot resolve.
        """
        own = (detailer.own_checkpoint(tab) for _, tab in detailer.enabled_tabs(self.args))
        return [checkpoints.by_alias(name) or base for name in own]

    def aim(self, checkpoint: Checkpoint, base: Checkpoint) -> None:
        """Let every enabled tab run on ``checkpoint``.

        The script arguments are replaced whole and keep their type; callbacks slice them when they are called, so
        ADetailer sees the new ones in its own ``process`` and writes its infotext from them.
        """

        def already(tab: dict) -> bool:
            current = checkpoints.by_alias(detailer.own_checkpoint(tab)) or base
            return current.filename == checkpoint.filename

        aimed = detailer.aim_tabs(self.args, checkpoints.alias_of(checkpoint), already)
        script_args = list(self.p.script_args)
        script_args[self.slot] = aimed
        self.p.script_args = type(self.p.script_args)(script_args)


def find(p: Any) -> Detailer | None:
    """ADetailer in this job, or None: not there, no enabled tab, or older than 23.9.0 and without a checkpoint."""
    script = next(filter(_is_adetailer, p.scripts.alwayson_scripts), None)
    if script is None or not isinstance(p.script_args, (list, tuple)):
        return None
    found = Detailer(p, script)
    return found if _has_checkpoints() and any(detailer.enabled_tabs(found.args)) else None


def _is_adetailer(script: Any) -> bool:
    return (script.title() or "").strip().lower() == "adetailer" or PurePath(script.filename).stem == "!adetailer"


def _has_checkpoints() -> bool:
    # Its argument model forbids unknown keys: a field that it does not have would make it skip the tab.
    model = getattr(sys.modules.get("adetailer.args"), "ADetailerArgs", None)
    names = getattr(model, "model_fields", None) or getattr(model, "__fields__", {})
    return "ad_checkpoint" in names
