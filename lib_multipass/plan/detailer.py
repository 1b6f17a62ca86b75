"""ADetailer's arguments: which tabs run, with which checkpoint, and copies of them aimed at another one.

The arguments are ``[enabled, skip img2img, tab, tab, ...]`` with one dict per tab. Before ADetailer 23.11 there is one
bool alone, and an API request may leave both out. ADetailer's model forbids unknown keys, so only its own are written.
The dicts are replaced and never changed: they belong to the page's session, or all API requests share them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from lib_multipass.plan.second_pass import Finish

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


UNSET_VAE = (None, "", "None", "Use same VAE")
"""Values of ``ad_vae`` that leave the VAE to the webui (ADetailer does so for "None" too)."""


def own_vae(tab: dict) -> str | None:
    """The VAE that a tab sets for itself, or None if it leaves it open."""
    name = tab.get("ad_vae")
    return name if tab.get("ad_use_vae") and name not in UNSET_VAE else None


def aim(tab: dict, checkpoint: str) -> dict:
    """A copy of a tab that runs on ``checkpoint``, a name that the webui's checkpoint aliases hold exactly."""
    return {**tab, "ad_use_checkpoint": True, "ad_checkpoint": checkpoint}


def follow(tab: dict, finish: Finish, known: Collection[str]) -> dict:
    """A copy of a tab that takes what it leaves open from the hires pass.

    Args:
        tab: the tab.
        finish: what the hires pass is made with.
        known: the fields of the installed ADetailer.
    """
    texts = {"ad_prompt": finish.prompt, "ad_negative_prompt": finish.negative_prompt}
    taken: dict[str, Any] = {name: text for name, text in texts.items() if text is not None and not tab.get(name)}
    for switch, is_set, values in (
        ("ad_use_cfg_scale", tab.get("ad_use_cfg_scale"), {"ad_cfg_scale": finish.cfg_scale}),
        ("ad_use_sampler", tab.get("ad_use_sampler"), {"ad_sampler": finish.sampler, "ad_scheduler": finish.scheduler}),
        ("ad_use_clip_skip", tab.get("ad_use_clip_skip"), {"ad_clip_skip": finish.clip_skip}),
        ("ad_use_vae", own_vae(tab), {"ad_vae": finish.vae}),
    ):
        given = {name: value for name, value in values.items() if value is not None}
        if given and not is_set:
            taken |= {switch: True, **given}
    return {**tab, **{name: value for name, value in taken.items() if name in known}}
