"""The console line of a finished job: which checkpoint made each pass, and what the swaps cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lib_multipass.plan.forecast import Forecast
from lib_multipass.words import count_text

FIRST_PASS, ENLARGED, SECOND_PASS = "first pass", "enlarged picture", "second pass"
"""What may be taken from an earlier job."""


@dataclass(frozen=True)
class Swap:
    """One change of the active checkpoint: to which, how many seconds it took, how many files were read for it."""

    checkpoint: str
    seconds: float
    disk_loads: int


@dataclass
class Journal:
    """The swaps of one job, in order."""

    swaps: list[Swap] = field(default_factory=list)
    not_again: list[str] = field(default_factory=list)
    """What was taken from an earlier job instead of being made: ``FIRST_PASS``, ``ENLARGED`` or
    ``SECOND_PASS`` for each time."""

    def line(self, forecast: Forecast) -> str:
        """One line for the console: what the job did, and what stays loaded after it.

        Args:
            forecast: the job's plan.
        """
        loads = sum(swap.disk_loads for swap in self.swaps)
        return f"{forecast.text()} — {self._swaps()}, {count_text(loads, 'load')} from disk{self._not_again()}"

    def _not_again(self) -> str:
        if not self.not_again:
            return ""
        counted = (f"{times} × {what}" if times > 1 else what for what, times in Counter(self.not_again).items())
        return f"; not made again: {', '.join(counted)}"

    def _swaps(self) -> str:
        if not self.swaps:
            return "no swap"
        seconds: dict[str, list[float]] = {}
        for swap in self.swaps:
            seconds.setdefault(swap.checkpoint, []).append(swap.seconds)
        parts = [f"{name} {_times(taken)}{sum(taken) / len(taken):.2f} s" for name, taken in seconds.items()]
        return f"{count_text(len(self.swaps), 'swap')} (to {', to '.join(parts)})"


def _times(taken: list[float]) -> str:
    return f"{len(taken)} × " if len(taken) > 1 else ""
