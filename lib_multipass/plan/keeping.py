"""Where a job's checkpoints are kept, as a decision over plain values, and the plan in numbers that is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from lib_multipass.memory.headers import Facts
from lib_multipass.memory.placement import (
    AS_SET,
    AUTOMATIC,
    DISK,
    IN_VRAM,
    RAM,
    VRAM,
    WISHES,
    Decision,
    Lack,
    Memory,
    Model,
    decide,
)
from lib_multipass.memory.room import Room
from lib_multipass.memory.working import reserve
from lib_multipass.plan.forecast import Forecast, Kept, MemoryReport, Pass
from lib_multipass.plan.hires import why_not_kept
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.situation import Machine, Situation


@dataclass(frozen=True)
class Keeping:
    """What of a job stays loaded."""

    wish: str
    """What is wished for, a text of ``WISHES``."""
    models: tuple[Model, ...]
    """The job's checkpoints, each once, in the order of use."""
    free: Memory
    decision: Decision | None
    """None if the user's own settings decide."""


def keeping(
    situation: Situation, in_use: Sequence[Checkpoint], asked: str, estimate: int, twofold: Collection[str] = ()
) -> Keeping:
    """Decide what stays loaded.

    Args:
        situation: what stands.
        in_use: who makes each pass, in order.
        asked: the job's wish.
        estimate: bytes that the job's pictures take on the device, as estimated.
        twofold: the files of which the job has two models, with other modules each.
    """
    machine, wished = situation.machine, wish(asked, situation.machine)
    models = _models(situation.models, in_use, twofold)
    free = _free(machine, situation.facts[in_use[1].filename], estimate, wished)
    if wished == AS_SET:
        return Keeping(wished, models, free, None)
    lack = machine.lacks.get(frozenset(model.file for model in models), Lack())
    most_others = max(0, machine.limit - len(models))
    decision = decide(models, free, wished, cap=lack.cap(estimate), others=situation.others, most_others=most_others)
    return Keeping(wished, models, free, decision)


def wish(asked: str, machine: Machine) -> str:
    """What is wished for: the job's choice, else the setting; the flag is the most that anybody may ask for.

    Args:
        asked: the job's choice; ``Automatic`` leaves it to the setting.
        machine: what setting and flag say.
    """
    return max(asked if asked != AUTOMATIC else machine.setting, machine.flag, key=WISHES.index)


def _models(known: Mapping[str, Model], in_use: Sequence[Checkpoint], twofold: Collection[str]) -> tuple[Model, ...]:
    files = [checkpoint.filename for checkpoint in in_use]
    uses = Counter(file for number, file in enumerate(files) if number == 0 or file != files[number - 1])
    models = (replace(known[file], uses=uses[file]) for file in dict.fromkeys(files))
    return tuple(_in_sets(model, 2 if model.file in twofold else 1) for model in models)


def _in_sets(model: Model, needed: int) -> Model:
    """A model that the job has so many of, with other modules each: it makes what is missing, and lets go of others."""
    size, more = model.size_of_one, max(0, needed - model.sets)
    return replace(model, size=size * min(model.sets, needed), copies=model.copies + more * size)


def _free(machine: Machine, second: Facts, estimate: int, wished: str) -> Memory:
    """What is free now, and how much of it the job's pictures and the user's reserves take."""
    measured = machine.measured.get(second.architecture, {})
    # Who asks for VRAM says that the pictures fit beside it; what was measured is known better.
    counts = wished != IN_VRAM or measured
    pictures = reserve(estimate, measured) if counts else 0
    free, total = machine.vram or (None, None)
    return Memory(
        vram=free,
        vram_total=total,
        ram=machine.ram,
        vram_reserve=pictures + machine.vram_reserve,
        ram_reserve=machine.ram_reserve,
        homes=machine.moves_fast,
    )


def forecast(
    kept: Keeping,
    situation: Situation,
    roles: Sequence[tuple[str, Checkpoint]],
    warnings: Collection[str],
    order: str,
) -> Forecast:
    """The plan as the panel, the console line and the API print it.

    Args:
        kept: what stays loaded.
        situation: what stands.
        roles: who makes each pass, in order.
        warnings: what is to be said besides.
        order: what is to be said of the order of the passes.
    """
    machine, decision = situation.machine, kept.decision or Decision({})
    places = decision.places if kept.decision else _as_set(kept.models, machine)
    checkpoints = tuple(Kept(model.name, model.size, model.place, places[model.file]) for model in kept.models)
    room = Room(kept.models, kept.free, situation.others)
    memory = MemoryReport(
        vram_free=kept.free.vram,
        vram_total=None if machine.vram is None else machine.vram[1],
        vram_needed=decision.vram,
        vram_reserve=kept.free.vram_reserve,
        vram_pictures=kept.free.vram_reserve - machine.vram_reserve,
        ram_free=kept.free.ram,
        ram_needed=decision.ram,
        ram_reserve=kept.free.ram_reserve,
        vram_room=None if room.vram is None else room.vram + kept.free.vram_reserve,
        ram_room=None if room.ram is None else room.ram + kept.free.ram_reserve,
    )
    reason = decision.reason if kept.decision else "The webui's own settings decide what stays loaded."
    reasons = why_not_kept(situation)
    not_kept = _not_kept_text(reasons)
    passes = _passes(situation, roles, [role for role in situation.again if not reasons.get(role)])
    return Forecast(passes, checkpoints, memory, kept.wish, reason, tuple(warnings), not_kept, order)


def _not_kept_text(reasons: Mapping[str, str]) -> str:
    """Which passes are not kept for later jobs, and why."""
    passes = [made for made, reason in reasons.items() if reason]
    which = "Neither pass is" if len(passes) > 1 else "".join(f"The {made} is not" for made in passes)
    return which and f"{which} kept for later jobs: {reasons[passes[0]]}."


def _passes(situation: Situation, roles: Sequence[tuple[str, Checkpoint]], again: Collection[str]) -> tuple[Pass, ...]:
    made = {(role, known.filename): known for role, known in roles}
    return tuple(
        Pass(
            role,
            situation.models[file].name,
            situation.facts[file].architecture,
            situation.models[file].size_of_one,
            is_kept=role in again,
        )
        for (role, file), known in made.items()
    )


def _as_set(models: Collection[Model], machine: Machine) -> dict[str, str]:
    """Where the user's own settings keep the checkpoints: all, or with too low a limit none for sure."""
    parked = RAM if machine.vram is None or machine.keeps_in_ram else VRAM
    return {model.file: parked if len(models) <= machine.limit else DISK for model in models}
