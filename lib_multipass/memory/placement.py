"""Where each checkpoint of a job is kept between its passes: in VRAM, in RAM, or nowhere.

What the webui can be made to do (``reuse_model_from_already_loaded`` in ``modules/sd_models.py``, 1.6.0 to 1.10.1): of
the loaded models one is active and on the device; when another takes its turn, it is parked where it lies or in RAM, or
its place is taken and it has to be loaded again. Everything here is arithmetic over bytes; nothing is moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from lib_multipass.memory.room import DISK, RAM, VRAM, Memory, Model, Room
from lib_multipass.words import size_text

AUTOMATIC, IN_VRAM, IN_RAM, AS_SET = "Automatic", "In VRAM", "In RAM", "As the webui is set"
WISHES = (AUTOMATIC, IN_VRAM, IN_RAM, AS_SET)
"""What a user may wish, the least binding first."""

MOST = 8
"""Checkpoints of one job that can be kept: every assignment is tried, of which there are 3 to the power of this."""


@dataclass(frozen=True)
class Cap:
    """The most that may be kept after an earlier job ran out of memory."""

    vram: bool = True
    """Whether anything may be parked in VRAM; False after the device's memory ran out."""
    count: int = MOST
    """How many checkpoints may be kept in RAM; fewer after the computer's memory ran out."""


@dataclass(frozen=True)
class Lack:
    """What earlier jobs with the same checkpoints ran out of."""

    estimate: int | None = None
    """From jobs with this estimate on, nothing may be parked in VRAM; None if the device's memory was enough."""
    count: int = MOST
    """How many may be kept in RAM."""

    def cap(self, estimate: int) -> Cap:
        """What it means for a job with this estimate."""
        return Cap(vram=self.estimate is None or estimate < self.estimate, count=self.count)


@dataclass(frozen=True)
class Decision:
    """Where everything goes."""

    places: Mapping[str, str]
    """Place of each of the job's checkpoints, by file name."""
    others: tuple[str, ...] = ()
    """File names of loaded checkpoints that the job does not need and that may stay as they are."""
    reason: str = ""
    """Why, in words, if something is not kept in the best place."""
    vram: int = 0
    """Bytes of VRAM that the checkpoints take at most."""
    ram: int = 0
    """Bytes of RAM that they take at most."""
    names: Mapping[str, str] = field(default_factory=dict)
    homes: bool = False
    """Whether what waits in RAM is moved by us: *Fast swaps*."""

    @property
    def kept(self) -> list[str]:
        """File names of the job's checkpoints that stay loaded."""
        return [file for file, place in self.places.items() if place != DISK]

    def at(self, place: str) -> list[str]:
        """File names of the job's checkpoints that are to be in this place."""
        return [file for file, chosen in self.places.items() if chosen == place]


def decide(
    models: Sequence[Model],
    memory: Memory,
    wish: str,
    *,
    cap: Cap = Cap(),
    others: Sequence[Model] = (),
    most_others: int = 0,
) -> Decision:
    """Place a job's checkpoints.

    As many as possible are kept, as many as possible of these in VRAM; where there is a choice, those that are used
    most often for each byte, then the larger ones. In VRAM the parked ones, the largest of the rest, which takes its
    turn there, and the reserve have to fit into what is free with all of them away. In RAM all that wait there have to
    fit, together with what an active one takes of it: all of it without VRAM or if it is split, copies for LoRAs, and
    its file while it is loaded.

    Args:
        models: the job's checkpoints, each once.
        memory: what is free now, with everything lying where it lies.
        wish: ``AUTOMATIC``, ``IN_VRAM`` or ``IN_RAM``, the most that the user allows.
        cap: what an earlier lack of memory allows.
        others: loaded checkpoints that the job does not need, the most recently used first.
        most_others: how many of them the user's own settings keep.
    """
    room = Room(models, memory, others)
    rated = sorted(models, key=lambda model: (-model.uses, model.size, model.file))
    best = max(_assignments(rated, room, wish, cap), key=_worth)
    places = {model.file: best[model] for model in models}
    vram_allowed = wish != IN_RAM and cap.vram
    staying = tuple(_staying(best, room, [m for m in others[:most_others] if vram_allowed or m.place != VRAM]))
    vram, ram = room.needs(best)
    names = {model.file: model.name for model in models}
    return Decision(places, staying, _reason(best, room, wish, cap), vram, ram, names, memory.homes)


def _assignments(models: Sequence[Model], room: Room, wish: str, cap: Cap) -> Iterator[dict[Model, str]]:
    """All that fit, the best ones for a job with enough memory first."""
    vram = room.vram is not None and wish != IN_RAM and cap.vram
    choices = [
        (DISK,) if n >= MOST else (VRAM, RAM, DISK) if vram and not model.split else (RAM, DISK)
        for n, model in enumerate(models)
    ]
    for places in product(*choices):
        assignment = dict(zip(models, places, strict=True))
        if places.count(RAM) <= cap.count and room.holds(assignment):
            yield assignment
            if all(place == choice[0] for place, choice in zip(places, choices, strict=True)):
                return


def _worth(assignment: Mapping[Model, str]) -> tuple[int, ...]:
    kept = [model for model, place in assignment.items() if place != DISK]
    fast = [model for model, place in assignment.items() if place == VRAM]
    return (len(kept), len(fast), *_pay(kept), *_pay(fast))


def _pay(models: Iterable[Model]) -> tuple[int, int]:
    models = list(models)
    return sum(model.uses for model in models), sum(model.uses * model.size for model in models)


def _staying(best: Mapping[Model, str], room: Room, others: Sequence[Model]) -> Iterator[str]:
    """Others that may stay where they are, at nobody's cost."""
    taken = (0, 0)
    for model in others:
        wanted = (taken[0] + model.size * (model.place == VRAM), taken[1] + model.size * (model.place == RAM))
        if DISK not in best.values() and room.holds(best, wanted):
            taken = wanted
            yield model.file


def _reason(best: Mapping[Model, str], room: Room, wish: str, cap: Cap) -> str:
    """One sentence about what is not kept at all, else about what is not kept in VRAM; empty if all is in VRAM."""
    left_out = [model for model, place in best.items() if place == DISK]
    if left_out:
        return f"{_names(left_out)} will be loaded every time: {_lack(room, cap, len(best))}."
    parked = [model for model, place in best.items() if place == RAM]
    if not parked or room.vram is None:
        return ""
    if wish == IN_RAM:
        return ""
    if not cap.vram:
        return "They wait in RAM: an earlier job with them, and with pictures as large or smaller, ran out of VRAM."
    if all(model.split for model in parked):
        return "The webui is started with --medvram or --lowvram and places their parts itself."
    free = max(0, room.vram)
    return f"{_names(parked)} will wait in RAM: {size_text(free)} of VRAM can be planned with beside the pictures."


def _lack(room: Room, cap: Cap, count: int) -> str:
    if cap.count < count:
        return "an earlier job with these ran out of RAM"
    if room.ram is None:
        return "how much memory is free cannot be told"
    return f"{size_text(max(0, room.ram))} of RAM can be planned with, {size_text(room.memory.ram_reserve)} stay free"


def _names(models: Iterable[Model]) -> str:
    names = [model.name for model in models]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
