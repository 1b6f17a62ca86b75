"""The plan as a drawing: a chip for each pass in order, and one bar of memory below them.

Plain values become HTML here, with everything escaped. Nobody needs to see it: the plan's sentence stands beside it for
screen readers, and the drawing is hidden from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from lib_multipass.memory.placement import DISK, RAM, VRAM
from lib_multipass.plan.forecast import FACES, FIRST, REFINER, SECOND, Forecast, Kept, Pass
from lib_multipass.words import size_text

STEPS = {FIRST: ("1", "first"), SECOND: ("2", "second"), FACES: ("", "faces"), REFINER: ("", "refiner")}
"""Number and word of a pass."""
KEPT = "kept"
"""The mark of a pass that need not be made again."""
CHECKPOINT, TURN, PICTURES, RESERVE, FREE = "checkpoint", "turn", "pictures", "reserve", "free"
"""What a part of the bar stands for."""
BLANK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Chip:
    """One pass as it is drawn."""

    role: str
    name: str
    about: str = BLANK
    """Architecture and size."""
    mark: str = ""
    """Where the checkpoint lies, or ``KEPT``."""
    tooltip: str = ""
    fill: str = ""
    """How the checkpoint's part of the bar is filled; empty if it has none."""
    is_told: bool = False
    """Whether an earlier chip has the same checkpoint."""
    is_open: bool = False
    """Whether its checkpoint has to be chosen yet."""


@dataclass(frozen=True)
class Part:
    """One part of the bar."""

    kind: str
    label: str
    bytes: int
    tooltip: str
    number: int = 1
    """Of the parts of this kind."""
    names: tuple[str, ...] = ()
    """The checkpoints that it is for."""

    @property
    def fill(self) -> str:
        """How it is filled."""
        return f"{self.kind}-{self.number}"


@dataclass(frozen=True)
class Bar:
    """The memory that matters: of the device, or else of the computer."""

    place: str
    total: int
    """Bytes that there would be without any loaded checkpoint."""
    parts: tuple[Part, ...]
    lacking: int = 0
    """Bytes that the parts take beyond that."""


def drawing_of(plan: Forecast) -> str:
    """The drawing of a plan."""
    bar = bar_of(plan)
    return _html(chips_of(plan, bar), bar)


def sketch(first: str = "", second: str = "", is_open: bool = True) -> str:
    """As much of a drawing as there is without a plan, in the same size.

    Args:
        first: name of the first pass's checkpoint.
        second: name of the second pass's.
        is_open: whether the second one has to be chosen yet.
    """
    chips = Chip(FIRST, first or BLANK), Chip(SECOND, second or BLANK, is_open=is_open)
    return _html(chips, Bar("", 0, (Part(FREE, "", 1, ""),)))


def chips_of(plan: Forecast, bar: Bar | None) -> list[Chip]:
    """The passes in order."""
    places = {kept.checkpoint: kept for kept in plan.checkpoints}
    fills = {name: part.fill for part in (bar.parts if bar else ()) for name in part.names}
    chips: list[Chip] = []
    for made in plan.passes:
        is_told = any(chip.name == made.checkpoint for chip in chips)
        about = f"{made.architecture} · {size_text(made.bytes)}"
        kept = places.get(made.checkpoint)
        mark = KEPT if made.is_kept else kept.now if kept else ""
        tooltip = (
            f"{made.role}: {made.checkpoint} · {about}{_lies(kept)}{f' {not_again(made)}' if made.is_kept else ''}"
        )
        chips.append(Chip(made.role, made.checkpoint, about, mark, tooltip, fills.get(made.checkpoint, ""), is_told))
    return chips


def _lies(kept: Kept | None) -> str:
    if kept is None:
        return ""
    then = "is loaded every time" if kept.then == DISK else f"stays in {kept.then}"
    return f". Lies {'on' if kept.now == DISK else 'in'} {kept.now} now, {then}."


def not_again(made: Pass) -> str:
    """What is to be said of a pass that is kept."""
    return f"The {made.role} of the last job is kept and is not made again while nothing of it changes."


