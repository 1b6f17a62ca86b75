"""How much of the tests runs: a sample of what comes in great numbers, all of it, or with seeds never tried."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from support import webuis

SMALL, FULL, ALL = SCALES = ("small", "full", "all")
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Scale:
    """What was asked for on the command line."""

    name: str
    asked: str | None = None
    """The seeds of random sequences, as FIRST or FIRST:COUNT."""

    def of(self, small: Number, full: Number, everything: Number | None = None) -> Number:
        """The number for this scale."""
        return {SMALL: small, FULL: full, ALL: full if everything is None else everything}[self.name]

    def seeds(self, first: int, small: int, full: int, everything: int | None = None) -> range:
        """The seeds to run: those asked for, else so many from the first one, or new ones for everything."""
        count = self.of(small, full, everything)
        if self.asked:
            start, _, number = self.asked.partition(":")
            return range(int(start), int(start) + int(number or 1))
        if self.name == ALL:
            first = random.SystemRandom().randrange(10**6, 10**9)
        return range(first, first + count)


def matrix(*axes: Iterable[Any]) -> list:
    """All combinations of these values as parameters, see :func:`sample`."""
    return sample(list(itertools.product(*axes)))


def sample(cases: Sequence[tuple], real: Iterable[tuple] = (), needed: Iterable[tuple] = ()) -> list:
    """Cases as parameters; those that are not needed are for campaigns.

    Args:
        cases: the values of all parameters in each.
        real: further ones, for real webuis.
        needed: some of the cases; as many as it takes for every pair of values, if not given.
    """
    needed = [*needed] or pairwise(cases)
    return [
        *(pytest.param(*case, id=_id(case), marks=() if case in needed else pytest.mark.campaign) for case in cases),
        *(pytest.param(*case, id=_id(case), marks=pytest.mark.real) for case in real),
    ]


def _id(case: tuple) -> str:
    items = [[f"{key}={value}" for key, value in part.items()] if isinstance(part, dict) else [part] for part in case]
    return "-".join(str(part) for parts in items for part in parts)


def pairwise(cases: Sequence[tuple]) -> list[tuple]:
    """Some of the cases, in which any two values stand together that do so in any case."""
    pairs = [set(itertools.combinations(enumerate(map(str, case)), 2)) for case in cases]
    left, chosen = set().union(*pairs), []
    while left:
        best = max(range(len(cases)), key=lambda number: len(pairs[number] & left))
        chosen.append(cases[best])
        left -= pairs[best]
    return chosen


def leave_out(items: list[pytest.Item], scale: Scale) -> dict[str, list[pytest.Item]]:
    """Take out what this run is not for, by the reason why."""
    out: dict[str, list[pytest.Item]] = {}
    for item, turn in zip(items, turns(items), strict=True):
        reason = _reason(item, scale, turn)
        if reason:
            out.setdefault(reason, []).append(item)
    gone = {item for some in out.values() for item in some}
    items[:] = [item for item in items if item not in gone]
    return out


def _reason(item: pytest.Item, scale: Scale, turn: int) -> str:
    webui = item.callspec.params.get("webui") if hasattr(item, "callspec") else None
    webui = webui if isinstance(webui, webuis.Webui) else None
    marks = {mark.name for mark in item.iter_markers()}
    skipped = "campaign" in marks or ("in_turn" in marks and turn % 2)
    if "everything" in marks and scale.name != ALL:
        return OF_ALL
    if webui and not webui.kind.latent_upscalers and item.callspec.params.get("upscaler") == "Latent":
        return WITHOUT_LATENTS
    if webui is None or webui.real:
        return OF_FULL if scale.name == SMALL and skipped and not webui else ""
    if "real" in marks:
        return FOR_REAL
    older = webui.name == webuis.miniatures()[1].name and "both" not in marks
    return OF_FULL if scale.name == SMALL and (older or skipped) else ""


def turns(items: Iterable[pytest.Item]) -> list[int]:
    """A number for each test; neighbours in any one list of parameters, or of a fixture's, differ by one in it."""
    known: dict[tuple, dict[tuple, int]] = {}
    found = []
    for item in items:
        given = item.callspec.params if hasattr(item, "callspec") else {}
        places = []
        for names in _lists(item, given):
            places_of = known.setdefault((item.parent.nodeid, item.originalname, names), {})
            places.append(places_of.setdefault(tuple(id(given[name]) for name in names), len(places_of)))
        found.append(sum(places))
    return found


def _lists(item: pytest.Item, given: Iterable[str]) -> list[tuple[str, ...]]:
    """The names of a test's parameters: those that stand together in a list, and those of fixtures alone."""
    written = [mark.args[0] for mark in item.iter_markers("parametrize")]
    together = [tuple(names.replace(",", " ").split()) if isinstance(names, str) else tuple(names) for names in written]
    listed = {name for names in together for name in names}
    return [*together, *((name,) for name in given if name not in listed)]


WITHOUT_LATENTS = "of latent upscalers, which a given webui does not have"
OF_ALL = "of all combinations (--scale all)"
OF_FULL = "of the full matrices (--scale full)"
FOR_REAL = f"and the folder tests/real for real webuis ({webuis.GIVEN}, see docs/testing.md)"
