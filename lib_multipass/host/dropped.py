"""Names that lead nowhere, and that the webui leaves out with a word in the console at most: the job says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modules import shared

from lib_multipass.args import AUTOMATIC_VAE, NO_VAE
from lib_multipass.checkpoints import absent
from lib_multipass.detailer import enabled_tabs, own_checkpoint, own_vae
from lib_multipass.host import checkpoints, vaes
from lib_multipass.plan import Plan
from lib_multipass.second_pass import absent_vae

_NO_FILE = (AUTOMATIC_VAE, "auto", NO_VAE)
"""Values of the setting *SD VAE* that name no file (1.6.0 to 1.10.1)."""


def comment(p: Any, plan: Plan, tabs: Sequence[Any]) -> None:
    """Say which names of a job are left out.

    Args:
        p: the job, or anything that has its overrides and takes comments.
        plan: its checkpoints.
        tabs: ADetailer's arguments.
    """
    for sentence in dict.fromkeys([*_of_overrides(p), *_of_tabs(plan, tabs)]):
        p.comment(sentence)


def _of_overrides(p: Any) -> Iterator[str]:
    name = (p.override_settings or {}).get(vaes.SETTING)
    if _is_absent(name):
        said = absent_vae(name, vaes.names())
        yield f"override_settings.{vaes.SETTING}: {said}. The webui goes on as if none was set."


def _of_tabs(plan: Plan, tabs: Sequence[Any]) -> Iterator[str]:
    for _, tab in enabled_tabs(tabs):
        name = own_checkpoint(tab)
        if plan.faces is None and isinstance(name, str) and checkpoints.by_alias(name) is None:
            said = absent(name, checkpoints.known())
            yield f"ADetailer: {said}. It runs on {plan.base.name_for_extra} instead."
        vae = own_vae(tab)
        if _is_absent(vae):
            yield f"ADetailer: {absent_vae(vae, vaes.names())}. It goes on as if none was set."


def _is_absent(vae: Any) -> bool:
    """Whether this names a VAE file that is not there, and counts: ``--vae-path`` takes the place of every name."""
    given = isinstance(vae, str) and vae not in _NO_FILE
    return given and shared.cmd_opts.vae_path is None and vae not in vaes.names()
