"""What a mutation is, and where the tests are that notice most of them."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """A change of one file, and the tests of which at least one must be red then."""

    name: str
    file: str
    """Below ``lib_multipass``."""
    text: str
    """Occurs there once."""
    replacement: str
    tests: tuple[str, ...]
    """As pytest takes them, but by the name of the file alone, wherever it lies below ``tests``; with its folder where
    several have the name."""


AS_BEFORE, ROWS = "test_as_before.py::test_everything_is_as_before", "test_as_before.py"
UNDOING, HOOKS, ENDINGS = "test_undoing.py", "test_hooks.py", "test_endings.py"
SECOND, AT_ONCE, LENT = "hooks/test_second_pass.py", "test_reader_at_once.py", "hooks/test_lacking.py"
UNLOADING, PROGRESS = "test_unloading.py::test_nothing_is_left", "hooks/test_progress.py"
TAKEN_AGAIN = f"{ROWS}::test_a_step_that_fails_is_taken_again_at_the_next_end"
NEO = "test_neo.py"
LATER = f"{ROWS}::test_without_a_step_later_jobs_are_told_nothing"
