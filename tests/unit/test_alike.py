"""What a stage is made from: equal for what says the same, and for nothing else."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from itertools import combinations
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from lib_multipass.plan import alike
from lib_multipass.plan.alike import UnlikeError, changed, fields_that_act, fingerprint, is_plain, options_that_act

Point = namedtuple("Point", "x y")


def raw(value: Any) -> tuple[str, bytes] | None:
    return ("bytes of a tensor", bytes(value)) if isinstance(value, bytearray) else None


class Unit:
    """As extensions hand theirs over."""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


DIFFERENT = [
    *(None, True, 1, 1.0, "1", b"1", 0, False, "", "None", float("inf"), 1 + 0j),
    *([], (), {}, set(), [1], (1,), {1}, [1, 2], [[1], 2], [1, [2]], ["a", "bc"], ["ab", "c"], ["abc"]),
    *({"a": 1}, {"b": 1}, {"a": 1, "b": 1}, {1: "a"}, {"1": "a"}, {"a": {"b": 1}}, OrderedDict(a=1)),
    *(Point(1, 2), (1, 2), Unit(x=1), Unit(x=2), Unit(y=1), SimpleNamespace(x=1), PurePosixPath("1")),
    *(bytearray(b"1"), bytearray(b"2"), [bytearray(b"1")], "surrogate \ud800"),
]


def test_what_says_another_thing_has_another_key() -> None:
    for one, other in combinations(DIFFERENT, 2):
        assert fingerprint(one, raw) != fingerprint(other, raw), (one, other)


def test_what_says_the_same_has_the_same_key() -> None:
    assert fingerprint({"a": 1, "b": [2]}, raw) == fingerprint({"b": [2], "a": 1}, raw)
    assert fingerprint({3, 1, 2}, raw) == fingerprint({1, 2, 3}, raw)
    assert fingerprint(Unit(x=[Unit(y=1)]), raw) == fingerprint(Unit(x=[Unit(y=1)]), raw)
    assert fingerprint(bytearray(b"1"), raw) == fingerprint(bytearray(b"1"), raw)
    assert fingerprint(float("nan"), raw) == fingerprint(float("nan"), raw)


@pytest.mark.parametrize("value", [print, lambda: 1, Unit, object(), iter([]), Unit(call=lambda: 1)])
def test_what_cannot_be_compared_is_told(value: Any) -> None:
    with pytest.raises(UnlikeError, match=r"scripts\.unit"):
        fingerprint({"scripts": {"unit": value}}, raw)


def test_what_has_too_much_in_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: list = []
    for _ in range(40):
        deep = [deep]
    circle = Unit()
    circle.itself = circle
    monkeypatch.setattr(alike, "_MOST_PIECES", 1000)
    for value in (deep, circle, [*range(2000)]):
        with pytest.raises(UnlikeError):
            fingerprint(value, raw)


def test_fields_that_nobody_has_thought_of_act() -> None:
    fields = {"steps": 4, "a_new_one": 1, "hr_scale": 2, "all_seeds": [1], "_multipass": 3, "subseeds": [7]}
    assert fields_that_act(fields, subseed_acts=False) == {"steps": 4, "a_new_one": 1}
    assert fields_that_act(fields, subseed_acts=True) == {"steps": 4, "a_new_one": 1, "subseeds": [7]}


def test_settings_that_nobody_has_thought_of_act() -> None:
    sections = {
        **{"eta_ancestral": "sampler-params", "new": "new section", "unlisted": None, "sd_checkpoint_hash": "sd"},
        **{"samples_save": "saving-images", "ad_save_previews": None, "multipass_keep": "multipass"},
        **{"sd_checkpoints_limit": "sd"},
    }
    assert [*options_that_act(sections)] == ["eta_ancestral", "new", "unlisted"]


def test_what_has_changed_keeps_its_order() -> None:
    same, other = Unit(), Unit()
    before = {"a": 1, "b": same, "c": other, "d": [1], "e": True}
    after = {"e": 1, "z": 0, "d": [1], "c": Unit(), "b": same, "a": 2}
    assert [*changed(before, after)] == ["e", "z", "c", "a"]


def test_plain_values_hold_nothing_of_a_job() -> None:
    assert all(map(is_plain, (None, True, 1, 1.5, "a", [1, ("b", None)])))
    assert not any(map(is_plain, (Unit(), {"a": 1}, [Unit()], print)))
