"""The table of webui versions in docs/webuis.md."""

from __future__ import annotations

from support.webuis import REPOSITORY


def table() -> tuple[list[str], list[list[str]]]:
    """The versions, and the rows of the table."""
    text = (REPOSITORY / "docs" / "webuis.md").read_text(encoding="utf-8")
    lines = text.partition("\n## Webui versions\n")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[0][1:-1], rows[2:]
