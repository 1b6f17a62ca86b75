"""Whose memory torch's own errors say was short."""

from __future__ import annotations

import pytest
import torch

from lib_multipass.memory.shortage import DEVICE, lack_of


@pytest.mark.parametrize("text", ["CUDA out of memory. Tried to allocate 2.00 GiB.", "\n╭─ ADetailer ─╮\n"])
def test_the_devices_whatever_its_text(text: str) -> None:
    assert lack_of(torch.cuda.OutOfMemoryError(text)) == DEVICE
