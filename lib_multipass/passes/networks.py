"""Tags of networks in the prompts that later passes take over from the first one.

With an empty hires prompt the webui reads the first prompt for the second pass too, and an ADetailer tab with an empty
prompt reads it for its passes, tags and all. A LoRA for another architecture is not refused there: it changes those
layers that happen to have the same name and size (``extensions-builtin/Lora/networks.py``, 1.6.0 to 1.10.1).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

from lib_multipass.memory.architectures import UNKNOWN
from lib_multipass.memory.lora_files import fits, made_for
from lib_multipass.plan.decide import Plan
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.tags import LORA_TAGS, without
from lib_multipass.state import Part, running
from lib_multipass.webui import host

HIRES_PROMPT = "Hires prompt"
"""The webui's key in the infotext."""


def fitted(original: Callable) -> Callable:
    """Leaves tags out at the last moment before the webui takes them from the prompts.

    By then styles are in, and extensions that write prompts have done so. The method of the base class runs for jobs
    with a hires pass as well, before they take the batch's part of ``all_hr_prompts``.
    """

    def parse_extra_network_prompts(self: Any, *args: Any, **kwargs: Any) -> Any:
        tags = running.part(Tags)
        if tags is not None:
            tags.fit(self)
        return original(self, *args, **kwargs)

    return parse_extra_network_prompts


class Tags(Part):
    """The tags of the running job: those of other architectures are left out of what its later passes take over."""

    def __init__(self, p: Any, plan: Plan) -> None:
        self.owner = weakref.ref(p)
        self.plan = plan
        self.crossing = _differ(plan.base, plan.second)
        self.hires_prompt_is_open = p.hr_prompt == ""
        self.left: dict[str, str] = {}

    def end(self) -> None:
        """Leave prompts alone again."""
        if self.crossing:
            host.loras.read_anew()

    def swapped(self, before: Checkpoint | None, after: Checkpoint) -> None:
        """Note a swap within the job: LoRAs that were taken apart for another architecture are useless now."""
        if before is not None and _differ(before, after):
            host.loras.read_anew()

    def fit(self, p: Any) -> None:
        """Leave out what does not fit, if ``p`` is the job itself or a job of ADetailer's within it."""
        outer = self.owner()
        if outer is None:
            return
        if p is outer:
            if self.hires_prompt_is_open and p.enable_hr:
                self._fit_second_pass(p)
        elif _is_within(p, outer):
            active = host.models.active()
            p.prompts, left = self._fitting(p.prompts, active)
            _tell(outer, left, active, "ADetailer's pass on")

    def _fit_second_pass(self, p: Any) -> None:
        p.all_hr_prompts, left = self._fitting(p.all_hr_prompts, self.plan.second)
        _tell(p, left, self.plan.second, "the second pass, which is made by")
        self.left |= left
        # From 1.9.0 on this is a function that looks into all_hr_prompts.
        if self.left and not callable(p.extra_generation_params.get(HIRES_PROMPT)):
            index = p.iteration * p.batch_size
            text = p.all_hr_prompts[index]
            rest = {key: value for key, value in p.extra_generation_params.items() if key != HIRES_PROMPT}
            p.extra_generation_params = rest | ({} if text == p.all_prompts[index] else {HIRES_PROMPT: text})

    def _fitting(self, prompts: Iterable[str], checkpoint: Checkpoint) -> tuple[list[str], dict[str, str]]:
        """The prompts without the tags that do not fit, and these tags with what they are made for."""
        left: dict[str, str] = {}
        if not _differ(self.plan.base, checkpoint):
            return list(prompts), left
        wanted = host.files.facts_of(checkpoint).architecture
        fitting = []
        for prompt in prompts:
            text, tags = without(prompt, lambda kind, name: not fits(_made_for(kind, name), wanted))
            fitting.append(text)
            left |= {tag: _made_for(*tag[1:-1].split(":")[:2]) for tag in tags}
        return fitting, left


def _differ(one: Checkpoint, other: Checkpoint) -> bool:
    kinds = {host.files.facts_of(one).architecture, host.files.facts_of(other).architecture}
    return len(kinds) == 2 and UNKNOWN not in kinds


def _is_within(p: Any, outer: Any) -> bool:
    """Whether ``p`` is an inner job of ADetailer's whose tab left the prompt to the outer job.

    ADetailer in an img2img job is none of ours, but a job that failed may have left us behind. ADetailer's inner jobs
    have a shallow copy of the outer job's runner, and img2img has a runner of its own.
    """
    inner = getattr(p, "_ad_inner", False) and p.scripts.scripts is outer.scripts.scripts
    return inner and p.prompt in (outer.all_prompts or ())


def _made_for(kind: str, name: str) -> str:
    """The architecture of a tag's network; unknown without the LoRA extension, and for what it does not know."""
    file = host.loras.file_of(name) if kind in LORA_TAGS else None
    return made_for(file) if file else UNKNOWN


def _tell(p: Any, left: dict[str, str], checkpoint: Checkpoint, where: str) -> None:
    architecture = host.files.facts_of(checkpoint).architecture
    for tag, kind in left.items():
        p.comment(
            f"{tag} is made for {kind}, so it was left out of {where} {checkpoint.name_for_extra} ({architecture})."
        )
