"""Jobs come to what they came to before: the golden record, which ``python dev.py record`` writes.

It is read and played through what a webui sees alone, so that it holds whatever Multipass looks like inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from support import golden, golden_files
from support.golden_cases import FIELDS, groups
from support.golden_plain import finite

if TYPE_CHECKING:
    from support.golden_host import Player

GROUPS = groups()


@pytest.fixture(scope="module", params=golden.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """What the miniature behaves like."""
    return request.param


@pytest.fixture(scope="module")
def player(host, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    """Plays cases on the miniature; afterwards it is as any other test finds it."""
    import mini

    from support.golden_host import Player

    folder = tmp_path_factory.mktemp("golden")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini, "old_host", golden.KINDS[kind])
        with golden_files.among(host, folder):
            made = Player(host, patch)
            yield made
            made.leave()


@pytest.mark.in_turn
@pytest.mark.parametrize("group", GROUPS)
def test_jobs_come_to_what_they_came_to(player: Player, kind: str, group: str) -> None:
    record, lines = golden.read(group), []
    for name, case in GROUPS[group].items():
        was = golden.came(record[name], kind) if name in record else golden.ABSENT
        lines += golden.differences(was, player.play(case), name)
    assert not lines, golden.complaint(lines)


@pytest.mark.parametrize("group", GROUPS)
def test_the_record_holds_these_cases(group: str) -> None:
    given = {name: entry["given"] for name, entry in golden.read(group).items()}
    lines = list(golden.differences(given, {name: finite(case.given()) for name, case in GROUPS[group].items()}))
    assert not lines, golden.complaint(lines)


def test_the_cases_know_all_fields(host) -> None:
    ids = [control.elem_id.removeprefix("script_multipass_") for control in host.script().controls]
    assert [elem_id.removesuffix("-checkbox") for elem_id in ids] == list(FIELDS)


WAS = {"a": {"plan": {"warnings": ["one"]}, "comments": ["x", "y"]}, "b": {"pictures": 1}}
NOW = {"a": {"plan": {"warnings": ["two"]}, "comments": ["x"]}, "b": {"pictures": True}}


def test_a_difference_is_named_by_case_and_field() -> None:
    assert list(golden.differences(WAS, NOW)) == [
        'a / comments\n    was ["x", "y"]\n    is  ["x"]',
        'a / plan / warnings [0]\n    was "one"\n    is  "two"',
        "b / pictures\n    was 1\n    is  true",
    ]
    assert list(golden.differences(WAS, {"a": WAS["a"]})) == ['b\n    was {"pictures": 1}\n    is  absent']
    assert list(golden.differences(WAS, WAS)) == []


def test_what_is_written_is_read_again(tmp_path) -> None:
    same, other = {"plan": ["x" * 200, 1.5, None], "comments": []}, {"plan": ["y"], "loaded": 3}
    entry = golden.entry({"args": {}}, {"1.10.1": same, "1.6.0": other})
    golden.write("cases", {"case": entry}, tmp_path)
    (read,) = golden.read("cases", tmp_path).values()
    assert golden.came(read, "1.10.1") == same
    assert golden.came(read, "1.6.0") == other
