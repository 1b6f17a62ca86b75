"""The table of versions is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.contract import Sources
from support.versions import table


def version_of(webui: Path) -> str:
    text = (webui / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.search(r"^## v?(\d+(?:\.\d+)+)", text, re.MULTILINE)[1]


def has(webui: Path, name: str) -> bool:
    if name.startswith("--"):
        return f'"{name}"' in (webui / "modules" / "cmd_args.py").read_text(encoding="utf-8")
    return Sources(webui).find(f"modules.{name}") is not None


@pytest.mark.real
def test_the_table_is_right(source: Path) -> None:
    versions, rows = table()
    if version_of(source) not in versions:
        pytest.skip(f"the table has no column for {version_of(source)}")
    column = 1 + versions.index(version_of(source))
    said = {name: row[column] == "yes" for row in rows for name in re.findall("`([^`]+)`", row[-1])}
    assert said == {name: has(source, name) for name in said}


@pytest.mark.real
def test_whatever_is_needed_is_there(source: Path, host) -> None:
    from lib_multipass.webui.a1111 import features

    sources = Sources(source)
    assert [name for name in features.NEEDED if sources.find(name) is None] == []
