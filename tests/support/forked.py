"""Programs started by a fork of a process that has imported torch and gradio already, which are most of a start.

What runs in the new process imports nothing of the tests.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

POSSIBLE = sys.platform == "linux"
IMPORTED = ("torch", "gradio", "safetensors.torch", "psutil")
OF_THE_TESTS = {Path(__file__).parents[1], Path(__file__).parents[2]}
"""Folders that a program started on its own does not import from."""


class Forked:
    """A running program, as far as it is like a ``subprocess.Popen``."""

    def __init__(self, program: Path, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        """
        Args:
            program: a Python file, which is run as ``__main__`` in its own folder.
            arguments: its command line.
            environment: all of its variables.
            log: a file for all that it prints.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*IMPORTED])
        self._process = context.Process(target=_run, args=(program, arguments, environment, log), daemon=True)
        with mock.patch.dict(os.environ, environment):  # the first one starts the process that is forked
            self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; TimeoutExpired after so many seconds."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout)
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def _run(program: Path, arguments: list[str], environment: dict[str, str], log: Path) -> None:
    gc.freeze()  # or the start looks through all of torch and gradio several times
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(program.parent)
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
            stream.reconfigure(encoding="utf-8", line_buffering=True)
    sys.argv = [str(program), *arguments]
    sys.path[:] = [path for path in sys.path if Path(path).absolute() not in OF_THE_TESTS]
    runpy.run_path(str(program), run_name="__main__")


def _end_with_the_tests() -> None:
    """However they end: they may be killed."""
    multiprocessing.parent_process().join()
    os._exit(1)
