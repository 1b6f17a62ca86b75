"""The README's table of webui versions against the sources of real webuis, which are not imported."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from contract import Sources, parse
from contract_uses import guarded_names

ROOT = Path(__file__).resolve().parent.parent
WEBUIS = [Path(folder) for folder in os.environ.get("MULTIPASS_WEBUI", "").split(os.pathsep) if folder]
HOW = "Set MULTIPASS_WEBUI to the folder of a webui (several: separated as in PATH) to run this."
OF_ADETAILER = {"ADetailerArgs", "model_fields", "__fields__"}


def table() -> tuple[list[str], list[list[str]]]:
    """The versions, and the rows of the table."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = text.partition("\n## Webui versions\n")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[0][1:-1], rows[2:]


def version_of(webui: Path) -> str:
    text = (webui / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.search(r"^## v?(\d+(?:\.\d+)+)", text, re.MULTILINE)[1]


def has(webui: Path, name: str) -> bool:
    if name.startswith("--"):
        return f'"{name}"' in (webui / "modules" / "cmd_args.py").read_text(encoding="utf-8")
    return Sources(webui).find(f"modules.{name}") is not None


@pytest.fixture(params=WEBUIS or [None], ids=lambda folder: folder.name if folder else "none")
def source(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.skip(HOW)
    return request.param


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
    from lib_multipass.host import features

    sources = Sources(source)
    assert [name for name in features.NEEDED if sources.find(name) is None] == []


def test_the_table_names_all_that_is_asked_for() -> None:
    _, rows = table()
    named = {name.rpartition(".")[2] for row in rows for name in re.findall("`([^`]+)`", row[-1])}
    asked = set(guarded_names(parse(ROOT / "lib_multipass" / "host" / "features.py")))
    assert asked - OF_ADETAILER <= named


def test_nobody_else_asks_for_what_the_table_names() -> None:
    _, rows = table()
    named = {name.rpartition(".")[2] for row in rows for name in re.findall("`([^`]+)`", row[-1])}
    for file in sorted((ROOT / "lib_multipass" / "host").glob("*.py")):
        if file.name != "features.py":
            assert named.isdisjoint(guarded_names(parse(file))), file.name
