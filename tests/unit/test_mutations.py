"""The list of mutations: all can be made, what is undone in a ``finally`` is among them, and survivors are told."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tools import mutations
from tools.mutation import Mutation
from tools.mutation_list import MUTATIONS

PACKAGE = mutations.ROOT / mutations.PACKAGE


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_it_can_be_made(mutation: Mutation) -> None:
    assert mutations.wrong_with(mutation) == []
    ast.parse((PACKAGE / mutation.file).read_text(encoding="utf-8").replace(mutation.text, mutation.replacement))


def test_each_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(mutation.name for mutation in MUTATIONS).items() if count > 1] == []


def finals(path: Path) -> list[tuple[int, int]]:
    """The first and the last line of what each ``finally`` of a file does."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    found = [node.finalbody for node in nodes if isinstance(node, ast.Try) and node.finalbody]
    return [(body[0].lineno, body[-1].end_lineno) for body in found]


def lines_of(mutation: Mutation) -> set[int]:
    before, text = (PACKAGE / mutation.file).read_text(encoding="utf-8").partition(mutation.text)[:2]
    first = before.count("\n") + 1
    return {*range(first, first + len(text.rstrip("\n").split("\n")))}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_what_is_undone_in_a_finally_is_in_the_list(path: Path) -> None:
    file = path.relative_to(PACKAGE).as_posix()
    touched = set().union(*(lines_of(mutation) for mutation in MUTATIONS if mutation.file == file))
    missing = [lines for lines in finals(path) if not touched & {*range(lines[0], lines[1] + 1)}]
    assert missing == []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small one in place of ours."""
    root = tmp_path / "project"
    for folder in ("lib_multipass", "tests/deep"):
        (root / folder).mkdir(parents=True)
    (root / "lib_multipass" / "sum.py").write_text("def add(a, b):\n    return a + b\n\n\nSPARE = 1\n")
    (root / "tests" / "conftest.py").write_text("def pytest_addoption(parser):\n    parser.addoption('--scale')\n")
    test = "from lib_multipass.sum import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    (root / "tests" / "deep" / "test_sum.py").write_text(test)
    (root / "tests" / "test_twice.py").write_text("")
    (root / "tests" / "deep" / "test_twice.py").write_text(test)
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['.']\n")
    monkeypatch.setattr(mutations, "ROOT", root)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return root


KILLED = Mutation("killed", "sum.py", "a + b", "a - b", ("test_sum.py::test_add",))
IN_A_FOLDER = Mutation("in-a-folder", "sum.py", "a + b", "a - b", ("deep/test_twice.py",))
UNCLEAR = Mutation("unclear", "sum.py", "a + b", "a - b", ("test_twice.py",))
SURVIVES = Mutation("survives", "sum.py", "SPARE = 1", "SPARE = 2", ("test_sum.py",))
BROKEN = Mutation("broken", "sum.py", "SPARE = 1", "SPARE = ", ("test_sum.py",))
GONE = Mutation("gone", "sum.py", "a * b", "a", ("test_sum.py", "test_nowhere.py"))


@pytest.mark.parametrize(
    ("listed", "code", "said"),
    [
        ([KILLED], 0, ["killed: killed by tests/deep/test_sum.py::test_add", "1 of 1 killed."]),
        (
            [SURVIVES, KILLED, BROKEN],
            1,
            ["survives: SURVIVED", "broken: pytest ended with 2", "1 of 3 killed.", "Not killed: survives, broken."],
        ),
        ([IN_A_FOLDER], 0, ["in-a-folder: killed by tests/deep/test_twice.py::test_add", "1 of 1 killed."]),
        ([UNCLEAR], 1, ["unclear: 2 files below tests/ are called test_twice.py, not one."]),
        ([GONE], 1, ["gone: its text occurs 0 times in lib_multipass/sum.py", "0 files below tests/ are called"]),
    ],
    ids=["killed", "survives", "in a folder", "unclear", "gone"],
)
def test_what_becomes_of_a_mutation(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    listed: list[Mutation],
    code: int,
    said: list[str],
) -> None:
    monkeypatch.setattr(mutations, "MUTATIONS", listed)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert mutations.main([]) == code
    printed = capsys.readouterr().out
    assert [sentence for sentence in said if sentence not in printed] == []
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_tests_that_are_red_without_a_mutation_prove_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (project / "tests" / "deep" / "test_sum.py").write_text("def test_add():\n    assert False\n")
    monkeypatch.setattr(mutations, "MUTATIONS", [KILLED])
    assert mutations.main([]) == 1
    assert "not green without a mutation: tests/deep/test_sum.py::test_add" in capsys.readouterr().out
