"""What the plan makes of the second pass's modules, where VAEs and text encoders are modules."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from lib_multipass.memory.headers import DIFFUSION_ALONE
from lib_multipass.plan.args import label
from lib_multipass.plan.forecast import SECOND
from lib_multipass.plan.hires import own_modules
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.roles import Roles
from lib_multipass.plan.situation import Situation
from lib_multipass.plan.vae_choice import is_apart


def twofold(
    cast: Sequence[tuple[str, Checkpoint]], roles: Roles, situation: Situation, lasting: Collection[str]
) -> set[str]:
    """The files of which the job has two models: with the hires pass's modules, and with those of the first pass.

    Args:
        cast: who makes each pass.
        roles: the job's checkpoints.
        situation: what stands.
        lasting: the checkpoint files that have the hires pass's modules for the whole job.
    """
    if not situation.vaes.are_modules or {*_of_second_pass(roles, situation)} == {*situation.hires.modules}:
        return set()
    others = {known.filename for role, known in cast if role != SECOND}
    return ({roles.second.filename} & others) - {*lasting}


def lacking_modules(roles: Roles, situation: Situation) -> Iterator[str]:
    """Say what is not chosen for a second checkpoint that is a diffusion model alone.

    The webui fails for want of it, once the first pass is made.
    """
    facts, vaes = situation.facts[roles.second.filename], situation.vaes
    if not vaes.are_modules or facts.kind != DIFFUSION_ALONE:
        return
    found = {name in vaes.files for name in _of_second_pass(roles, situation)}
    lacks = " and ".join(part for is_vae, part in ((False, "no text encoder"), (True, "no VAE")) if is_vae not in found)
    if lacks:
        yield (
            f"{roles.second.name_for_extra} is a diffusion model alone, and {lacks} is chosen for it; choose its files "
            f"in {label('vae')}."
        )


def _of_second_pass(roles: Roles, situation: Situation) -> Sequence[str]:
    vaes = situation.vaes
    own = own_modules(situation.hires, roles.own, vaes.files, is_apart(vaes, roles, situation.facts))
    return situation.hires.modules if own is None else own
