"""Reload UI again and again in a process of its own, with a job after each; prints the resident bytes after each.

    python tools/reloads.py TIMES [--without]

``--without`` measures the same without Multipass.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from support.inprocess import start_miniature  # noqa: E402
from support.jobs import B  # noqa: E402


def resident_after_each(times: int, without: bool) -> list[int]:
    """Resident bytes after each Reload UI and its job."""
    with tempfile.TemporaryDirectory() as folder:
        host = start_miniature(Path(folder) / "data")
        if without:
            host.shared.opts.data["disabled_extensions"] = ["multipass"]
        process, resident = psutil.Process(), []
        for _ in range(times):
            host.reload_ui()
            host.run(host.job() if without else host.job(True, B))
            gc.collect()
            resident.append(process.memory_info().rss)
    return resident


if __name__ == "__main__":
    print(*resident_after_each(int(sys.argv[1]), "--without" in sys.argv))
