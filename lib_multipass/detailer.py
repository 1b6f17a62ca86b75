"""ADetailer's arguments: which tabs run, with which checkpoint, and copies of them aimed at another one.

The arguments are ``[enabled, skip img2img, tab, tab, ...]`` with one dict per tab (ADetailer 23.11 and later; before,
only one bool); an API request may leave the bools out. Its model forbids unknown keys, so only its own are written.
The dicts belong to the page's session or are shared by all API requests: never changed, only replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

UNSET = (None, "", "None", "Use same checkpoint")
"""Values of ``ad_checkpoint`` that mean: whatever is selected in the webui, which is the first pass's."""


def enabled_tabs(args: Sequence[Any]) -> Iterator[tuple[int, dict]]:
    """The tabs that will run: their index in ``args`` and their dict."""
    if not args or (isinstance(args[0], bool) and not args[0]):
        return
    for index, tab in enumerate(args):
        if not isinstance(tab, dict) or tab.get("ad_model") in (None, "None"):
            continue
        if tab.get("ad_tab_enable", True) not in (False, "false"):
            yield index, tab


def own_checkpoint(tab: dict) -> str | None:
    """The checkpoint that a tab sets for itself, or None if it leaves it to the webui."""
    name = tab.get("ad_checkpoint")
    return name if tab.get("ad_use_checkpoint") and name not in UNSET else None


def aim(tab: dict, checkpoint: str) -> dict:
    """A copy of a tab that runs on ``checkpoint``, a name that the webui's checkpoint aliases hold exactly."""
    return {**tab, "ad_use_checkpoint": True, "ad_checkpoint": checkpoint}


def aim_tabs(args: Sequence[Any], checkpoint: str, already: Callable[[dict], bool]) -> list[Any]:
    """A copy of ``args`` whose enabled tabs run on ``checkpoint``; those that do so ``already`` stay as they are."""
    aimed = list(args)
    for index, tab in enabled_tabs(args):
        if not already(tab):
            aimed[index] = aim(tab, checkpoint)
    return aimed
