"""What is kept between jobs so that it need not be made again: by key, within so many bytes of RAM."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

LATENTS, PICTURES, FINISHED = 2, 1, 0
"""What kept latents are worth, and pictures that another pass begins with, and those that no pass begins with."""


class Store:
    """Values by key; of those that are worth least, the one that was used longest ago goes first."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[Any, int, int]] = OrderedDict()
        self.bytes = 0
        """What all values take."""

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, key: Hashable) -> bool:
        """Whether there is a value, which does not count as used."""
        return key in self._known

    def get(self, key: Hashable) -> Any:
        """The value of a key, which counts as used now; None without one."""
        found = self._known.get(key)
        if found is None:
            return None
        self._known.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: Any, size: int, allowance: int, worth: int = 0) -> None:
        """Keep a value, and let go of others until all are within the allowance; one that is larger is not kept.

        Args:
            key: what it was made from.
            value: what is kept.
            size: its bytes.
            allowance: the bytes that all values may take.
            worth: those that are worth more stay longer.
        """
        self._drop(key)
        if size > allowance:
            return
        self._known[key] = value, size, worth
        self.bytes += size
        self.shrink(allowance)

    def rate(self, key: Hashable, worth: int) -> None:
        """Let a value be worth so much from now on, if it is there."""
        if key in self._known:
            self._known[key] = (*self._known[key][:2], worth)

    def shrink(self, allowance: int) -> None:
        """Let go of values until all that are left take no more than so many bytes."""
        while self.bytes > allowance:
            self._drop(min(self._known, key=lambda key: self._known[key][2]))

    def clear(self) -> None:
        """Let go of everything."""
        self._known.clear()
        self.bytes = 0

    def _drop(self, key: Hashable) -> None:
        _, size, _ = self._known.pop(key, (None, 0, 0))
        self.bytes -= size
