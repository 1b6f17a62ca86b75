"""The memory of this computer and of its device, as it stands now."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Iterator
from typing import Any

import torch
from modules import devices, shared

from lib_multipass.memory import cgroups, shortage
from lib_multipass.memory.headers import REFINER, SDXL, Facts
from lib_multipass.memory.placement import RAM, VRAM
from lib_multipass.memory.working import Reading
from lib_multipass.state import running
from lib_multipass.webui.a1111 import forge_models
from lib_multipass.webui.base import host

try:
    import psutil
except ImportError:  # the webui requires it (1.6.0 to 1.10.1), but runs without it
    psutil = None


def ram_free() -> int | None:
    """Bytes that this program could still get, the file cache included; None if that cannot be told."""
    told = (None if psutil is None else psutil.virtual_memory().available, cgroups.free_bytes())
    return min((amount for amount in told if amount is not None), default=None)


def vram() -> tuple[int, int] | None:
    """Free and total bytes of the device; None if it has no memory of its own, or does not tell.

    What torch has set aside and does not use counts as free.
    """
    index = cuda_index()
    if index is None:
        return None
    with contextlib.suppress(RuntimeError):  # a driver that does not tell
        free, total = torch.cuda.mem_get_info(index)
        used = torch.cuda.memory_allocated(index)
        # On Windows what is set aside may be more than the device has.
        return min(free + torch.cuda.memory_reserved(index), total) - used, total
    return None


def vram_to_plan() -> tuple[int, int] | None:
    """Free and total bytes of the device that checkpoints can be parked on; None where nothing can be parked on it."""
    return None if forge_models.webui_moves_them() else vram()


def computes_in_half() -> bool:
    """Whether the webui computes in half precision."""
    return not shared.cmd_opts.no_half


def vae_computes_in_half() -> bool:
    """Whether VAEs do; the webui turns them to float32 by itself when pictures come out black."""
    return devices.dtype_vae != torch.float32


def reading() -> Reading | None:
    """What the device says now; None where nothing can be parked on it."""
    planned = vram_to_plan()
    if planned is None:
        return None
    used = torch.cuda.memory_allocated(cuda_index())
    peak, reserved = _statistic("allocated_bytes.all.peak"), _statistic("reserved_bytes.all.peak")
    return Reading(used, peak, used + planned[0], reserved)


def count_anew() -> None:
    """Set the peaks of the webui's device back to what stands now."""
    index = cuda_index()
    if index is not None:
        torch.cuda.reset_peak_memory_stats(index)


def spills_over() -> bool:
    """Whether the driver gives memory of the computer where the device's is used up, instead of refusing.

    NVIDIA's does so on Windows, also for Linux in it (WSL), unless *CUDA - Sysmem Fallback Policy* is set otherwise.
    """
    return sys.platform == "win32" or "microsoft" in platform.release().lower()


def out_of_memory_count() -> int:
    """How often the device could not give what was asked for in this process, whoever caught the error.

    cuDNN tries ways to compute that need much memory, and takes another way if there is too little: these count too.
    """
    return _statistic("num_ooms")


def _statistic(name: str) -> int:
    index = cuda_index()
    return 0 if index is None else torch.cuda.memory_stats(index).get(name, 0)


def cuda_index() -> int | None:
    """The number of the CUDA device that the webui computes on; None if it computes elsewhere.

    Without ``--device-id`` its device has none, and up to torch 2.1 ``mem_get_info`` does not take it like that.
    """
    if devices.device.type != "cuda" or not torch.cuda.is_available():
        return None
    return torch.cuda.current_device() if devices.device.index is None else devices.device.index


@contextlib.contextmanager
def noise_kept() -> Iterator[None]:
    """Keeps the random numbers of a job in step whether a checkpoint was kept or has to be loaded.

    Making a new model draws from torch's generators, with which the VAE encodes the enlarged picture afterwards
    (``images_tensor_to_samples``, and before 1.7.0 in ``sample_hr_pass`` itself).
    """
    if running.job is None:
        yield
        return
    index = cuda_index() if torch.cuda.is_initialized() else None
    with torch.random.fork_rng(devices=[] if index is None else [index]):
        yield


def lack_of(error: BaseException | None) -> str | None:
    """Whose memory an error says was short, see :func:`lib_multipass.memory.shortage.lack_of`."""
    found = shortage.lack_of(error)
    return shortage.COMPUTER if found == shortage.DEVICE and devices.device.type in ("cpu", "mps") else found


def place_of(model: Any) -> str:
    """Where a loaded model lies. One that is moved to the device in parts lies in RAM."""
    if host.parts.is_split(model) or devices.device.type == "cpu":
        return RAM
    if forge_models.is_one(model):
        return VRAM if forge_models.is_on_device(model, devices.device.type) else RAM
    return VRAM if next(model.parameters()).device.type == devices.device.type else RAM


def is_split(facts: Facts) -> bool:
    """Whether the webui moves this checkpoint to the device in parts (``lowvram.is_needed``, 1.6.0 to 1.10.1)."""
    flags = shared.cmd_opts
    if forge_models.webui_moves_them():
        return False
    return bool(flags.lowvram or flags.medvram or (flags.medvram_sdxl and facts.architecture in (SDXL, REFINER)))


def files_go_to_the_device() -> bool:
    """Whether the webui reads checkpoint files into VRAM: ``--lowram`` (``read_state_dict``, 1.6.0 to 1.10.1)."""
    return shared.weight_load_location is None and vram() is not None
