"""How much memory of the computer may be page-locked, which the system can then neither move nor swap out."""

from __future__ import annotations

ELSEWHERE, ON_WINDOWS = 0.5, 0.4
"""Shares of all RAM. Windows itself gives the programs of a computer half of it together (WDDM)."""


def allowance(total: int | None, left_in_group: int | None, is_windows: bool) -> int:
    """Bytes that may be page-locked by this program at most.

    Args:
        total: all RAM of the computer; None if that cannot be told, and then nothing is locked.
        left_in_group: what the container's control group still leaves; None without a limit.
        is_windows: whether the computer runs Windows.
    """
    if total is None:
        return 0
    share = int(total * (ON_WINDOWS if is_windows else ELSEWHERE))
    return share if left_in_group is None else min(share, left_in_group)
