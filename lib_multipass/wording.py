"""Numbers and names for people."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable
from itertools import pairwise

_COMPARED = 48
"""Characters of a name: what difflib takes grows with the third power of that where names repeat themselves."""


def size_text(count: int) -> str:
    """Bytes for people, in GB or MB of 1000."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def count_text(number: int, word: str) -> str:
    """A number of things, with the word in singular or plural."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def nearest_names(wanted: str, names: Iterable[str]) -> list[str]:
    """The three names, at most, that somebody may have meant who wrote another one, the likeliest first."""
    pairs, compared = _pairs(wanted), {name[:_COMPARED]: name for name in names}
    likely = heapq.nlargest(20, compared, key=lambda name: len(_pairs(name) & pairs))
    return [compared[name] for name in difflib.get_close_matches(wanted[:_COMPARED], likely, n=3, cutoff=0.5)]


def _pairs(name: str) -> set[str]:
    """Its pairs of neighbouring letters: difflib takes long over a thousand names."""
    return set(map("".join, pairwise(name[:_COMPARED])))
