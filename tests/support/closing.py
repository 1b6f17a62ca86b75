"""What pytest says last: what was left out, and the processor time of each process that ran tests."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

REPORT = "multipass_report"
GOAL = 200
"""CPU seconds of each of two workers in the default run; 250 are accepted."""


class Closing:
    """A plugin of the process that ran tests, and of the one that speaks for all."""

    def __init__(self) -> None:
        self.left_out: dict[str, int] = {}
        self.seconds: list[float] = []
        self.lost = 0.0

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Around the end of processes that nobody waits for, as a browser's are."""
        before = processor_time()
        yield
        self.lost += max(0.0, before - processor_time())

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[REPORT] = (self.left_out, processor_time() + self.lost)
        elif not self.seconds:
            self.seconds.append(processor_time() + self.lost)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.left_out, seconds = getattr(node, "workeroutput", {}).get(REPORT, (self.left_out, 0.0))
        self.seconds.append(seconds)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        parts = [f"{number} {reason}" for reason, number in self.left_out.items()]
        if parts:
            terminalreporter.write_line(f"Left out: {', '.join(parts)}.")
        taken = " + ".join(f"{seconds:.0f}" for seconds in self.seconds)
        terminalreporter.write_line(f"CPU seconds: {taken} (goal of the default run: {GOAL} on each of two workers).")


def processor_time() -> float:
    """CPU seconds of this process, of those that it has waited for, and of those that still run."""
    ended = os.times()
    whole = time.process_time() + ended.children_user + ended.children_system
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            whole += sum(process.cpu_times()[:4])  # its own, and those of its children that have ended
    return whole
