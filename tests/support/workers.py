"""Which of two workers runs a file: one begins with those that need running webuis, the other with those that need the
miniature in its own process, so that neither is started twice while there is enough of the other to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

SERVERS, IN_PROCESS = {"start", "pairs", "fork"}, {"host"}
"""Fixtures that start something."""


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """From files that need running webuis through those that need nothing to those that need the miniature in process;
    what takes longest stands at both ends."""
    needed: dict[Path, set[str]] = {}
    for item in items:
        needed.setdefault(item.path, set()).update(getattr(item, "fixturenames", ()))
    return sorted(items, key=lambda item: _place(needed[item.path], item.get_closest_marker("slow") is not None))


def _place(needed: set[str], slow: bool) -> int:
    end = (1 + slow) * bool(needed & (SERVERS | IN_PROCESS))
    return end if needed & IN_PROCESS else -end


class FromBothEnds(LoadFileScheduling):
    """Every other worker takes the last file that nobody has taken yet."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self.nodes.index(node) % 2:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)
