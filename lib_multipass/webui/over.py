"""A family whose room differs from another family's in some operations only."""

from __future__ import annotations

from types import ModuleType
from typing import Any


class Over:
    """A room of a family that overrides some of another family's operations.

    Rooms reach each other through :data:`lib_multipass.webui.base.host`, so what is overridden here holds for the room
    below as well.
    """

    def __init__(self, *rooms: ModuleType) -> None:
        """
        Args:
            rooms: the one that is asked first, first.
        """
        self._rooms = rooms

    def __getattr__(self, operation: str) -> Any:
        for room in self._rooms:
            if operation in vars(room):
                return vars(room)[operation]
        raise AttributeError(f"{self._rooms[0].__name__} has no {operation!r}")
