"""The checkpoint that a job begins with in Forge Neo, which need not be the one that its settings name."""

from __future__ import annotations

from typing import Any

from modules import sd_models

from lib_multipass.plan.names import Checkpoint
from lib_multipass.webui.a1111 import checkpoints


def first_of(p: Any) -> Checkpoint | None:
    """The checkpoint that the webui will begin the job with.

    An override that differs from the selected one leads to it. Else it is what the webui was told to load, which
    follows the selected one; but X/Y/Z plot's axis *Checkpoint name* changes that alone (``apply_checkpoint``).
    """
    said = checkpoints.first_of(p)
    return said if said is not checkpoints.selected() else _to_be_loaded() or said


def settle(p: Any, first: Checkpoint) -> None:
    """Let the settings of the job say the checkpoint that it begins with.

    In its hires pass the webui compares the second checkpoint with the selected one, and swaps if they differ
    (``StableDiffusionProcessingTxt2Img.sample``).
    """
    if first is not checkpoints.first_of(p):
        p.override_settings = {**(p.override_settings or {}), "sd_model_checkpoint": first.name}


def _to_be_loaded() -> Checkpoint | None:
    told = sd_models.model_data.forge_loading_parameters.get("checkpoint_info")
    return None if told is None else checkpoints.by_alias(told.name)
