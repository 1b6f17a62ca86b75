"""In which order a job makes its passes, and whether the swap to its first pass's checkpoint may wait.

Both are worth it where a swap costs something: where not all of the job's checkpoints stay where the webui computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib_multipass.memory.architectures import SD3
from lib_multipass.memory.placement import AUTOMATIC, DISK, RAM
from lib_multipass.plan.forecast import FACES, FIRST, SECOND
from lib_multipass.plan.hires import why_not_kept
from lib_multipass.plan.keeping import Keeping
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.roles import Roles
from lib_multipass.plan.situation import Situation

PASS_BY_PASS, PICTURE_BY_PICTURE = "Pass by pass", "Picture by picture"
ORDERS = (AUTOMATIC, PASS_BY_PASS, PICTURE_BY_PICTURE)
"""What a user may wish for."""


@dataclass(frozen=True)
class Order:
    """The order of a job's passes."""

    puts_off: bool = False
    """Whether the swap to the first pass's checkpoint waits until it is known that the pass has to be made."""
    pass_by_pass: bool = False
    """Whether first passes of later batches are made before the first second pass."""
    said: str = ""
    """A sentence about it; empty where there is nothing to say."""


def order(
    roles: Roles, situation: Situation, cast: Sequence[tuple[str, Checkpoint]], kept: Keeping, batches: int
) -> Order:
    """Decide on the order.

    Args:
        roles: the job's roles.
        situation: what stands.
        cast: who makes each pass, in order.
        kept: what stays loaded.
        batches: how many the job has.
    """
    if not _can_wait(roles, situation, cast) or kept.decision is None:
        return Order()
    places = kept.decision.places.values()
    costs = DISK in places or (RAM in places and situation.machine.vram is not None)
    wished = batches > 1 and situation.order != PICTURE_BY_PICTURE and (costs or situation.order == PASS_BY_PASS)
    if not costs and not wished:
        return Order()
    if situation.early_scripts:
        others = ", ".join(situation.early_scripts)
        return Order(said=f"Each picture needs its swaps: {others} may look at the checkpoint before its first pass.")
    if not wished:
        return Order(puts_off=True)
    return Order(True, True, "First passes are made before second ones, as many at a time as may be kept.")


def _can_wait(roles: Roles, situation: Situation, cast: Sequence[tuple[str, Checkpoint]]) -> bool:
    """Whether a job can go on with a kept first pass while another checkpoint is active.

    It cannot

    - in a webui that cannot begin a job so;
    - if the first checkpoint repaints faces, or the first passes are shown: it is needed all the same;
    - with a refiner, since its swaps tell it apart;
    - beside SD 3, which sets sizes and noise.
    """
    return (
        not why_not_kept(situation)[FIRST]
        and situation.early_scripts is not None
        and all(role in (FIRST, SECOND, FACES) for role, _ in cast)
        and all(situation.facts[known.filename].architecture != SD3 for _, known in cast)
        and all(known.filename != roles.base.filename for role, known in cast if role != FIRST)
        and not roles.args.show_first_pass
    )
