"""The memory that a decision is about, and what user and webui say of it."""

from __future__ import annotations

from typing import Any

from lib_multipass.plan.our_settings import FLAGS, KEEP, RAM_RESERVE, VRAM_RESERVE, checked
from lib_multipass.plan.situation import Machine
from lib_multipass.state import kept
from lib_multipass.webui.a1111 import hardware, options
from lib_multipass.webui.base import host


def now(p: Any) -> Machine:
    """As they stand for this job."""
    return Machine(
        vram=host.hardware.vram_to_plan(),
        ram=host.hardware.ram_free(),
        vram_reserve=_gigabytes(p, VRAM_RESERVE),
        ram_reserve=_gigabytes(p, RAM_RESERVE),
        half=host.hardware.computes_in_half(),
        half_vae=hardware.vae_computes_in_half(),
        setting=ours(p, KEEP),
        flag=FLAGS[host.options.flag(KEEP) or "automatic"],
        limit=host.models.users_limit(),
        keeps_in_ram=host.models.users_park_in_ram(),
        moves_fast=host.fast_swaps.are_on(),
        measured=kept.measured,
        lacks=kept.lacks,
    )


def ours(p: Any, name: str) -> Any:
    """One of our settings, as this job has it.

    Raises:
        MultipassError: for a value that no job can go by.
    """
    return checked(name, options.in_force(p, name))


def _gigabytes(p: Any, name: str) -> int:
    flag = host.options.flag(name)
    return int(1e9 * (ours(p, name) if flag is None else flag))
