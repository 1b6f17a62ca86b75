"""The benchmark of memory, tried on a pretended device, since few machines have a real one."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bench_memory
from support import webuis
from support.jobs import A, B, C


@pytest.mark.campaign
def test_it_measures(tmp_path):
    flags = ("--device-memory", "900000000", "--multipass-ram-reserve", "0", "--multipass-vram-reserve", "0")
    with webuis.running(webuis.miniatures()[0], tmp_path / "data", *flags) as server:
        rows = {keep: bench_memory.measure(server, keep, A, B, C, 64) for keep in bench_memory.WISHES}
        assert 0 < rows["In RAM"]["peak"] == rows["As the webui is set"]["peak"]
        assert rows["In VRAM"]["peak"] > rows["In RAM"]["peak"]
        assert rows["In VRAM"]["planned"] >= rows["In VRAM"]["peak"]
        assert rows["As the webui is set"]["planned"] == 0


def test_a_line_without_swaps_says_nothing():
    line = "[Multipass] 1 a · x → 2 b · x — 2 checkpoints stay in VRAM — "
    assert bench_memory.swap_seconds(f"{line}no swap, 0 loads from disk") == []
    swaps = "3 swaps (to photo 2 × 3.00 s, to cartoon 0.50 s), 1 load from disk"
    assert bench_memory.swap_seconds(f"{line}{swaps}") == [3.0, 0.5]


def test_it_says_what_is_missing(monkeypatch):
    monkeypatch.delenv(webuis.GIVEN, raising=False)
    run = [sys.executable, "dev.py", "bench", "memory"]
    done = subprocess.run(run, cwd=webuis.REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "needs a webui on a CUDA device" in done.stderr
