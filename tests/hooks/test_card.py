"""The script for a card, as far as it goes without one, and without the libraries that a bare machine lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BARE = """
import importlib.machinery, runpy, sys
find = importlib.machinery.PathFinder.find_spec
lacking = ("gradio", "fastapi", "starlette", "pydantic", "uvicorn")
hidden = lambda name, *rest: None if name.split(".")[0] in lacking else find(name, *rest)
importlib.machinery.PathFinder.find_spec = staticmethod(hidden)
sys.argv[1:] = ["--tiny", "--json", sys.argv[1]]
runpy.run_path("tools/card.py", run_name="__main__")
"""


def test_everything_holds_on_the_processor(tmp_path: Path) -> None:
    told = tmp_path / "card.json"
    done = subprocess.run([sys.executable, "-c", BARE, told], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(told.read_text(encoding="utf-8"))
    assert [row["checkpoint"] for row in found["swaps"]] == ["sd1", "sdxl"]
    assert {"sd1: values are whole", "sdxl: values are whole"} < found["checks"].keys()
    cases = {"sd1 pair", "sdxl pair", "released", "in parts", "sd1 first swap", "sdxl first swap"}
    assert {name.split(":")[0] for name in found["checks"]} > cases
    assert len(found["ahead"]) == 2
    assert len(found["jobs"]) == 8
    assert done.stdout.count("| equal |") == 8
