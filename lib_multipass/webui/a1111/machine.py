"""The memory that a decision is about, and what user and webui say of it."""

from __future__ import annotations

from lib_multipass.plan.our_settings import DEFAULTS, FLAGS, KEEP, RAM_RESERVE, VRAM_RESERVE
from lib_multipass.plan.situation import Machine
from lib_multipass.state import kept
from lib_multipass.webui.a1111 import hardware
from lib_multipass.webui.base import host


def now() -> Machine:
    """As they stand."""
    return Machine(
        vram=host.hardware.vram_to_plan(),
        ram=host.hardware.ram_free(),
        vram_reserve=_gigabytes(VRAM_RESERVE),
        ram_reserve=_gigabytes(RAM_RESERVE),
        half=host.hardware.computes_in_half(),
        half_vae=hardware.vae_computes_in_half(),
        setting=host.options.get(KEEP, DEFAULTS[KEEP]),
        flag=FLAGS[host.options.flag(KEEP) or "automatic"],
        limit=host.models.users_limit(),
        keeps_in_ram=host.models.users_park_in_ram(),
        moves_fast=host.fast_swaps.are_on(),
        measured=kept.measured,
        lacks=kept.lacks,
    )


def _gigabytes(name: str) -> int:
    flag = host.options.flag(name)
    return int(1e9 * (host.options.get(name, DEFAULTS[name]) if flag is None else flag))
