"""Draws which room of the product imports which, from its sources.

    python dev.py rooms [--write]

``--write`` puts the drawing into docs/architecture.md.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lib_multipass"
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- made by: python dev.py rooms --write -->\n", "<!-- end -->\n"


def imports() -> dict[str, set[str]]:
    """By room, the rooms that it imports; a family of webuis counts as a room of its own."""
    found = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE.name:
                names = [node.module.split(".")[1:]]
                if names == [[]]:
                    names = [[alias.name] for alias in node.names if (PACKAGE / f"{alias.name}.py").exists()]
                found[room(inside)] |= {room(tuple(name)) for name in names}
    return {name: others - {name} for name, others in found.items()}


def room(inside: tuple[str, ...]) -> str:
    """The room of a module, given the parts of its name below the package."""
    if inside[:1] == ("webui",) and len(inside) > 1 and (PACKAGE / "webui" / inside[1]).is_dir():
        return f"webui/{inside[1]}"
    return inside[0]


def floors(graph: dict[str, set[str]]) -> list[list[str]]:
    """The rooms by floors: each imports those below it alone."""
    left, below, found = set(graph) | set().union(*graph.values()), set(), []
    while left:
        floor = sorted(name for name in left if not graph.get(name, set()) - below)
        if not floor:
            raise ValueError(f"these rooms import each other: {', '.join(sorted(left))}")
        found.insert(0, floor)
        below |= set(floor)
        left -= set(floor)
    return found


def drawing() -> str:
    """The floors from the top, a line for each room with what it imports."""
    graph = imports()
    lines = []
    for floor in floors(graph):
        lines += [
            "",
            *(f"{name:<14}→ {', '.join(sorted(graph.get(name, set()))) or 'nothing of ours'}" for name in floor),
        ]
    return "```\n" + "\n".join(lines[1:]) + "\n```\n"


def main(argv: list[str]) -> int:
    """Run the command; its exit code."""
    if "--write" not in argv:
        print(drawing(), end="")
        return 0
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    DOCUMENT.write_text(before + BEGIN + drawing() + END + rest.split(END)[1], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
