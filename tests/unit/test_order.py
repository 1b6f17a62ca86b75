"""When the swap to the first pass's checkpoint may wait, and when first passes are made ahead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lib_multipass.memory.architectures import SD1, SD3
from lib_multipass.memory.headers import Facts
from lib_multipass.memory.placement import DISK, RAM, VRAM, Decision
from lib_multipass.plan.args import PassArgs
from lib_multipass.plan.forecast import FACES, FIRST, REFINER, SECOND
from lib_multipass.plan.keeping import Keeping
from lib_multipass.plan.order import PASS_BY_PASS, PICTURE_BY_PICTURE, Order, order
from lib_multipass.plan.roles import Roles, roles_of
from lib_multipass.plan.situation import Hires, Machine, Situation, VaeSettings
from support.listed import CARTOON, KNOWN, PHOTO

A, B = CARTOON, PHOTO
WAITS, AHEAD = (
    Order(puts_off=True),
    Order(True, True, "First passes are made before second ones, as many at a time as may be kept."),
)


def roles(**own: Any) -> Roles:
    return roles_of(PassArgs.parse([{"checkpoint": B.name, **own}]), A, KNOWN, ())


def situation(**more: Any) -> Situation:
    facts = {known.filename: Facts(1, architecture=SD1) for known in KNOWN}
    return Situation(facts=facts, vaes=VaeSettings(), **more)


def decided(places: dict[str, str] | None, batches: int = 1, who: Any = None, cast: Any = None, **more: Any) -> Order:
    decision = None if places is None else Decision(places)
    kept = Keeping("Automatic", (), None, decision)
    return order(who or roles(), situation(**more), cast or [(FIRST, A), (SECOND, B)], kept, batches)


ON_DISK = {A.filename: RAM, B.filename: DISK}
IN_VRAM, IN_RAM = ({A.filename: place, B.filename: place} for place in (VRAM, RAM))
CARD = Machine(vram=(1, 1))


@pytest.mark.parametrize(
    ("places", "machine", "costs"),
    [
        (ON_DISK, Machine(), True),
        (IN_RAM, CARD, True),
        (IN_RAM, Machine(), False),
        (IN_VRAM, CARD, False),
        (None, CARD, False),
    ],
    ids=["from disk", "from RAM to a card", "in RAM without a card", "on the card", "as the webui is set"],
)
@pytest.mark.parametrize("batches", [1, 3])
def test_where_a_swap_costs_something(places: Any, machine: Machine, costs: bool, batches: int) -> None:
    assert decided(places, batches, machine=machine) == ((AHEAD if batches > 1 else WAITS) if costs else Order())


def test_the_users_wish() -> None:
    assert decided(ON_DISK, 3, order=PICTURE_BY_PICTURE) == WAITS
    assert decided(IN_RAM, 3, order=PASS_BY_PASS) == AHEAD
    assert decided(IN_RAM, 1, order=PASS_BY_PASS) == Order()
    assert decided(None, 3, order=PASS_BY_PASS) == Order()


def test_scripts_that_may_look_at_the_checkpoint() -> None:
    got = decided(ON_DISK, 3, early_scripts=["Wild", "Wilder"])
    said = "Each picture needs its swaps: Wild, Wilder may look at the checkpoint before its first pass."
    assert got == decided(ON_DISK, 1, early_scripts=["Wild", "Wilder"]) == Order(said=said)
    assert decided(IN_RAM, 3, early_scripts=["Wild"]) == Order()


@pytest.mark.parametrize(
    "more",
    [
        {"cast": [(FIRST, A), (SECOND, B), (FACES, A)]},
        {"cast": [(FIRST, A), (SECOND, B), (REFINER, B)]},
        {"cast": [(FIRST, A), (SECOND, A)]},
        {"not_kept": "Hypertile draws random numbers of its own"},
        {"who": roles(show_first_pass=True)},
    ],
    ids=["faces on the first", "a refiner", "one checkpoint", "not kept", "shown"],
)
def test_what_needs_the_first_checkpoint(more: Any) -> None:
    assert decided(ON_DISK, 3, **more) == Order()


def test_sd3_sets_sizes_and_noise() -> None:
    other = situation(hires=Hires())
    facts = {**other.facts, B.filename: Facts(1, architecture=SD3)}
    kept = Keeping("Automatic", (), None, Decision(ON_DISK))
    assert order(roles(), replace(other, facts=facts), [(FIRST, A), (SECOND, B)], kept, 3) == Order()


def test_nothing_waits_in_a_webui_that_cannot_begin_so():
    assert decided(ON_DISK, 3, early_scripts=None) == decided(ON_DISK, 1, early_scripts=None) == Order()
