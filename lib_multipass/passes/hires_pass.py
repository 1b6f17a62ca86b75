"""The hires pass's own VAE, CFG scale and clip skip, while it runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from lib_multipass.plan.aiming import CLIP_SKIP
from lib_multipass.plan.decide import Plan
from lib_multipass.plan.hires import HIRES_CFG
from lib_multipass.state import running
from lib_multipass.webui import host


def of_its_own(original: Callable) -> Callable:
    """Is the scope of the hires pass; the webui calls it after the swap, with the first pass's latents or pictures."""

    def sample_hr_pass(self: Any, *args: Any, **kwargs: Any) -> Any:
        vae = running.part(host.pass_vae.PassVae)
        if _plan_of(self) is None or vae is None:
            return original(self, *args, **kwargs)
        if host.status.is_interrupted():
            vae.end()  # the first pass's latents are all that comes of it
            host.pass_vae.settle()
            return original(self, *args, **kwargs)
        first = self.cfg_scale
        try:
            with vae.hires_pass():
                return original(self, *args, **kwargs)
        finally:
            self.cfg_scale = first

    return sample_hr_pass


def conditioned_on_its_own(original: Callable) -> Callable:
    """Encodes the hires pass's texts with its clip skip, early or late, and sets its CFG scale.

    The webui's caches of conditionings have the clip skip in their keys. The CFG scale is set here, since a picture
    that is saved between the passes has the first pass's in its infotext, and scripts whose ``before_hr`` sets it,
    which comes next, shall win.

    Forge Neo encodes early where both passes have one checkpoint, though the hires pass has text encoders of its own.
    """

    def calculate_hr_conds(self: Any, *args: Any, **kwargs: Any) -> Any:
        plan = _plan_of(self)
        if plan is None:
            return original(self, *args, **kwargs)
        own = plan.roles.own
        if self.is_hr_pass and own.modules is not None and not plan.roles.swaps:
            self.hr_c = self.hr_uc = None
        if self.is_hr_pass and own.cfg_scale is not None and not hasattr(self, HIRES_CFG):
            self.cfg_scale = own.cfg_scale
        with nullcontext() if own.clip_skip is None else host.options.read_as(CLIP_SKIP, own.clip_skip):
            return original(self, *args, **kwargs)

    return calculate_hr_conds


def _plan_of(p: Any) -> Plan | None:
    job = running.job_around(p)
    return None if job is None else job.plan
