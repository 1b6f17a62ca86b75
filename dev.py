"""Development commands; needs nothing but Python 3.10, 3.11 or 3.12.

    python dev.py test [--scale full | --all] [pytest arguments]
    python dev.py demo [--serve] [--out FILE] [--small FILE]
    python dev.py bench [hooks | headers | reader | memory | loop | pictures]
    python dev.py fuzz [args | headers | paste] [--executions N]
    python dev.py screenshots [--out FOLDER]
    python dev.py record [--out FOLDER]
    python dev.py mutations [NAME ...] [--list]
    python dev.py rooms [--write]

Each runs in .venv/, which is made on first use and brought up to date when requirements/ changes. Tests: a sample of
what comes in great numbers, at --scale full all of it, with --all everything, random sequences from new seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENV = ROOT / ".venv"
STAMP = ENV / "multipass.stamp"
PIP_LOG = ENV / "pip.log"
LOCK = ROOT / "requirements" / "lock.txt"
# What pip is asked for, in this order. ADetailer's own dependencies are of no use to the tests.
INSTALLS = {
    ROOT / "requirements" / "dev.txt": [],
    ROOT / "requirements" / "adetailer.txt": ["--no-deps"],
}
BENCHES = ("hooks", "headers", "reader", "memory", "loop", "pictures")
SCALES = ("small", "full", "all")
WORKERS = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")
OLDEST, NEWEST = (3, 10), (3, 12)
SOURCES = ("lib_multipass", "scripts", "tests", "tools", "dev.py", "install.py", "preload.py")
CHECKS = (
    ("-m", "ruff", "check", "."),
    ("-m", "ruff", "format", "--check", "."),
    ("-c", "from importlinter.cli import lint_imports_command as lint; lint(['--no-logo', '--no-cache'])"),
    ("-c", "import vermin; vermin.main()", "--quiet", "--violations", "--target=3.10-", *SOURCES),
)


class DevError(Exception):
    """A sentence for the person who ran the command."""


def check_interpreter(version: tuple[int, int] = sys.version_info[:2]) -> None:
    if not OLDEST <= version <= NEWEST:
        raise DevError(
            f"Python {version[0]}.{version[1]} cannot run the webui's libraries: "
            "run this command with Python 3.10, 3.11 or 3.12."
        )


def env_python(env: Path = ENV, os_name: str = os.name) -> Path:
    return env / "Scripts" / "python.exe" if os_name == "nt" else env / "bin" / "python"


def fingerprint() -> str:
    """Changes with the requirement files and with the interpreter's version."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for file in (LOCK, *INSTALLS):
        digest.update(file.read_text(encoding="utf-8").encode())
    return digest.hexdigest()


def env_matches_interpreter() -> bool:
    if not env_python().exists():
        return False
    code = "import sys; print(*sys.version_info[:2], sep='.')"
    found = subprocess.run([env_python(), "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() == f"{sys.version_info[0]}.{sys.version_info[1]}"


def make_env() -> None:
    try:
        venv.create(ENV, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DevError(
            f"The virtual environment {ENV} could not be made ({error}). On Debian and Ubuntu "
            "the package python3-venv is needed; otherwise delete that folder and try again."
        ) from error


def pip_install(requirements: Path, options: list[str]) -> None:
    command = [env_python(), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += [*options, "-r", requirements, "-c", LOCK]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        PIP_LOG.write_text(done.stdout, encoding="utf-8")
        troubles = [line for line in done.stdout.splitlines() if line.startswith(("ERROR", "WARNING: Retrying"))]
        print(*troubles[-4:], sep="\n", file=sys.stderr)
        raise DevError(
            f"pip could not install requirements/{requirements.name} (all it said is in {PIP_LOG}). Check the "
            "connection to the package index and the free disk space, then run the command again."
        )


def ensure_env() -> None:
    wanted = fingerprint()
    if env_python().exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted:
        return
    print(
        "Preparing .venv: pip downloads and installs torch, gradio and the tools. That takes one to three minutes, "
        "longer where torch brings its CUDA packages.",
        flush=True,
    )
    if not env_matches_interpreter():
        make_env()
    STAMP.unlink(missing_ok=True)
    for step, (requirements, options) in enumerate(INSTALLS.items(), 1):
        print(f"  {step} of {len(INSTALLS)}: requirements/{requirements.name}", flush=True)
        pip_install(requirements, options)
    STAMP.write_text(wanted, encoding="utf-8")


def run(*arguments: str | Path) -> int:
    """Runs the environment's Python; gradio neither reports home nor asks for newer versions, and no process compiles
    what another has compiled."""
    quiet = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    compiled = {"PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.Popen([env_python(), *arguments], env={**quiet, **os.environ, **compiled}).wait()


def tool(name: str, arguments: list[str]) -> int:
    """Runs a file of ``tools/``, which imports the product and the tests' support."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return run(ROOT / "tools" / f"{name}.py", *arguments)


def test(arguments: list[str]) -> int:
    os.chdir(ROOT)
    failed = [run(*check) for check in CHECKS]
    return run("-m", "pytest", "-q", *pytest_arguments(arguments)) or max(failed)


def pytest_arguments(arguments: list[str]) -> list[str]:
    """What pytest is told; with nothing but a scale it runs all files, in two processes."""
    told = ["--scale=all" if argument == "--all" else argument for argument in arguments]
    whole = all(argument.startswith("--scale") or argument in SCALES for argument in told)
    return [*WORKERS, *told] if whole else told


def demo(arguments: list[str]) -> int:
    return tool("demo", arguments)


def bench(arguments: list[str]) -> int:
    what = arguments[:1] or [BENCHES[0]]
    if what[0] not in BENCHES:
        raise DevError(f"bench measures one of {', '.join(BENCHES)}, not {what[0]!r}.")
    return tool(f"bench_{what[0]}", arguments[1:])


def fuzz(arguments: list[str]) -> int:
    return tool("fuzz", arguments)


def screenshots(arguments: list[str]) -> int:
    return tool("screenshots", arguments)


def record(arguments: list[str]) -> int:
    return tool("record", arguments)


def mutations(arguments: list[str]) -> int:
    os.chdir(ROOT)
    return run("-m", "tools.mutations", *arguments)


def rooms(arguments: list[str]) -> int:
    return tool("rooms", arguments)


def parse(argv: list[str]) -> tuple[str, list[str]]:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("command", choices=tuple(COMMANDS))
    return parser.parse_args(argv[:1]).command, argv[1:]


COMMANDS = {
    "test": test,
    "demo": demo,
    "bench": bench,
    "fuzz": fuzz,
    "screenshots": screenshots,
    "record": record,
    "mutations": mutations,
    "rooms": rooms,
}


def main(argv: list[str]) -> int:
    command, arguments = parse(argv)
    try:
        check_interpreter()
        ensure_env()
        return COMMANDS[command](arguments)
    except DevError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
