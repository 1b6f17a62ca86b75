"""The plan of a job before it runs: as a value, from the job itself or from a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modules import shared

from lib_multipass.args import PassArgs
from lib_multipass.checkpoints import Checkpoint
from lib_multipass.forecast import FACES, FIRST, REFINER, SECOND, Forecast, Kept, MemoryReport, Pass
from lib_multipass.host import borrowing, cache, checkpoints, crossing, files, keeping, memory, vaes
from lib_multipass.host.keeping import Work
from lib_multipass.placement import DISK, RAM, VRAM, Decision
from lib_multipass.plan import Plan, make_plan
from lib_multipass.working import second_pass_pixels


def plan_of(p: Any, args: PassArgs) -> Plan:
    """The checkpoints and the VAE of a job, once they are known to do what is wanted of them.

    Raises:
        MultipassError: for a name that means nothing, and for a file that cannot make its pass.
    """
    plan = make_plan(args, checkpoints.base_of(p), checkpoints.known(), vaes.names())
    crossing.require_usable(plan)
    vaes.require(plan.own.vae, plan.second)
    return plan


class Outlook:
    """A job's checkpoints, and where they will be kept."""

    def __init__(self, p: Any, plan: Plan, detailers: Sequence[Checkpoint], keep: str) -> None:
        """Decide for a job.

        Args:
            p: the job, or anything that has its sizes, prompts and refiner.
            plan: its checkpoints.
            detailers: the checkpoint of each ADetailer tab that runs.
            keep: the job's wish.

        Raises:
            MultipassError: for a checkpoint that lacks a part which no other can lend.
        """
        self.plan = plan
        self.work = work_of(p)
        self.wish = keeping.wish(keep)
        refiner = crossing.refiner_of(p)
        self._roles = [(FIRST, plan.base), (SECOND, plan.second), *((FACES, checkpoint) for checkpoint in detailers)]
        self._roles += [(REFINER, refiner)] if refiner else []
        self.in_use = [checkpoint for _, checkpoint in self._roles]
        self.notes = borrowing.notes(p, plan, self._roles)
        self.free = keeping.free_memory(plan.second, self.work, self.wish)
        self.models = keeping.models_of(self.in_use, self.work)
        self.decision = keeping.decision_for(self.models, self.free, self.wish, self.work)

    def forecast(self, warnings: Sequence[str] = ()) -> Forecast:
        """The plan as a value."""
        places = self.decision.places if self.decision else self._as_set()
        kept = tuple(Kept(model.name, model.size, model.place, places[model.file]) for model in self.models)
        told = (*warnings, *self.notes)
        return Forecast(self._passes(), kept, self._memory(), self.wish, self._reason(), told)

    def _passes(self) -> tuple[Pass, ...]:
        made = dict.fromkeys((role, checkpoint.filename) for role, checkpoint in self._roles)
        known = {checkpoint.filename: checkpoint for checkpoint in self.in_use}
        sizes = {model.file: model.size for model in self.models}
        return tuple(
            Pass(role, known[file].name_for_extra, files.facts_of(known[file]).architecture, sizes[file])
            for role, file in made
        )

    def _as_set(self) -> dict[str, str]:
        """Where the user's own settings keep the checkpoints: all, or with too low a limit none for sure."""
        fits = len(self.models) <= cache.users_own(shared.opts, cache.LIMIT)
        parked = RAM if memory.vram() is None or cache.users_own(shared.opts, cache.KEEP_IN_CPU) else VRAM
        return {model.file: parked if fits else DISK for model in self.models}

    def _memory(self) -> MemoryReport:
        device, decision = memory.vram(), self.decision or Decision({})
        return MemoryReport(
            vram_free=self.free.vram,
            vram_total=None if device is None else device[1],
            vram_needed=decision.vram,
            vram_reserve=self.free.vram_reserve,
            ram_free=self.free.ram,
            ram_needed=decision.ram,
            ram_reserve=self.free.ram_reserve,
        )

    def _reason(self) -> str:
        return self.decision.reason if self.decision else "The webui's own settings decide what stays loaded."


def work_of(p: Any) -> Work:
    """What a job computes."""
    pixels = second_pass_pixels(p.width, p.height, p.hr_scale or 1, p.hr_resize_x or 0, p.hr_resize_y or 0)
    prompts = [text for name in ("prompt", "hr_prompt") for text in _texts(getattr(p, name, ""))]
    return Work(pixels * p.batch_size, any("<lora:" in text or "<lyco:" in text for text in prompts))


def _texts(prompt: Any) -> list[str]:
    return [prompt] if isinstance(prompt, str) else [text for text in prompt or [] if isinstance(text, str)]
