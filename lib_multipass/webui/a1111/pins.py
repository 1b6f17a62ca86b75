"""Page-locked memory: what a device copies from without the processor, as fast as the bus allows.

``torch.Tensor.pin_memory`` is no use for whole checkpoints: its allocator rounds up to powers of two (until torch 2.9)
and never gives memory back to the system. So memory of torch's ordinary allocator is locked where it lies, by
``cudaHostRegister``, which ROCm has under the same name:
https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__MEMORY.html
"""

from __future__ import annotations

import contextlib
import mmap
import sys

import torch

from lib_multipass.memory import cgroups, pinning
from lib_multipass.words import log

try:
    import psutil
except ImportError:  # the webui requires it (1.6.0 to 1.10.1), but runs without it
    psutil = None

SUCCESS = 0


def own_pages(size: int) -> torch.Tensor:
    """Memory of at least so many bytes that shares no page with anything else, as locking needs it.

    Raises:
        RuntimeError: if the computer has not so much.
    """
    page = mmap.PAGESIZE
    memory = torch.empty(size + 2 * page, dtype=torch.uint8)
    start = -memory.data_ptr() % page
    return memory[start : start + -(-size // page) * page]


class Pins:
    """What is page-locked."""

    def __init__(self, device: torch.device | None = None) -> None:
        """Nothing is yet.

        Args:
            device: where it will be copied to; by default torch's current one, which ``--device-id`` does not change.
        """
        self._device = device
        self.locked: dict[int, int] = {}
        """Bytes by address."""
        self.is_refused = False
        """Whether the driver has refused once; it will again, so nothing more is asked for (WDDM, WSL)."""

    @property
    def used(self) -> int:
        """Bytes that are locked now."""
        return sum(self.locked.values())

    def lock(self, pages: torch.Tensor) -> bool:
        """Lock these pages, if they may be.

        Args:
            pages: what :func:`own_pages` gave.

        Returns:
            whether they are locked now.
        """
        if self.is_refused or not torch.cuda.is_available() or self.used + pages.numel() > allowance(self.used):
            return False
        if not self._done("cudaHostRegister", pages.data_ptr(), pages.numel(), 0):
            self.is_refused = True
            _clear_error(self._device)
            log.warning("The driver locks no memory; checkpoints move slower. They are whole.")
            return False
        self.locked[pages.data_ptr()] = pages.numel()
        return True

    def unlock(self, pages: torch.Tensor) -> None:
        """Give these pages back to the system, if they are locked; nothing may be on its way from them any more."""
        if self.locked.pop(pages.data_ptr(), None) is None:
            return
        if not self._done("cudaHostUnregister", pages.data_ptr()):
            _clear_error(self._device)

    def _done(self, name: str, *args: int) -> bool:
        """Ask the driver; whether it has done so. A torch that was built without may lack the function."""
        has_number = self._device is not None and self._device.index is not None
        try:
            with torch.cuda.device(self._device) if has_number else contextlib.nullcontext():
                return int(getattr(torch.cuda.cudart(), name)(*args)) == SUCCESS
        except (AttributeError, RuntimeError):
            return False


def allowance(used: int) -> int:
    """Bytes that may be locked, those included that are."""
    left = cgroups.free_bytes()
    total = None if psutil is None else psutil.virtual_memory().total
    return pinning.allowance(total, None if left is None else left + used, sys.platform == "win32")


def _clear_error(device: torch.device | None) -> None:
    """A refusal stays with the driver, and the next call that asks for errors would raise it."""
    with contextlib.suppress(RuntimeError):
        torch.empty(1, device=device or "cuda").zero_().cpu()
