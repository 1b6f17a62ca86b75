"""The table of docs/webuis.md against the sources of real webuis, which are not imported."""

from __future__ import annotations

import re

from support.contract import parse
from support.contract_uses import guarded_names
from support.versions import table
from support.webuis import REPOSITORY

OF_FORKS = {"hr_cfg", "is_api"}
OF_ADETAILER = {"ADetailerArgs", "model_fields", "__fields__"}


def test_the_table_names_all_that_is_asked_for() -> None:
    _, rows = table()
    named = {name.rpartition(".")[2] for row in rows for name in re.findall("`([^`]+)`", row[-1])}
    asked = set(guarded_names(parse(REPOSITORY / "lib_multipass" / "webui" / "a1111" / "features.py")))
    assert asked - OF_ADETAILER - OF_FORKS <= named


def test_nobody_else_asks_for_what_the_table_names() -> None:
    _, rows = table()
    named = {name.rpartition(".")[2] for row in rows for name in re.findall("`([^`]+)`", row[-1])}
    for file in sorted((REPOSITORY / "lib_multipass").rglob("*.py")):
        if file.name != "features.py":
            assert named.isdisjoint(guarded_names(parse(file))), file.name
