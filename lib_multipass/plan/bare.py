"""A second checkpoint that is a diffusion model alone, where the rest of a model are modules."""

from __future__ import annotations

from collections.abc import Iterator

from lib_multipass.memory.headers import DIFFUSION_ALONE
from lib_multipass.plan.args import label
from lib_multipass.plan.hires import own_modules
from lib_multipass.plan.roles import Roles
from lib_multipass.plan.situation import Situation
from lib_multipass.plan.vae_choice import is_apart


def lacking_modules(situation: Situation, roles: Roles) -> Iterator[str]:
    """Say what is not chosen for it: the webui fails for want of it, once the first pass is made.

    Args:
        situation: what stands.
        roles: the job's checkpoints.
    """
    facts, vaes = situation.facts[roles.second.filename], situation.vaes
    if not vaes.are_modules or facts.kind != DIFFUSION_ALONE:
        return
    own = own_modules(situation.hires, roles.own, vaes.files, is_apart(vaes, roles, situation.facts))
    names = situation.hires.modules if own is None else own
    found = {name in vaes.files for name in names}
    lacks = " and ".join(part for is_vae, part in ((False, "no text encoder"), (True, "no VAE")) if is_vae not in found)
    if lacks:
        yield (
            f"{roles.second.name_for_extra} is a diffusion model alone, and {lacks} is chosen for it; choose its files "
            f"in {label('vae')}."
        )
