"""What is tested here runs without the libraries that only a webui brings."""

from __future__ import annotations

import sys

import pytest

from support.adetailer_args import load


@pytest.fixture(autouse=True)
def without_the_webuis_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of torch or gradio fails, even where another test has imported them already."""
    for name in ("torch", "gradio"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def adetailer_args():
    """ADetailer's own module of arguments."""
    return load()
