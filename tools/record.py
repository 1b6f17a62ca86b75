"""Writes the golden record: what jobs come to and what names are public, as they are now.

    python dev.py record [--out FOLDER]

Without a folder it goes to ``tests/hooks/golden``, where tests compare with it. Look at the diff before you commit it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

import pytest

from support import golden, golden_files
from support.golden_cases import groups
from support.golden_host import Player
from support.golden_names import names_of
from support.golden_plain import finite
from support.inprocess import start_miniature


def came_of(host, folder: Path) -> dict[str, dict[str, dict]]:
    """What came of every case, by group, case and kind of host."""
    import mini

    found = {group: {name: {} for name in cases} for group, cases in groups().items()}
    with golden_files.among(host, folder), pytest.MonkeyPatch.context() as patch:
        for kind, old in golden.KINDS.items():
            patch.setattr(mini, "old_host", old)
            player = Player(host, patch)
            for group, cases in groups().items():
                for name, case in cases.items():
                    found[group][name][kind] = player.play(case)
    return found


def record(folder: Path) -> dict[str, dict]:
    """The contents of all files."""
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        host = start_miniature(folder / "webui")
        names, found, known = names_of(host), came_of(host, folder), groups()
        given = {group: {name: finite(case.given()) for name, case in cases.items()} for group, cases in known.items()}
    cases = {
        group: {name: golden.entry(given[group][name], came) for name, came in entries.items()}
        for group, entries in found.items()
    }
    return {**cases, golden.NAMES: names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=golden.FOLDER, metavar="FOLDER")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory(prefix="multipass-record-", ignore_cleanup_errors=True) as folder:
        for name, entries in record(Path(folder)).items():
            path = golden.write(name, entries, out)
            print(f"{path}: {len(entries)} entries, {path.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
