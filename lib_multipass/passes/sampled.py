"""A pass as it is kept: what was sampled, and all that sampling has changed besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch

from lib_multipass.memory.store import LATENTS
from lib_multipass.plan.alike import Noting, changed, fields_that_act, is_plain
from lib_multipass.state import kept
from lib_multipass.webui import host


@dataclass(frozen=True)
class Sampled:
    """A pass, and what making it has changed besides."""

    latents: torch.Tensor
    """In RAM: batch × channels × height / 8 × width / 8."""
    device: torch.device
    """Where they were."""
    generators: Mapping[str, Any]
    """The random generators at its end."""
    params: Mapping[str, Any]
    """What it wrote into the infotext, in order."""
    comments: Mapping[str, Any]
    fields: Mapping[str, Any]
    """Fields of ``p`` that it has set."""
    sampler: Mapping[str, Any]
    """What its sampler has set on itself, of what infotexts are made from."""
    steps: int
    """How many the sampler has made."""

    @property
    def bytes(self) -> int:
        """What it takes."""
        states = (state for state in self.generators.values() if isinstance(state, torch.Tensor))
        return sum(known.nbytes for known in (self.latents, *states))


WRITTEN = ("extra_generation_params", "comments")
"""Dicts of a job that many write into."""
_LISTS_IN = ("params", "fields")
"""What of a kept pass may have lists in it, to which a job may append."""
_OF_SAMPLER = ("eta",)
"""Fields of a sampler that go into infotexts (``is_sampler_using_eta_noise_seed_delta``)."""


def made(p: Any, make: Callable[[], Any], key: str, allowance: int) -> Any:
    """Sample, and keep what came of it with all that it has changed, if all of that can be told."""
    before, fields = {name: getattr(p, name) for name in WRITTEN}, dict(vars(p))
    noting = {name: Noting(values) for name, values in before.items()}
    vars(p).update(noting)
    try:
        latents = make()
    finally:
        replaced = [name for name in WRITTEN if getattr(p, name) is not noting[name]]
        for name in WRITTEN:
            before[name].update(noting[name].written)
        vars(p).update({name: before[name] for name in WRITTEN if name not in replaced})
    if replaced or host.status.is_over() or not isinstance(latents, torch.Tensor) or bool(latents.isnan().any()):
        return latents
    also = changed(fields, vars(p))
    stage = Sampled(
        latents.detach().to("cpu", copy=True),
        latents.device,
        host.stages.generators(),
        noting["extra_generation_params"].written,
        noting["comments"].written,
        also,
        {name: getattr(p.sampler, name) for name in _OF_SAMPLER if hasattr(p.sampler, name)},
        host.stages.steps(),
    )
    written = (*stage.params.values(), *stage.comments.values(), *also.values(), *stage.sampler.values())
    if all(map(is_plain, written)) and fields_that_act(also, subseed_acts=True) == also:
        stage = replace(stage, **{name: deepcopy(getattr(stage, name)) for name in _LISTS_IN})
        kept.stages.put(key, stage, stage.bytes, allowance, worth=LATENTS)
    return latents


def again(p: Any, stage: Sampled, tell: bool = True) -> Any:
    """The latents of a kept pass; all that making it has changed is changed as it was.

    Args:
        p: the job.
        stage: what is kept.
        tell: whether the webui's progress is to go on by its steps.
    """
    p.extra_generation_params.update(deepcopy(stage.params))
    p.comments.update(stage.comments)
    vars(p).update(deepcopy(stage.fields))
    for name, value in stage.sampler.items():
        setattr(p.sampler, name, value)
    host.stages.put_back(stage.generators)
    if tell:
        host.stages.sampled(stage.steps)
    return stage.latents.to(stage.device, copy=True)
