"""Whether the last job's passes are those that the page asks for now, as far as the page can tell.

What a pass is really made from is known when it is sampled (:mod:`lib_multipass.plan.alike`). This is for the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lib_multipass.plan.forecast import FIRST, SECOND
from lib_multipass.plan.roles import Roles

_OF_BOTH = ("prompt", "negative_prompt", "styles", "seed", "steps", "sampler_name", "scheduler", "cfg_scale")
_SIZE = ("width", "height", "batch_size")
_OF_HIRES = ("hr_prompt", "hr_negative_prompt", "hr_scale", "hr_resize_x", "hr_resize_y", "hr_upscaler")
_SAMPLED = ("hr_sampler_name", "hr_scheduler", "hr_second_pass_steps", "denoising_strength")
_BASE, _SECOND, _OWN = "first checkpoint", "second checkpoint", "of its own"
MADE_FROM = {
    FIRST: (_BASE, *_OF_BOTH, *_SIZE),
    SECOND: (_BASE, _SECOND, _OWN, *_OF_BOTH, *_SIZE, *_OF_HIRES, *_SAMPLED),
}
"""By pass, what it is made from: fields of the webui's job, and what Multipass has for it."""


def asked(given: Mapping[str, Any], roles: Roles) -> dict[str, Any]:
    """What a job is asked for.

    Args:
        given: the fields of the webui's job.
        roles: the job's checkpoints.
    """
    fields = {name: _plain(given[name]) for name in MADE_FROM[SECOND] if name in given}
    return {**fields, _BASE: roles.base.filename, _SECOND: roles.second.filename, _OWN: roles.own}


def with_seed(job: Mapping[str, Any], seeds: Sequence[Any] | None) -> dict[str, Any]:
    """What a job was asked for, with the seed of its first picture in place of a random one."""
    return {**job, "seed": _plain(seeds[0])} if seeds else {**job}


def is_same(role: str, last: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether this pass of the last job was made from what is asked for now; what the page lacks counts as empty."""
    return all(now.get(name, "") == last[name] for name in MADE_FROM[role] if name in last)


def _plain(value: Any) -> Any:
    """A value of a page or a job: numbers may be texts there, and what is as in the first pass has words for it."""
    if isinstance(value, (list, tuple)):
        return [*value] or ""
    if isinstance(value, str) and value.startswith("Use same"):
        return ""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value or ""
