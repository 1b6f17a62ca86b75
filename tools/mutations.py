"""Makes each change of the list of mutations in a copy of the repository and runs the tests that must notice it.

    python dev.py mutations [NAME ...] [--list]

The tests run at the default scale. The command fails if they let a change pass, if they are red without any, or if a
text of the list does not occur exactly once in its file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.mutation import Mutation
from tools.mutation_list import MUTATIONS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "lib_multipass"
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "outputs", "tmp", "*.log")
PASSED, FAILED = 0, 1
"""Exit codes of pytest: all green, some red. Any other says that it could not run them."""


def wrong_with(mutation: Mutation) -> list[str]:
    """What keeps a mutation from being made, a sentence each."""
    wrong = []
    path = ROOT / PACKAGE / mutation.file
    count = path.read_text(encoding="utf-8").count(mutation.text) if path.exists() else 0
    if count != 1:
        wrong.append(f"{mutation.name}: its text occurs {count} times in {PACKAGE}/{mutation.file}, not once.")
    if mutation.text == mutation.replacement:
        wrong.append(f"{mutation.name}: its replacement is its text.")
    for name in sorted({test.partition("::")[0] for test in mutation.tests}):
        found = len(list((ROOT / "tests").rglob(name)))
        if found != 1:
            wrong.append(f"{mutation.name}: {found} files below tests/ are called {name}, not one.")
    return wrong


def chosen(names: list[str]) -> list[Mutation]:
    """The mutations with these names, all if none is given."""
    unknown = sorted({*names} - {mutation.name for mutation in MUTATIONS})
    if unknown:
        raise SystemExit(f"No mutation is called {' or '.join(map(repr, unknown))}; --list shows all names.")
    return [mutation for mutation in MUTATIONS if mutation.name in names or not names]


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the repository, which goes with everything in it, however this ends."""
    with tempfile.TemporaryDirectory(prefix="multipass-mutations-") as folder:
        copy = Path(folder) / "repository"
        shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
        yield copy


@contextmanager
def mutated(mutation: Mutation, copy: Path) -> Iterator[None]:
    """The copy with this change in it."""
    path = copy / PACKAGE / mutation.file
    source = path.read_text(encoding="utf-8")
    path.write_text(source.replace(mutation.text, mutation.replacement), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(source, encoding="utf-8")


def run(tests: Iterable[str], copy: Path, *options: str) -> tuple[int, list[str]]:
    """pytest's exit code, and the ids of the tests that failed."""
    paths = []
    for test in tests:
        name, *rest = test.split("::")
        path = next((copy / "tests").rglob(name))
        paths.append("::".join([str(path.relative_to(copy)), *rest]))
    command = [sys.executable, "-m", "pytest", "-q", "--scale=small", "--tb=no", "-rfE", *options, *paths]
    # A compiled file of the source before could pass for that of the source after.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    lines = [line.split(" - ")[0] for line in done.stdout.splitlines()]
    red = [line.partition(" ")[2] for line in lines if line.startswith(("FAILED ", "ERROR "))]
    if done.returncode not in (PASSED, FAILED):
        print(done.stdout[-2000:], done.stderr[-2000:], sep="\n")
    return done.returncode, red


def try_out(mutation: Mutation, copy: Path) -> bool:
    """Make a mutation, run its tests and print what came of it; whether they noticed it."""
    began = time.monotonic()
    with mutated(mutation, copy):
        code, red = run(mutation.tests, copy, "-x")
    seconds = f"{time.monotonic() - began:.0f} s"
    killed = code == FAILED and bool(red)
    said = f"killed by {red[0]}" if killed else "SURVIVED" if code == PASSED else f"pytest ended with {code}"
    print(f"{mutation.name}: {said} ({seconds})", flush=True)
    return killed


def main(argv: list[str]) -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser(prog="dev.py mutations", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutations to make; all of them if none is named")
    parser.add_argument("--list", action="store_true", help="show the list and make none")
    given = parser.parse_args(argv)
    mutations = chosen(given.names)
    if given.list:
        for mutation in mutations:
            print(f"{mutation.name}: {PACKAGE}/{mutation.file}, {' '.join(mutation.tests)}")
        return 0
    wrong = [sentence for mutation in mutations for sentence in wrong_with(mutation)]
    if wrong:
        print(*wrong, sep="\n")
        return 1
    with copied() as copy:
        code, red = run(dict.fromkeys(test for mutation in mutations for test in mutation.tests), copy)
        if code != PASSED:
            print(f"The tests are not green without a mutation: {', '.join(red) or f'pytest ended with {code}'}.")
            return 1
        survived = [mutation.name for mutation in mutations if not try_out(mutation, copy)]
    print(f"{len(mutations) - len(survived)} of {len(mutations)} killed.")
    if survived:
        print(f"Not killed: {', '.join(survived)}.")
    return int(bool(survived))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
