"""Numbers for people."""

from __future__ import annotations


def size_text(count: int) -> str:
    """Bytes for people, in GB or MB of 1000."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def count_text(number: int, word: str) -> str:
    """A number of things, with the word in singular or plural."""
    return f"{number} {word}{'' if number == 1 else 's'}"
