"""Jobs that the extension Distributed shares with other webuis: what a share lacks that was made without Multipass."""

from __future__ import annotations

from collections.abc import Container, Sequence

from lib_multipass.plan import args as fields
from lib_multipass.plan.hires import HIRES_CFG, HIRES_MODULES
from lib_multipass.plan.roles import Roles

_BY_US_ALONE = {"vae": HIRES_MODULES, "cfg_scale": HIRES_CFG, "clip_skip": None, "show_first_pass": None}
"""Fields that a webui without Multipass does not follow, each with the field that some webuis have for the same."""


def left_out(roles: Roles, declared: Container[str], is_sent: bool) -> tuple[str, ...]:
    """What a share lacks that is made without Multipass, as texts.

    Args:
        roles: the job's checkpoints.
        declared: the fields of the webui's own job that say what Multipass wants; they go along.
        is_sent: whether the shares were sent before anything was declared.
    """
    own = [
        fields.label(name)
        for name, stock in _BY_US_ALONE.items()
        if getattr(roles.args, name) != fields.default(name) and (is_sent or stock not in declared)
    ]
    return (roles.second.name_for_extra, *own) if is_sent else tuple(own)


def comment(labels: Sequence[str], lacking: Sequence[str]) -> str:
    """What the job says of pictures that other webuis made without Multipass; empty if there is nothing to say.

    Args:
        labels: what Distributed calls these webuis.
        lacking: what their pictures lack.
    """
    if not labels or not lacking:
        return ""
    names = ", ".join(labels)
    return (
        f"The pictures from {names} were made without {', '.join(lacking)}, since Distributed knows of no Multipass "
        f"there. Install it there; if it is installed, start this webui again while {names} runs."
    )
