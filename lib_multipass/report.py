"""The console line of a finished job: which checkpoint made each pass, and what the swaps cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lib_multipass.plan import Plan


@dataclass(frozen=True)
class Swap:
    """One change of the active checkpoint: to which, how many seconds it took, how many files were read for it."""

    checkpoint: str
    seconds: float
    disk_loads: int


@dataclass
class Journal:
    """The swaps of one job, in order."""

    base_file: str
    """File name of the checkpoint that makes the first pass."""
    swaps: list[Swap] = field(default_factory=list)

    def line(self, plan: Plan, faces: Iterable[str], kept: Sequence[int]) -> str:
        """One line for the console.

        Args:
            plan: the job's plan.
            faces: names of the checkpoints that ADetailer's enabled tabs ran on.
            kept: bytes of each checkpoint that stays loaded.
        """
        passes = [f"pass 1 {plan.base.name_for_extra}", f"pass 2 {plan.second.name_for_extra}"]
        names = list(dict.fromkeys(faces))
        passes += [f"faces {', '.join(names)}"] if names else []
        loads = sum(swap.disk_loads for swap in self.swaps)
        memory = f"keeping {_count(len(kept), 'checkpoint')}, about {_size(sum(kept))}"
        return f"{' → '.join(passes)} — {self._swaps()}, {_count(loads, 'load')} from disk, {memory}"

    def _swaps(self) -> str:
        if not self.swaps:
            return "no swap"
        seconds: dict[str, list[float]] = {}
        for swap in self.swaps:
            seconds.setdefault(swap.checkpoint, []).append(swap.seconds)
        parts = [f"{name} {_times(taken)}{sum(taken) / len(taken):.2f} s" for name, taken in seconds.items()]
        return f"{_count(len(self.swaps), 'swap')} (to {', to '.join(parts)})"


def _times(taken: list[float]) -> str:
    return f"{len(taken)} × " if len(taken) > 1 else ""


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
