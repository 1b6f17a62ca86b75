"""Texts as they follow one another."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby


def in_turn(texts: Iterable[str]) -> list[str]:
    """Each text once for as long as it stays."""
    return [text for text, _ in groupby(texts)]
