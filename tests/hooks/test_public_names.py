"""The names by which users, clients and other extensions know Multipass are those on record.

``python dev.py record`` writes them.
"""

from __future__ import annotations

import json

import pytest

from support import golden


@pytest.fixture
def names(host, monkeypatch) -> dict:
    from support.golden_names import names_of

    host.run(host.job())
    monkeypatch.setattr(host.scripts.scripts_txt2img, "infotext_fields", [])  # of pages that were built before
    return json.loads(json.dumps(names_of(host)))


def test_they_are_as_recorded(names) -> None:
    lines = list(golden.differences(golden.read(golden.NAMES), names))
    assert not lines, golden.complaint(lines)


def test_every_kind_of_name_is_there(names) -> None:
    counts = {kind: len(known) for kind, known in names.items() if isinstance(known, (list, dict))}
    assert counts["arguments"] == len(names["script-info"]["args"]) == 9
    assert counts["panel"] > counts["arguments"]
    assert counts["flags"] == 4
    assert counts["axes"] == 5
    assert len(names["endpoints"]["paths"]) == 4
    assert all(name.startswith("multipass_") for name in names["settings"])
