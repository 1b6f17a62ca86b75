"""The door: every family of webuis has all rooms and operations, alike, and nobody uses any that is not documented."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_multipass.webui.base import ROOMS, SLOTS, WITHIN, Host
from support.webuis import REPOSITORY

PACKAGE = REPOSITORY / "lib_multipass"
WEBUI = PACKAGE / "webui"
WHOLE = [folder for folder in sorted(WEBUI.iterdir()) if (folder / "family.py").exists() and folder.name != "none"]
"""The families that Multipass works in."""


EVERYTHING = {room: {**ROOMS.get(room, {}), **WITHIN.get(room, {})} for room in {**ROOMS, **WITHIN}}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def rooms_of(family: Path) -> dict[str, list[Path]]:
    """The files of each room that a family names, the one that is asked first first; some are another family's."""
    found: dict[str, list[Path]] = {}
    for node in parsed(family / "family.py").body:
        if isinstance(node, ast.ImportFrom) and node.module != "lib_multipass.webui.over":
            folder = REPOSITORY.joinpath(*node.module.split("."))
            found |= {alias.asname or alias.name: [folder / f"{alias.name}.py"] for alias in node.names}
        elif isinstance(node, ast.Assign):
            found[node.targets[0].id] = [found[argument.id][0] for argument in node.value.args]
    return {room: files for room, files in found.items() if room in EVERYTHING}


def defined(path: Path) -> dict[str, list[str] | None]:
    """What a module defines or imports: the parameters of functions, None for anything else."""
    found: dict[str, list[str] | None] = {}
    for node in parsed(path).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]
        elif isinstance(node, ast.ClassDef):
            found[node.name] = None
        elif isinstance(node, ast.ImportFrom):
            found |= dict.fromkeys(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            names = (name for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name))
            found |= dict.fromkeys(name.id for name in names)
    return found


def all_defined(paths: list[Path]) -> dict[str, list[str] | None]:
    """What a room has whose files are asked in this order."""
    return {name: parameters for path in reversed(paths) for name, parameters in defined(path).items()}


@pytest.mark.parametrize("family", WHOLE, ids=lambda family: family.name)
def test_a_family_has_every_room(family: Path) -> None:
    assert set(rooms_of(family)) == set(EVERYTHING)


@pytest.mark.parametrize("family", WHOLE, ids=lambda family: family.name)
@pytest.mark.parametrize("room", sorted(EVERYTHING))
def test_a_room_has_every_operation(family: Path, room: str) -> None:
    assert set(EVERYTHING[room]) - set(all_defined(rooms_of(family)[room])) == set()


@pytest.mark.parametrize("family", [*WHOLE, WEBUI / "none"], ids=lambda family: family.name)
def test_operations_are_called_alike(family: Path) -> None:
    """As those of the first family."""
    first = rooms_of(WEBUI / "a1111")
    for room, paths in rooms_of(family).items():
        ours, theirs = all_defined(first[room]), all_defined(paths)
        for operation in set(EVERYTHING[room]) & set(theirs):
            assert len(theirs[operation] or []) == len(ours[operation] or []), f"{room}.{operation}"


def used() -> Iterator[tuple[bool, str, str]]:
    """Every use of the door: whether from within a family, the room and the operation."""
    return ((path.is_relative_to(WEBUI), room, operation) for path, room, operation in used_by())


def used_by() -> Iterator[tuple[Path, str, str]]:
    """Every use of the door: the file, the room and the operation."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(parsed(path)):
            inner = node.value if isinstance(node, ast.Attribute) else None
            if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == "host":
                yield path, inner.attr, node.attr


def listed(table: dict[str, dict[str, str]]) -> set[tuple[str, str]]:
    return {(room, operation) for room, operations in table.items() for operation in operations}


def test_what_is_used_is_documented_and_what_is_documented_is_used() -> None:
    outside = {(room, operation) for within, room, operation in used() if not within}
    within = {(room, operation) for within, room, operation in used() if within}
    assert outside == listed(ROOMS)
    assert within - outside == listed(WITHIN)


def test_what_rooms_ask_of_each_other_differs_between_families() -> None:
    """What does not is imported by those of its own family, for which the door would be a detour."""
    alike, uses = set(), [*used_by()]
    for room, operation in listed(WITHIN):
        files = {path for family in WHOLE for path in rooms_of(family)[room] if operation in defined(path)}
        users = {path.parent for path, *asked in uses if asked == [room, operation]}
        if len(files) == 1 and users <= {file.parent for file in files}:
            alike.add(f"{room}.{operation}")
    assert alike == set()


def test_every_slot_is_bound() -> None:
    bound = next(
        node
        for node in ast.walk(parsed(PACKAGE / "start.py"))
        if isinstance(node, ast.FunctionDef) and node.name == "wrappers"
    )
    names = {key.value for node in ast.walk(bound) if isinstance(node, ast.Dict) for key in node.keys}
    assert names == set(SLOTS)


def test_a_room_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="has no kitchen"):
        Host().kitchen  # noqa: B018 - the look itself is what is tried
