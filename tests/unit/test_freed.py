"""Memory that goes back to the system."""

from __future__ import annotations

import sys

import psutil
import pytest

from lib_multipass.memory import freed

PIECE, PIECES = 64 * 1024, 3000
"""Bytes of each, small enough that glibc takes them from its heap."""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps it")
def test_it_leaves_the_process():
    process, pieces = psutil.Process(), [bytearray(PIECE) for _ in range(PIECES)]
    top = bytearray(PIECE)  # stays, so that the heap cannot shrink from its end
    before = process.memory_info().rss
    del pieces
    freed.give_back()
    assert before - process.memory_info().rss > 0.8 * PIECE * PIECES
    assert len(top) == PIECE


def test_elsewhere_it_does_nothing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(freed.ctypes, "CDLL", None)
    freed.give_back()


def test_a_system_without_it_is_none_the_worse(monkeypatch):
    def fails(_name):
        raise OSError("no such library")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(freed.ctypes, "CDLL", fails)
    freed.give_back()
