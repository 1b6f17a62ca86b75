"""Which files this process asks the system for, and whether a pickle is taken apart meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from support.webuis import REPOSITORY

_FILES = ("open", "os.listdir", "os.scandir")
_records: list[Touched] = []
_installed = False


@dataclass
class Touched:
    """What was touched while it was watched."""

    paths: list[str] = field(default_factory=list)
    """Opened, listed or asked for their size, in this order."""
    opened: list[str] = field(default_factory=list)
    unpickled: list[str] = field(default_factory=list)
    """The names that a pickle asked for."""

    def add(self, path: object, opened: bool = False) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            self.paths.append(os.fsdecode(path))
            if opened:
                self.opened.append(self.paths[-1])

    def beyond(self, *allowed: str | os.PathLike[str]) -> list[str]:
        """The paths that are neither allowed, nor below an allowed folder, nor part of the running programs."""
        programs = [sys.prefix, sys.base_prefix, "/proc/meminfo", "/proc/self/cgroup", "/sys/fs/cgroup"]
        programs += [REPOSITORY / name for name in (".venv", "lib_multipass", "scripts", "tests")]
        here = {os.path.abspath(path) for path in (*allowed, *programs)}  # noqa: PTH100 - links stay as they are
        here |= {os.path.realpath(path) for path in here}
        return [path for path in self.paths if not _within(path, here)]


def _within(path: str, here: set[str]) -> bool:
    try:
        place = Path(os.path.abspath(path))  # noqa: PTH100
    except ValueError:  # a name that no system takes
        return False
    return any(str(one) in here for one in (place, *place.parents))


def _listen(event: str, arguments: tuple) -> None:
    for record in _records:
        if event in _FILES:
            record.add(arguments[0], event == "open")
        elif event == "pickle.find_class":
            record.unpickled.append(f"{arguments[0]}.{arguments[1]}")


@contextmanager
def watching() -> Iterator[Touched]:
    """Watch all threads of this process; Python tells of every open, and of no question for a file's state."""
    global _installed  # an audit hook cannot be taken away again
    if not _installed:
        sys.addaudithook(_listen)
        _installed = True
    record = Touched()
    stat, lstat = os.stat, os.lstat

    def asked(original):
        def ask(path, *args, **kwargs):
            record.add(path)
            return original(path, *args, **kwargs)

        return ask

    _records.append(record)
    try:
        with mock.patch.object(os, "stat", asked(stat)), mock.patch.object(os, "lstat", asked(lstat)):
            yield record
    finally:
        _records.remove(record)
