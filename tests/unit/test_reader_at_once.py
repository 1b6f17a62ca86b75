"""Reading a file ahead while several threads want something of the reader: real files, real threads."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from lib_multipass.memory import reader
from lib_multipass.memory.reader import CHUNK, Reader

LONG = 20
"""Seconds; how long a thread waits for another one before a test fails."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of some chunks that ends within one."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(os.urandom(CHUNK) * 4 + b"end")
    return path


@pytest.fixture
def reading() -> Iterator[Reader]:
    """A reader that is stopped at the end of the test."""
    made = Reader()
    yield made
    made.stop()
    assert made.wait(LONG)


class Gate:
    """Holds whoever reads the n-th chunk, and counts the chunks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.arrived, self.opened, self.count, self._at = threading.Event(), threading.Event(), 0, at
        self._read = reader._Reading._next_chunk
        monkeypatch.setattr(reader._Reading, "_next_chunk", lambda one: self._next(one))

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_error: object) -> None:
        self.opened.set()

    def _next(self, one: reader._Reading) -> int:
        self.count += 1
        if self.count == self._at:
            self.arrived.set()
            assert self.opened.wait(LONG)
        return self._read(one)


def test_a_stop_waits_for_whoever_needs_the_hash(reading: Reader, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The webui hashes in one thread; Reload UI, or the next job, stops in another."""
    answers = iter([True, False])
    reading.start(str(file), True, lambda: next(answers))
    assert reading.wait(LONG)
    with ThreadPoolExecutor(2) as pool, Gate(monkeypatch, at=2) as gate:
        wanted = pool.submit(reading.finish, str(file))
        assert gate.arrived.wait(LONG)
        stopped = pool.submit(reading.stop)
        threading.Event().wait(0.2)
        assert not stopped.done()
        gate.opened.set()
        assert wanted.result(LONG) == hashlib.sha256(file.read_bytes()).hexdigest()
        stopped.result(LONG)
    assert reading.path is None


def test_a_file_that_is_started_twice_at_once_is_read_once(
    reading: Reader, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, begin = [], reader._Reading.__init__

    def slow(self: reader._Reading, *args: object) -> None:
        made.append(args)
        threading.Event().wait(0.2)
        begin(self, *args)

    monkeypatch.setattr(reader._Reading, "__init__", slow)
    with ThreadPoolExecutor(2) as pool:
        for started in [pool.submit(reading.start, str(file), True, lambda: True) for _ in range(2)]:
            started.result(LONG)
    assert len(made) == 1


def test_a_stop_ends_with_the_chunk_that_is_read(reading: Reader, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Gate(monkeypatch, at=2) as gate:
        reading.start(str(file), True, lambda: True)
        assert gate.arrived.wait(LONG)
        held = reading._reading  # without this, Python would close the file when nothing else names it
        assert str(file) in {opened.path for opened in psutil.Process().open_files()}
        threading.Timer(0.2, gate.opened.set).start()
        reading.stop()
    assert (gate.count, held.path) == (2, str(file))
    assert str(file) not in {opened.path for opened in psutil.Process().open_files()}
