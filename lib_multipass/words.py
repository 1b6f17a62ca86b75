"""The one voice in which Multipass speaks: its log, and the error that stops a job."""

from __future__ import annotations

import difflib
import heapq
import logging
import os
import re
import sys
from collections.abc import Iterable
from itertools import pairwise

from lib_multipass import NAME

log = logging.getLogger("lib_multipass")


class _Console(logging.Handler):
    """Writes to whatever ``sys.stderr`` is at that moment (the webui may redirect it after start-up)."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


def open_log() -> None:
    """Let messages from ``INFO`` upwards reach the console.

    The webui sets logging up only when it is started with ``--loglevel``, so without a handler of its own the line
    per job would stay unseen. Calling this again changes nothing.
    """
    if not log.handlers:
        console = _Console()
        console.setFormatter(logging.Formatter(f"[{NAME}] %(message)s"))
        log.addHandler(console)
    log.setLevel(logging.INFO)
    log.propagate = False


class MultipassError(Exception):
    """A job cannot be done as it was asked for; the message is a sentence for the person who asked.

    The webui's API answers an exception with the ``status_code`` and ``detail`` that it finds on the instance
    (``modules/api/api.py``, 1.6.0 to 1.10.1); the page shows the class name and the message.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.status_code = 422
        self.detail = sentence


_FOLDERS = re.compile(r"(?<!\w)(?:[A-Za-z]:)?[\\/]+(?:[^\\/\n'\"]+[\\/]+)+")


def reason_of(error: BaseException, *files: str | os.PathLike[str]) -> str:
    """The first line of what an error says, without the folders of the files that it names.

    Whoever may start a job need not know where the webui lies.

    Args:
        error: the error.
        files: paths that it may name; others are found by their look.
    """
    text = str(error).partition("\n")[0]
    named = [getattr(error, "filename", None), getattr(error, "filename2", None), *map(os.fspath, files)]
    for path in named:
        if isinstance(path, str):
            for written in (repr(path)[1:-1], path):
                text = text.replace(written, re.split(r"[\\/]", path)[-1]) if written else text
    return _FOLDERS.sub("", text)


_COMPARED = 48
"""Characters of a name: what difflib takes grows with the third power of that where names repeat themselves."""


def size_text(count: int) -> str:
    """Bytes for people, in GB or MB of 1000."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def count_text(number: int, word: str) -> str:
    """A number of things, with the word in singular or plural."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def nearest_names(wanted: str, names: Iterable[str]) -> list[str]:
    """The three names, at most, that somebody may have meant who wrote another one, the likeliest first."""
    pairs, compared = _pairs(wanted), {name[:_COMPARED]: name for name in names}
    likely = heapq.nlargest(20, compared, key=lambda name: len(_pairs(name) & pairs))
    return [compared[name] for name in difflib.get_close_matches(wanted[:_COMPARED], likely, n=3, cutoff=0.5)]


def _pairs(name: str) -> set[str]:
    """Its pairs of neighbouring letters: difflib takes long over a thousand names."""
    return set(map("".join, pairwise(name[:_COMPARED])))
