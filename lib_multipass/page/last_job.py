"""What went on in the last job, folded in one line of the panel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from html import escape

from lib_multipass.plan.forecast import FACES, FIRST, SECOND
from lib_multipass.plan.report import Journal
from lib_multipass.words import count_text

ROLES = (FIRST, SECOND, FACES)


def told(journal: Journal | None) -> str:
    """The line with what it folds out; empty before the first job."""
    if journal is None:
        return ""
    lines = "".join(_line(*row) for row in rows(journal))
    return f"<details><summary>Last job: {escape(journal.summary())}</summary><table>{lines}</table></details>"


def _line(what: str, checkpoint: str, took: str) -> str:
    return f'<tr><th scope="row">{escape(what)}</th><td>{escape(checkpoint)}</td><td>{escape(took)}</td></tr>'


def rows(journal: Journal) -> Iterator[tuple[str, str, str]]:
    """What was done, by which checkpoint, and in what time: passes, then swaps, then the rest."""
    passes = sorted(journal.passes, key=lambda made: ROLES.index(made.role))  # the second one ends within the first
    for (role, name), seconds in _grouped(((made.role, made.checkpoint), made.seconds) for made in passes):
        yield role.capitalize(), name, _times(seconds)
    for what, times in Counter(journal.not_again).items():
        yield what.capitalize(), "", "not made again" if times == 1 else f"{times} × not made again"
    loads = dict(_grouped((swap.checkpoint, swap.disk_loads) for swap in journal.swaps))
    for name, seconds in _grouped((swap.checkpoint, swap.seconds) for swap in journal.swaps):
        read = sum(loads[name])
        source = f"{count_text(read, 'load')} from disk" if read else "was in memory"
        yield "Swap", name, f"{_times(seconds)}, {source}"
    told = sum(made.seconds for made in journal.passes) + sum(swap.seconds for swap in journal.swaps)
    yield "Everything else", "", f"{max(0, journal.seconds - told):.2f} s"


def _grouped(values: Iterable[tuple[Hashable, float]]) -> Iterable[tuple]:
    """What belongs to each key, in the order in which the keys came up."""
    found: dict = {}
    for key, value in values:
        found.setdefault(key, []).append(value)
    return found.items()


def _times(seconds: list[float]) -> str:
    """``2 × 3.10 s`` or ``3.10 s``, on average."""
    each = f"{sum(seconds) / len(seconds):.2f} s"
    return each if len(seconds) == 1 else f"{len(seconds)} × {each}"
