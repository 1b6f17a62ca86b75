"""Whether an error says that memory was short, and whose: the device's or the computer's."""

from __future__ import annotations

import errno
import re

DEVICE, COMPUTER = "VRAM", "RAM"

_WINDOWS = (8, 14, 1455)
"""ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_COMMITMENT_LIMIT ("The paging file is too small")."""
_PAGING_FILE = re.compile(r"(?:os error|winerror|error code:)\W{0,3}1455\b|paging file is too small")
"""Windows says it in the user's language; where Rust or torch made a text of it, its number stays."""
_COMPUTER = ("defaultcpuallocator", "cannot allocate memory", "can't allocate memory")
"""What torch's allocator for the CPU says, and Linux about a file that cannot be mapped."""
_DEVICE = (
    "out of memory",
    "status_alloc_failed",
    "not enough gpu video memory",
    "out_of_device_memory",
    "out_of_resources",
)
"""CUDA, ROCm, MPS and XPU; cuBLAS, cuDNN and theirs of ROCm; torch-directml; Level Zero and SYCL."""


def lack_of(error: BaseException | None) -> str | None:
    """``DEVICE``, ``COMPUTER``, or None for an error that is about something else.

    Of an error that was raised while another was handled, the other counts too: what fails then is often a consequence.
    """
    for _ in range(10):  # errors can be chained into a circle
        if error is None:
            return None
        lack = _lack_of_one(error)
        if lack is not None:
            return lack
        error = error.__cause__ or error.__context__
    return None


def _lack_of_one(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return COMPUTER
    if any(kind.__name__ == "OutOfMemoryError" and _is_of(kind, "torch") for kind in type(error).__mro__):
        return DEVICE
    if isinstance(error, OSError) and (error.errno == errno.ENOMEM or getattr(error, "winerror", None) in _WINDOWS):
        return COMPUTER
    # Others quote what a program said, or what a user wrote.
    if not isinstance(error, RuntimeError | OSError) and not _is_of(type(error), "safetensors"):
        return None
    text = str(error).lower()
    if _PAGING_FILE.search(text) or any(words in text for words in _COMPUTER):
        return COMPUTER
    return DEVICE if any(words in text for words in _DEVICE) else None


def _is_of(kind: type, package: str) -> bool:
    return kind.__module__.startswith(package)
