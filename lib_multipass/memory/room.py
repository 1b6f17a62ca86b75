"""What a job's checkpoints take of the memory, given where each of them is kept between its passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VRAM, RAM, DISK = "VRAM", "RAM", "disk"
"""Places. ``DISK`` means: not kept, loaded every time."""


@dataclass(frozen=True)
class Model:
    """A checkpoint as the decision sees it."""

    file: str
    """File name; two models are the same when this is equal."""
    name: str
    """What the user calls it."""
    size: int
    """Bytes once loaded, of all its sets."""
    sets: int = 1
    """How many of it are loaded, with other modules each."""
    uses: int = 1
    """How often it is activated for one picture."""
    place: str = DISK
    """Where it lies now."""
    copies: int = 0
    """Bytes of RAM for the copies of its weights that LoRAs will still make."""
    split: bool = False
    """Whether the webui moves it to the device in parts, out of RAM (``--medvram``, ``--lowvram``)."""
    resident: int | None = None
    """Bytes that are on the device at once while it is active; None for all of it."""
    beside: int = 0
    """Of its bytes, those that stay on the device while it is parked in RAM: the webui's copy of its own VAE."""
    held: int = 0
    """Of its bytes, those that are on the device now although it lies in RAM."""
    at_home: int = 0
    """Bytes of RAM that its weights take there while they are on the device, as *Fast swaps* leaves them."""
    reading: int = 0
    """Bytes of RAM that its file takes besides, while it is loaded."""
    reading_vram: int = 0
    """Bytes of VRAM that its file takes besides, while it is loaded."""

    @property
    def size_of_one(self) -> int:
        """Bytes of one of its sets."""
        return self.size // self.sets


@dataclass(frozen=True)
class Memory:
    """What is free, in bytes, and how much of it is not ours to plan with."""

    vram: int | None = None
    """Free memory of the device; None if it has none of its own (CPU) or does not tell."""
    ram: int | None = None
    """Free memory of the computer, its file cache included; None if that cannot be told."""
    vram_reserve: int = 0
    """For the pictures that are being made, and for others on this device."""
    ram_reserve: int = 0
    vram_total: int | None = None
    """All memory of the device; None if it has none of its own or does not tell."""
    homes: bool = False
    """Whether what waits in RAM has its weights there for good, which LoRAs then need no copies of: *Fast swaps*."""


class Room:
    """What there would be without any of these models, and what an assignment takes of it."""

    def __init__(self, models: Sequence[Model], memory: Memory, others: Sequence[Model]) -> None:
        everything = [*models, *others]
        self.memory = memory
        in_vram = sum(model.size if model.place == VRAM else model.held for model in everything)
        in_ram = sum(model.size - model.held for model in everything if model.place == RAM)
        in_ram += sum(model.at_home for model in everything)
        self.vram = None if memory.vram is None else self._without(in_vram) - memory.vram_reserve
        self.ram = None if memory.ram is None else memory.ram + in_ram - memory.ram_reserve

    def _without(self, in_vram: int) -> int:
        """What of the device would be free without the models, whose sizes are estimates: never more than it has."""
        free = self.memory.vram + in_vram
        return free if self.memory.vram_total is None else min(free, self.memory.vram_total)

    def needs(self, assignment: Mapping[Model, str]) -> tuple[int, int]:
        """Bytes of VRAM and RAM that the models take at most."""
        return self._vram_needs(assignment), self._ram_needs(assignment)

    def _vram_needs(self, assignment: Mapping[Model, str]) -> int:
        if self.vram is None:
            return 0
        parked = sum(_left_behind(model, place) for model, place in assignment.items())
        return parked + max(
            _while_active(model) - _left_behind(model, place) + (model.reading_vram if _comes(model, place) else 0)
            for model, place in assignment.items()
        )

    def _ram_needs(self, assignment: Mapping[Model, str]) -> int:
        """The most of: with one after the other active, and with one after the other being loaded."""
        kept = [model for model, place in assignment.items() if place != DISK]
        at_home = [model for model in kept if assignment[model] == RAM]
        copied = [model for model in kept if not (self.memory.homes and model in at_home)]
        lying = sum(model.size for model in at_home) + sum(model.copies for model in copied)
        needs = [lying]
        for model, place in assignment.items():
            own, shell = self._in_ram(model), 0
            if place == DISK:
                needs.append(lying + own + model.copies)
                shell = own or self._shell(model, assignment)
            if _comes(model, place):
                others = lying - (model.size if place == RAM else 0)
                needs.append(others + (shell or own) + model.reading)
        return max(needs)

    def _in_ram(self, model: Model) -> int:
        """Bytes of it that lie in RAM although it is active."""
        return model.size if self.vram is None or model.split else 0

    def _shell(self, model: Model, assignment: Mapping[Model, str]) -> int:
        """Bytes of the model into which one that is not kept is loaded, if it is one more; it goes to RAM for that."""
        gone = [other for other, place in assignment.items() if place == DISK and other is not model]
        return max((other.size for other in gone), default=0)

    def holds(self, assignment: Mapping[Model, str], beside: tuple[int, int] = (0, 0)) -> bool:
        """Whether it fits beside other models that take this much VRAM and RAM."""
        kept = [model for model, place in assignment.items() if place != DISK]
        vram, ram = self.needs(assignment)
        # What is active, or is being loaded, is what the webui does by itself, whatever there is.
        waits_in_vram = beside[0] or any(assignment[model] == VRAM for model in kept)
        waits_in_ram = beside[1] or any(assignment[model] == RAM or model.copies for model in kept)
        fits_vram = not waits_in_vram or (self.vram is not None and vram + beside[0] <= self.vram)
        return fits_vram and (not waits_in_ram or (self.ram is not None and ram + beside[1] <= self.ram))


def _while_active(model: Model) -> int:
    """Bytes of it on the device."""
    return model.size if model.resident is None else model.resident


def _left_behind(model: Model, place: str) -> int:
    """Bytes of it on the device while another is active."""
    return {VRAM: model.size, RAM: model.beside, DISK: 0}[place]


def _comes(model: Model, place: str) -> bool:
    """Whether the job has to load it."""
    return DISK in (place, model.place)
