"""Hostile input for what reads arguments, checkpoint files' headers and infotexts, guided by what it reaches there.

    python dev.py fuzz [args | headers | paste] [--executions N] [--seed N]
    python dev.py fuzz args --replay FILE

Without a name, all three. It ends at the first input that breaks a rule, saves it, and exits with 1: no exception but
the one that is documented, at most 100 ms of processor time, at most 10 MB allocated at once. The time is taken of
every execution. Allocations are traced (tracemalloc) in every 64th, and in each that makes the process larger than it
ever was. Needs atheris, which exists for Python 3.11 and 3.12 on 64-bit Linux on Intel and AMD; a replay does not.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.fuzz_watch import ViolationError, Watch  # noqa: E402

NAMES = ("args", "headers", "paste")
FOUND = ROOT / ".cache" / "fuzz"
EXECUTIONS = 100_000
LONGEST_INPUT = 4096
MISSING = (
    "The fuzzer needs atheris, which cannot be imported here ({error}); it exists for Python 3.11 and 3.12 on 64-bit "
    "Linux on Intel and AMD."
)


def main(argv: list[str]) -> int:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__, formatter_class=layout)
    parser.add_argument("target", nargs="?", choices=NAMES)
    parser.add_argument("--executions", type=int, default=EXECUTIONS)
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="execute one saved input")
    given = parser.parse_args(argv)
    if given.replay:
        if given.target is None:
            parser.error("a replay needs the name of its target")
        return replay(given.target, given.replay)
    try:
        import atheris
    except ImportError as error:
        print(MISSING.format(error=error), file=sys.stderr)
        return 2
    if given.target is None:
        return max(_alone(name, given) for name in NAMES)
    with atheris.instrument_imports(include=["lib_multipass"]):
        targets = importlib.import_module("support.fuzz_targets")
    return fuzz(atheris, targets, given)


def _alone(name: str, given: argparse.Namespace) -> int:
    """A target in a process of its own, as libFuzzer wants it."""
    options = ["--executions", str(given.executions), "--seed", str(given.seed)]
    return subprocess.run([sys.executable, __file__, name, *options], check=False).returncode


def fuzz(atheris: object, targets: object, given: argparse.Namespace) -> int:
    """Execute a target until the number is reached; this ends the process, since libFuzzer never comes back."""
    watch = Watch(given.target, targets.TARGETS[given.target], FOUND)

    def leave(status: int, text: str) -> None:
        print(text, flush=True)
        targets.clean()
        shutil.rmtree(corpus, ignore_errors=True)
        os._exit(status)

    def once(data: bytes) -> None:
        try:
            watch.execute(data)
        except ViolationError as error:
            leave(1, f"{watch}\n{error}")
        if watch.executions >= given.executions:
            leave(0, str(watch))

    FOUND.mkdir(parents=True, exist_ok=True)
    corpus = Path(tempfile.mkdtemp(prefix="multipass-fuzz-"))
    for number, seed in enumerate(targets.seeds(given.target)):
        (corpus / str(number)).write_bytes(seed)
    options = [
        f"-max_len={LONGEST_INPUT}",
        f"-seed={given.seed}",
        "-verbosity=0",
        "-print_final_stats=0",
        "-timeout=60",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={FOUND}{os.sep}", str(corpus)], once)
    atheris.Fuzz()
    return 1


def replay(name: str, path: Path) -> int:
    """Execute one saved input."""
    targets = importlib.import_module("support.fuzz_targets")
    watch = Watch(name, targets.TARGETS[name], FOUND)
    try:
        watch.execute(path.read_bytes())
    except ViolationError as error:
        print(error)
        return 1
    finally:
        print(watch)
        targets.clean()
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
