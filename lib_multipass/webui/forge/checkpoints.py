"""The checkpoint that a job begins with in Forge Neo, which need not be the one that its settings name."""

from __future__ import annotations

from typing import Any

from modules import sd_models

from lib_multipass.plan.names import Checkpoint
from lib_multipass.webui.a1111 import checkpoints

OVERRIDE = "sd_model_checkpoint"


def first_of(p: Any) -> Checkpoint | None:
    """The checkpoint that the webui will begin the job with.

    An override that differs from the selected one leads to it. Else it is what the webui was told to load, which
    follows the selected one; but X/Y/Z plot's axis *Checkpoint name* changes that alone (``apply_checkpoint``).
    """
    selected, asked = checkpoints.selected(), checkpoints.by_alias((p.override_settings or {}).get(OVERRIDE))
    if asked is not None and asked is not selected:
        return asked
    return _to_be_loaded() or selected


def base_of(p: Any) -> Checkpoint:
    """See :func:`lib_multipass.webui.a1111.checkpoints.base_of`."""
    known = checkpoints.base_of(p)
    return first_of(p) or known


def settle(p: Any, first: Checkpoint) -> None:
    """Let the settings of the job say the checkpoint that it begins with.

    In its hires pass the webui compares the second checkpoint with the selected one, and swaps if they differ
    (``StableDiffusionProcessingTxt2Img.sample``).
    """
    if first is not (checkpoints.by_alias((p.override_settings or {}).get(OVERRIDE)) or checkpoints.selected()):
        p.override_settings = {**(p.override_settings or {}), OVERRIDE: first.name}


def _to_be_loaded() -> Checkpoint | None:
    told = sd_models.model_data.forge_loading_parameters.get("checkpoint_info")
    return None if told is None else checkpoints.by_alias(told.name)
