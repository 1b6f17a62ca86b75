"""Which tests run by default."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from support.scale import turn


def item(places: dict[str, int], *given: str | tuple[str, ...]) -> SimpleNamespace:
    """A test with its places among its parameters, and the names in each of its lists of parameters."""
    marks = [pytest.mark.parametrize(names, []).mark for names in given]
    return SimpleNamespace(iter_markers=lambda _name: marks, callspec=SimpleNamespace(indices=places))


@pytest.mark.parametrize("given", [("base", "field"), "base,field", "base, field"])
def test_parameters_that_are_given_together_take_one_turn(given: str | tuple[str, ...]) -> None:
    assert [turn(item({"base": place, "field": place}, given)) % 2 for place in range(4)] == [0, 1, 0, 1]


def test_every_list_of_parameters_and_every_fixture_counts() -> None:
    assert turn(item({"webui": 1, "how": 2, "base": 4, "field": 4}, "how", ("base", "field"))) == 7