def bar_of(plan: Forecast) -> Bar | None:
    """Who takes how much of the memory that matters; None where it cannot be told how much there is."""
    memory = plan.memory
    place = VRAM if memory.vram_room is not None else RAM
    total, needed = (memory.vram_room, memory.vram_needed) if place == VRAM else (memory.ram_room, memory.ram_needed)
    if total is None:
        return None
    parts = [*_checkpoints(plan, place, needed), *_set_aside(plan, place)]
    left = total - sum(part.bytes for part in parts)
    if left > 0:
        parts.append(Part(FREE, "free", left, f"Nothing is planned for these {size_text(left)} of {place}."))
    return Bar(place, total, tuple(part for part in parts if part.bytes > 0), max(0, -left))


def _checkpoints(plan: Forecast, place: str, needed: int) -> list[Part]:
    """Those that stay there, and what the others take of it while it is their turn."""
    parts = [
        Part(CHECKPOINT, kept.checkpoint, kept.bytes, _stays(kept), number, (kept.checkpoint,))
        for number, kept in enumerate((kept for kept in plan.checkpoints if kept.then == place), 1)
    ]
    more = max(0, needed - sum(part.bytes for part in parts))
    others = tuple(kept.checkpoint for kept in plan.checkpoints if kept.then != place)
    if others:
        label = f"{' or '.join(others)} in turn"
        about = f"{' or '.join(others)}, each while it is used, takes {size_text(more)} of {place} at most."
        return [*parts, Part(TURN, label, more, about, names=others)]
    about = f"Loading and LoRAs take {size_text(more)} of {place} besides."
    return [*parts, Part(TURN, "loading", more, about)]


def _stays(kept: Kept) -> str:
    return f"{kept.checkpoint} stays in {kept.then}: {size_text(kept.bytes)}."


def _set_aside(plan: Forecast, place: str) -> list[Part]:
    memory = plan.memory
    pictures = memory.vram_pictures if place == VRAM else 0
    reserve = memory.vram_reserve - pictures if place == VRAM else memory.ram_reserve
    about = f"The settings leave {size_text(reserve)} of {place} to others."
    return [
        Part(PICTURES, "pictures", pictures, f"While they are made, they take {size_text(pictures)} of {place}."),
        Part(RESERVE, "reserve", reserve, about),
    ]


def _html(chips: Sequence[Chip], bar: Bar | None) -> str:
    passes = f'<div class="multipass-passes">{"".join(map(_chip, chips))}</div>'
    return f'<div class="multipass-drawing" aria-hidden="true">{passes}{_bar(bar) if bar else ""}</div>'


def _chip(chip: Chip) -> str:
    number, word = STEPS[chip.role]
    role = f"<b>{number}</b> {word}" if number else word
    kinds = ["multipass-chip", *["multipass-told"] * chip.is_told, *["multipass-open"] * chip.is_open]
    fill = f'<i class="multipass-{escape(chip.fill)}"></i>' if chip.fill else ""
    return (
        f'<div class="{" ".join(kinds)}"{_title(chip.tooltip)}><span class="multipass-role">{role}</span>'
        f'<span class="multipass-mark" data-mark="{escape(chip.mark)}">{escape(chip.mark)}</span>'
        f'<span class="multipass-name">{fill}{escape(chip.name)}</span>'
        f'<span class="multipass-about">{escape(chip.about)}</span></div>'
    )


def _title(tooltip: str) -> str:
    return f' title="{escape(tooltip)}"' if tooltip else ""


def _bar(bar: Bar) -> str:
    segments, legend = "", f"<b>{bar.place}</b>" if bar.place else BLANK
    for part in bar.parts:
        fill, about = f'<i class="multipass-{part.fill}"', _title(part.tooltip)
        segments += f'{fill}{about} style="flex-grow:{1 + part.bytes // 1_000_000}"></i>'
        if part.label:
            kind = ' class="multipass-named"' if part.names else ""
            legend += f"<span{kind}{about}>{fill}></i>{escape(part.label)} {size_text(part.bytes)}</span>"
    if bar.lacking:
        legend += f'<span class="multipass-lacking">{size_text(bar.lacking)} too little</span>'
    return f'<div class="multipass-bar">{segments}</div><div class="multipass-legend">{legend}</div>'
