"""Which tests run by default."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from support.scale import turns

WEBUIS, WAYS, FIELDS = (object(), object()), (object(), object(), object()), [(object(), object()) for _ in range(4)]


def item(name: str, params: dict[str, Any], *given: str | tuple[str, ...]) -> SimpleNamespace:
    """A test with its parameters, and the names in each of its lists of them; others are a fixture's."""
    marks = [pytest.mark.parametrize(names, []).mark for names in given]
    spec = SimpleNamespace(params=params)
    parent = SimpleNamespace(nodeid="a file")
    return SimpleNamespace(parent=parent, originalname=name, iter_markers=lambda _name: marks, callspec=spec)


@pytest.mark.parametrize("given", [("base", "field"), "base,field", "base, field"])
def test_parameters_that_are_given_together_take_one_turn(given: str | tuple[str, ...]) -> None:
    items = [item("one", {"base": base, "field": field}, given) for base, field in FIELDS]
    assert turns(items) == [0, 1, 2, 3]


def test_lists_and_fixtures_take_turns_with_each_other() -> None:
    items = [item("one", {"webui": w, "how": how}, "how") for w, how in itertools.product(WEBUIS, WAYS)]
    assert turns(items) == [0, 1, 2, 1, 2, 3]


def test_each_test_has_turns_of_its_own() -> None:
    items = [item(name, {"how": how}, "how") for name in ("one", "another") for how in WAYS]
    assert turns(items) == [0, 1, 2] * 2


def test_a_test_without_parameters_has_its_turn() -> None:
    alone = SimpleNamespace(iter_markers=lambda _name: [])
    assert turns([alone]) == [0]
