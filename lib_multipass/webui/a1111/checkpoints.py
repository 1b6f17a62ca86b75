"""The webui's checkpoints: the list, the ones that a job will use, and names that lead back to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from modules import sd_models

from lib_multipass.plan.args import short
from lib_multipass.plan.names import Checkpoint, absent, resolve
from lib_multipass.webui.a1111 import features
from lib_multipass.webui.base import host
from lib_multipass.words import MultipassError


def known() -> list[Checkpoint]:
    """All checkpoints that the webui lists."""
    return list(sd_models.checkpoints_list.values())


def selected() -> Checkpoint | None:
    """The one that is selected in the webui; None if it has none at all."""
    # Without any, it raises in A1111 and gives None in Forge Neo.
    return sd_models.select_checkpoint() if sd_models.checkpoints_list else None


def match(name: str) -> Checkpoint | None:
    """What the webui takes for this name where it guesses; None if it finds nothing."""
    return sd_models.get_closet_checkpoint_match(name)


def refresh() -> None:
    """Read the folders again."""
    sd_models.list_models()


def tiles() -> list[str]:
    """Names for a dropdown, as :func:`tile` gives them."""
    ambiguous = _ambiguous()
    return [_tile(checkpoint, ambiguous) for checkpoint in known()]


def tile(checkpoint: Checkpoint) -> str:
    """The name of a checkpoint in a dropdown: as in the webui's own, without folders if the user set it so (1.7 and
    later), but never one that two checkpoints share."""
    return _tile(checkpoint, _ambiguous())


def shown(name: str) -> str:
    """The name in a dropdown for any name of a checkpoint; itself if it means none or several."""
    try:
        return tile(resolve(name, known(), "")) if name else name
    except MultipassError:
        return name


def _tile(checkpoint: Checkpoint, ambiguous: Collection[str]) -> str:
    short = checkpoint.short_title
    return short if features.short_names() and short not in ambiguous else checkpoint.title


def _ambiguous() -> set[str]:
    if not features.short_names():
        return set()
    count = Counter(checkpoint.short_title for checkpoint in known())
    return {short for short, number in count.items() if number > 1}


def first_of(p: Any) -> Checkpoint | None:
    """The checkpoint that the webui will begin the job with: its override, else the selected one.

    An override that names no checkpoint is dropped without a word. None if the webui has no checkpoints.
    """
    return by_alias(_override_of(p)) or selected()


def base_of(p: Any) -> Checkpoint:
    """The checkpoint of the job's first pass.

    Raises:
        MultipassError: for an override that the webui would drop, and where there are no checkpoints.
    """
    name, field = _override_of(p), "override_settings.sd_model_checkpoint"
    if name and not isinstance(name, str):
        raise MultipassError(f"{field}: {short(name)} is not allowed here; it has to be a text.")
    if name and by_alias(name) is None:
        raise MultipassError(f"{field}: {absent(name, known())}.")
    first = host.checkpoints.first_of(p)
    if first is None:
        raise MultipassError("The webui has no checkpoints at all; put one into its folder and refresh the list.")
    return first


def settle(_p: Any, _first: Checkpoint) -> None:
    """Let the settings of the job say the checkpoint that it begins with, as they do here."""


def _override_of(p: Any) -> str | None:
    return (p.override_settings or {}).get("sd_model_checkpoint")


def by_alias(name: Any) -> Checkpoint | None:
    """The checkpoint that an ``override_settings`` entry leads to; such entries are never guessed at."""
    return sd_models.checkpoint_aliases.get(name) if name and isinstance(name, str) else None


def alias_of(checkpoint: Checkpoint) -> str:
    """A name that the webui resolves to this very checkpoint.

    The short title is what the webui's own Hires checkpoint and ADetailer's dropdown show, but two folders may hold
    files of one name, and then it belongs to the file that was registered last.
    """
    short = checkpoint.short_title
    return short if by_alias(short) is checkpoint else checkpoint.title
