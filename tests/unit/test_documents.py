"""Documents that a command makes are as it would make them now."""

from __future__ import annotations

import rooms
from support.webuis import REPOSITORY

ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"


def test_the_drawing_of_rooms_is_current() -> None:
    assert rooms.BEGIN + rooms.drawing() + rooms.END in ARCHITECTURE.read_text(encoding="utf-8")


def test_every_place_that_is_named_is_there() -> None:
    """Files of the product and of the tests, in backquotes."""
    named = {word for word in ARCHITECTURE.read_text(encoding="utf-8").split("`")[1::2] if word.endswith(".py")}
    assert len(named) > 20
    there = {path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("*/**/*.py")}
    assert [name for name in named if not any(path == name or path.endswith(f"/{name}") for path in there)] == []
