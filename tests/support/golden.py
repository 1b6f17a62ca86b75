"""The golden record: what jobs came to, and public names, in files that people can read, and how they are compared.

An entry has what was given and what came out; ``1.6.0`` holds what is different on such a host.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "hooks" / "golden"
KINDS = {"1.10.1": False, "1.6.0": True}
"""Whether the miniature is an old host, by what it behaves like."""
NAMES = "names"
WIDTH = 118


def read(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def write(name: str, record: dict[str, Any], folder: Path = FOLDER) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(text_of(record) + "\n", encoding="utf-8", newline="\n")
    return path


def text_of(value: Any, indent: int = 0) -> str:
    """JSON with sorted keys; what fits into a line stands in one."""
    line = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if indent + len(line) <= WIDTH or not isinstance(value, (dict, list)):
        return line
    inner = " " * (indent + 1)
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + text_of(one, indent + 1) for one in value) + f"\n{' ' * indent}]"
    entries = (
        f"{inner}{json.dumps(name, ensure_ascii=False)}: {text_of(value[name], indent + 1)}" for name in sorted(value)
    )
    return "{\n" + ",\n".join(entries) + f"\n{' ' * indent}}}"


def entry(given: dict[str, Any], came: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One case as it stands in the file.

    Args:
        given: what went in.
        came: what came out, by kind.
    """
    usual, old = came.values()
    differs = {name: old.get(name) for name in {**usual, **old} if usual.get(name) != old.get(name)}
    return {"given": given, "came": usual} | ({"1.6.0": differs} if differs else {})


def came(entry: dict[str, Any], kind: str) -> dict[str, Any]:
    """What came out on such a host, from the file."""
    whole = {**entry["came"], **entry.get(kind, {})}
    return {name: value for name, value in whole.items() if value is not None}


def differences(was: Any, now: Any, where: str = "") -> Iterator[str]:
    """A line for each value that is another one: where it is, what it was, what it is."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted({*was, *now}):
            yield from differences(was.get(name, ABSENT), now.get(name, ABSENT), f"{where} / {name}" if where else name)
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, both in enumerate(zip(was, now, strict=True)):
            yield from differences(*both, f"{where} [{number}]")
    elif was is not now and _shown(was) != _shown(now):  # 1, 1.0 and true are equal to Python
        yield f"{where}\n    was {_shown(was)}\n    is  {_shown(now)}"


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


def _shown(value: Any) -> str:
    return repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False)


def complaint(lines: list[str], most: int = 30) -> str:
    """What a failing test says."""
    more = [f"… and {len(lines) - most} more"] if len(lines) > most else []
    how = "If the change is meant, `python dev.py record` writes the record anew; look at its diff."
    return "\n".join([f"{len(lines)} values differ from tests/hooks/golden.", *lines[:most], *more, how])
