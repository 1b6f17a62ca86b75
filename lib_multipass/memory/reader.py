"""Reads a file ahead of its use: once, from front to back, in a thread that gives way to everything else.

What comes of it is the file's SHA-256, and that its bytes lie in the operating system's file cache.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lib_multipass.words import log

CHUNK = 2 * 1024 * 1024
"""Bytes; all that is held of a file at a time."""

LOWEST_PRIORITY = 19

GoesOn = Callable[[], bool]
Then = Callable[[GoesOn], object]

LONGEST_CHUNK = 2.0
"""Seconds; how long a stop waits for the chunk that is being read (a network drive may never answer)."""


def worth_reading(file_bytes: int, available_bytes: int | None, reserve: int, hash_known: bool) -> bool:
    """Whether it pays to read a file ahead.

    A missing hash always does: the file has to be read for it in any case. Otherwise the file has to fit into the
    memory that is left, or the system would throw its first bytes out again before they are wanted.

    Args:
        file_bytes: size of the file.
        available_bytes: memory that programs could still get, the file cache included; None if that is not known.
        reserve: bytes of it that will be needed for something else before the file is.
        hash_known: whether the file's hash is known already.
    """
    return not hash_known or (available_bytes is not None and file_bytes <= available_bytes - reserve)


class Reader:
    """Reads one file at a time, and remembers its hash until it is stopped.

    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._reading: _Reading | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def path(self) -> str | None:
        """The file that was started last, whether it is still being read or not; None after a stop."""
        reading = self._reading
        return None if reading is None else reading.path

    @property
    def digest(self) -> str | None:
        """The SHA-256 of that file, in hexadecimal, once all of it was read and while it stays as it was then."""
        reading = self._reading
        return None if reading is None else reading.digest()

    def start(self, path: str, hashing: bool, keep_going: GoesOn, then: Then | None = None) -> None:
        """Read a file in the background; if it is the one that was started last, nothing changes.

        Args:
            path: the file. If it cannot be read, a line in the log says why, and that is all.
            hashing: whether its hash is wanted.
            keep_going: asked before every chunk, in the reading thread; once it says no, reading ends.
            then: called there when all of the file was read, with what it has to ask as often, in the same way.
        """
        with self._lock:
            if self.path == path:
                return
            self.stop()
            atexit.register(self.stop)
            self._reading, self._stop = _Reading(path, hashing), threading.Event()
            work = (self._reading, self._stop, keep_going, then)
            self._thread = threading.Thread(target=_read, args=work, name="multipass-reader", daemon=True)
            self._thread.start()

    def finish(self, path: str) -> str | None:
        """The hash of a file that is read here, in hexadecimal.

        What is still to be read of it is read at once and at full speed, in the calling thread: the background
        thread's priority could not be raised again without privileges. None if this file is not being hashed here, was
        changed meanwhile or cannot be read.
        """
        reading = self._reading
        if reading is None or reading.path != path or not reading.hashing:
            return None
        with self._lock:
            if reading is not self._reading:
                return None
            if not reading.is_over:
                self._halt(None)
            while reading.step():
                pass
            return reading.digest()

    def stop(self) -> None:
        """End reading, at the latest with the current chunk, and forget the file."""
        with self._lock:
            if self._halt(LONGEST_CHUNK) and self._reading is not None:
                self._reading.close()
            self._reading = None
            atexit.unregister(self.stop)  # which would hold this reader for good

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is being read any more, at most ``timeout`` seconds; whether that is so."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def _halt(self, timeout: float | None) -> bool:
        self._stop.set()
        return self.wait(timeout)


class _Reading:
    """One file while it is read, chunk by chunk, by one thread after the other."""

    def __init__(self, path: str, hashing: bool) -> None:
        self.path = path
        self.hashing = hashing
        self._hash = hashlib.sha256()
        self._file = None
        self._buffer = memoryview(b"")
        self._state: tuple[int, int] | None = None
        self._count = 0
        self.is_over = False

    def step(self) -> bool:
        """Read a chunk; False if the file has ended or cannot be read."""
        if self.is_over:
            return False
        try:
            count = self._next_chunk()
        except OSError as error:
            log.info("could not read %s ahead: %s", self.path, error)
            self._state = None
            count = 0
        if not count:
            self.close()
        elif self.hashing:
            self._hash.update(self._buffer[:count])
        self._count += count
        return count > 0

    def _next_chunk(self) -> int:
        if self._file is None:
            self._state = _state_of(self.path)
            self._file = Path(self.path).open("rb", buffering=0)  # noqa: SIM115 - it outlives this call
            self._buffer = memoryview(bytearray(CHUNK))
        return self._file.readinto(self._buffer)

    @property
    def is_whole(self) -> bool:
        """Whether all of the file was read."""
        return self.is_over and self._state is not None and self._count == self._state[0]

    def digest(self) -> str | None:
        """The hash, if the whole file was read for it and is still the same."""
        if not (self.hashing and self.is_whole):
            return None
        with suppress(OSError):
            return self._hash.hexdigest() if _state_of(self.path) == self._state else None
        return None

    def close(self) -> None:
        """Read no more."""
        self.is_over = True
        self._buffer = memoryview(b"")
        if self._file is not None:
            self._file.close()


def _state_of(path: str) -> tuple[int, int]:
    found = Path(path).stat()
    return found.st_size, found.st_mtime_ns


def _read(reading: _Reading, stop: threading.Event, keep_going: GoesOn, then: Then | None) -> None:
    rest = _give_way(stop)

    def goes_on() -> bool:
        rest()
        return not stop.is_set() and keep_going()

    while not stop.is_set() and keep_going() and reading.step():
        rest()
    if then is not None and reading.is_whole and goes_on():
        then(goes_on)


def _give_way(stop: threading.Event) -> Callable[[], object]:
    """Lower the calling thread's priority and return what it has to do after each chunk.

    Only Linux gives a thread a priority of its own here; elsewhere it rests as long as it computed.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
            return lambda: None
    last = time.thread_time()

    def rest() -> None:
        nonlocal last
        now = time.thread_time()
        stop.wait(now - last)
        last = now

    return rest
