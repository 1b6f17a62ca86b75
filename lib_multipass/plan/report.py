"""What a finished job tells: which checkpoint made each pass and in what time, and what the swaps cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True)
class Made:
    """One pass of one batch: its role, its checkpoint, and the seconds in which it was made, without its swap."""

    role: str
    checkpoint: str
    seconds: float


@dataclass
class _Running:
    """A pass that is being made."""

    role: str
    elsewhere: float = 0.0
    """Seconds of it that swaps and other passes have taken."""
    is_known: bool = False
    """Whether it is taken from an earlier job."""


@dataclass
class Journal:
    """The passes and swaps of one job, each in order."""

    swaps: list[Swap] = field(default_factory=list)
    passes: list[Made] = field(default_factory=list)
    not_again: list[str] = field(default_factory=list)
    """What was taken from an earlier job instead of being made: ``FIRST_PASS``, ``ENLARGED`` or
    ``SECOND_PASS`` for each time."""

    stages: dict[str, list[str]] = field(default_factory=dict)
    """By pass, the keys under which it is kept, one for each batch."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What the job was asked for, see :mod:`lib_multipass.plan.again`."""
    seconds: float = 0.0
    """What the whole job took, once it is over."""
    _begun: float = field(default_factory=lambda: time.perf_counter())
    _running: list[_Running] = field(default_factory=list)
    """The pass that is being made, within those that it is made in the middle of."""

    @contextmanager
    def making(self, role: str, checkpoint: str) -> Iterator[None]:
        """While it lasts, a pass is made; a swap or another pass within it is not counted as its own time."""
        begun, made = time.perf_counter(), _Running(role)
        self._running.append(made)
        try:
            yield
        finally:
            seconds = time.perf_counter() - begun
            self._running.pop()
            self._spend(seconds)
            if not made.is_known:
                self.passes.append(Made(role, checkpoint, seconds - made.elsewhere))

    def swapped(self, swap: Swap) -> None:
        """A swap is done."""
        self.swaps.append(swap)
        self._spend(swap.seconds)

    def _spend(self, seconds: float) -> None:
        if self._running:
            self._running[-1].elsewhere += seconds

    def known(self, what: str) -> None:
        """Something was taken from an earlier job: ``FIRST_PASS``, ``ENLARGED`` or ``SECOND_PASS``."""
        self.not_again.append(what)
        if self._running and self._running[-1].role == what:
            self._running[-1].is_known = True

    def close(self) -> None:
        """The job is over."""
        self.seconds = time.perf_counter() - self._begun

    def summary(self) -> str:
        """One line for the page: ``12.3 s, 2 swaps, 1 load from disk; not made again: first pass``."""
        swaps = count_text(len(self.swaps), "swap") if self.swaps else "no swap"
        return f"{self.seconds:.1f} s, {swaps}, {self._loads()}{self._not_again()}"

    def line(self, forecast: Forecast) -> str:
        """One line for the console: what the job did, and what stays loaded after it.

        Args:
            forecast: the job's plan.
        """
        return f"{forecast.text()} — {self._swaps()}, {self._loads()}{self._not_again()}"

    def _loads(self) -> str:
        return f"{count_text(sum(swap.disk_loads for swap in self.swaps), 'load')} from disk"

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
