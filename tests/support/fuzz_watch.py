"""What the fuzzer's bytes are made into, and what one execution may cost."""

from __future__ import annotations

import hashlib
import struct
import time
import traceback
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

try:
    import resource
except ImportError:  # Windows, for which there is no atheris either
    resource = None

LONGEST = 0.1
"""Seconds of processor time: that other programs are at work does not count."""
LARGEST = 10_000_000
"""Bytes that may be allocated at once."""
SAMPLED = 64
"""Every so many executions the allocations are traced, and whenever the process became larger than ever."""

Choice = TypeVar("Choice")


class Source:
    """Values out of the fuzzer's bytes; zeros once they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        """Whether there are bytes left."""
        return self._at < len(self._data)

    def raw(self, count: int) -> bytes:
        """So many bytes, or what is left."""
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def rest(self) -> bytes:
        """All that is left."""
        return self.raw(len(self._data))

    def below(self, limit: int) -> int:
        """A number from 0 on."""
        return int.from_bytes(self.raw(1 if limit <= 256 else 4), "little") % limit

    def of(self, choices: Sequence[Choice]) -> Choice:
        """One of these."""
        return choices[self.below(len(choices))]

    def number(self) -> float:
        """Any, infinities and what is no number among them."""
        return struct.unpack("<d", self.raw(8).ljust(8, b"\0"))[0]

    def text(self, longest: int = 50_000) -> str:
        """Any, half surrogates among them, and now and then a short one many times over."""
        times = self.of((*(1,) * 29, 17, 500, 5000))
        wide = self.below(4) == 0
        data = self.raw(self.below(48))
        text = (
            data[: len(data) // 2 * 2].decode("utf-16-le", "surrogatepass") if wide else data.decode("utf-8", "replace")
        )
        return (text * times)[:longest]


class ViolationError(Exception):
    """An input broke a rule; the message says which."""


class Watch:
    """Executes one target and minds the rules."""

    def __init__(self, name: str, target: Callable[[Source], None], folder: Path) -> None:
        """Begin.

        Args:
            name: the target's, for the names of saved inputs.
            target: takes values out of a source; every exception that comes of it is a violation.
            folder: where an input that breaks a rule is saved.
        """
        self.name, self._target, self._folder = name, target, folder
        self.executions = self.traced = self.largest = 0
        self.slowest = 0.0
        self.began = time.monotonic()
        self._peak = _most_resident()

    def execute(self, data: bytes) -> None:
        """Execute once.

        Raises:
            ViolationError: when a rule is broken; the input is saved.
        """
        self.executions += 1
        took = self._timed(data)
        if took > LONGEST:  # a collection of garbage may have fallen into it: three more times, the quickest counts
            took = min(self._timed(data) for _ in range(3))
        self.slowest = max(self.slowest, took)
        if took > LONGEST:
            self._violated(data, f"it took {took * 1000:.0f} ms of processor time")
        grown = _most_resident()
        if self.executions % SAMPLED == 1 or grown > self._peak:
            self._trace(data)
        self._peak = _most_resident()

    def _timed(self, data: bytes) -> float:
        start = time.thread_time()
        try:
            self._target(Source(data))
        except Exception:
            self._violated(data, f"it raised\n{traceback.format_exc(limit=-8)}")
        return time.thread_time() - start

    def _trace(self, data: bytes) -> None:
        self.traced += 1
        tracemalloc.start()
        try:
            source = Source(data)
            tracemalloc.reset_peak()
            self._target(source)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.largest = max(self.largest, most)
        if most > LARGEST:
            self._violated(data, f"it allocated {most:,} bytes at once")

    def _violated(self, data: bytes, what: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self.name}-{hashlib.sha256(data).hexdigest()[:16]}"
        path.write_bytes(data)
        raise ViolationError(f"{self.name}: {what}; the input is {path}")

    def __str__(self) -> str:
        """The figures."""
        seconds = time.monotonic() - self.began
        return (
            f"{self.name}: {self.executions:,} executions in {seconds:,.0f} s, slowest {self.slowest * 1000:.1f} ms, "
            f"largest allocation {self.largest / 1e6:.2f} MB (traced {self.traced:,} times)"
        )


def _most_resident() -> int:
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
