"""A pretended CUDA device, and RAM of a pretended size, so that tests see what lies where and what does not fit.

Tensors stay on the CPU in truth: moves are accounted, not done. All sizes are in bytes.

What an OutOfMemoryError leaves behind in the host, 1.6.0 and 1.10.1 alike, and so here:
- Back to a loaded model: the active one was parked before (not with `sd_checkpoints_keep_in_cpu` off) and stays
  `model_data.sd_model`; the wanted one lies half on the device, and fills it, until something moves it. A job that
  wants the parked one takes it for active and fails between two devices, until another checkpoint was activated.
- A new model beside others: what was built of it goes with the exception, `model_data.sd_model` is None, the others
  stay listed. 1.10.1 recovers at the next swap; 1.6.0 tries to park the None and fails as long as any other is listed.
- Into the instance of another: it holds the new weights, half moved, and is active but no longer listed. 1.6.0 has
  announced it to `model_loaded` callbacks by then (not so here), 1.10.1 has not.
- While sampling or decoding: every model stays where it was.
The host builds a new model's tensors on the device, one by one; here they are moved there once all are loaded.
"""

import contextlib
import weakref
from pathlib import Path
from unittest import mock

import psutil
import torch
from torch import nn

from mini import events

current = None  # the pretended Device
_VERBS = {"cuda": "to device", "cpu": "to cpu", "meta": "trash"}
_ANSWERS = (
    *("is_available", "get_device_name", "mem_get_info", "memory_allocated", "memory_reserved", "memory_stats"),
    *("reset_peak_memory_stats", "empty_cache", "current_device"),
)


class _Placed:
    """A tensor that says that it lies on the device."""

    device, is_cuda = torch.device("cuda", 0), True

    def __init__(self, tensor):
        self._tensor = tensor

    def __getattr__(self, name):
        return getattr(self._tensor, name)


class Movable(nn.Module):
    """A whole model; while a device is pretended, its moves are accounted. Its first tensors move first."""

    on_device = 0  # how much of it lies there

    @property
    def size(self):
        return sum(tensor.numel() * tensor.element_size() for tensor in [*super().parameters(), *self.buffers()])

    def parameters(self, recurse=True):
        left = self.on_device
        for tensor in super().parameters(recurse):
            yield _Placed(tensor) if left > 0 else tensor
            left -= tensor.numel() * tensor.element_size() * (current.scale if current else 1)

    def to(self, *args, **kwargs):
        target = torch._C._nn._parse_to(*args, **kwargs)[0]
        if current is None or target is None:
            return super().to(*args, **kwargs)
        super().to("meta" if target.type == "meta" else "cpu")  # what is gone cannot come back: torch refuses
        current.place(self, target.type)
        return self

    def working(self, pixels):
        """For the time of one computation on a picture or latent of so many pixels, all of a batch together."""
        return contextlib.nullcontext() if current is None else current.working(self, pixels)


class Device:
    """The accounts. Answers under the names of `torch.cuda`, the device among their arguments being of no meaning.

    `total` is None where only RAM is pretended, `host` where only the device is. `per_pixel` is what computing takes.
    Weights and files count `scale` times.
    """

    def __init__(self, total=None, per_pixel=0, host=None, scale=1):
        self.total, self.per_pixel, self.host, self.scale = total, per_pixel, host, scale
        self.models, self.busy, self.peak, self.ooms, self.reserved = weakref.WeakSet(), 0, 0, 0, 0
        self.lowest = host  # the least RAM that was ever available; below zero means that a real machine would swap

    @property
    def used(self):
        return self.busy + sum(model.on_device for model in list(self.models))

    @property
    def available(self):
        if self.host is None:
            return None
        in_ram = [model for model in list(self.models) if not next(model.parameters()).is_meta]
        return self.host - sum(model.size * self.scale - model.on_device for model in in_ram)

    def report(self):
        known = {name: getattr(self, name) for name in ("total", "used", "reserved", "peak", "ooms", "available")}
        return {**known, "lowest_available": self.lowest}

    def place(self, model, target):
        """All of a model to "cuda", "cpu" or "meta"; a move that does not fit fills the device and raises."""
        before, size = (model.on_device, getattr(model, "gone", False)), model.size * self.scale
        self.models.add(model)
        wanted = size - model.on_device if target == "cuda" else -model.on_device
        fits = min(wanted, self.total - self.used) if wanted > 0 else wanted
        model.on_device, model.gone = model.on_device + fits, target == "meta"
        self._note()
        if fits < wanted:
            self._refuse(model, wanted - fits)
        if self.total is not None and before != (model.on_device, model.gone):
            events.record(_VERBS[target], model.sd_checkpoint_info.name_for_extra)

    @contextlib.contextmanager
    def working(self, model, pixels):
        if self.total is not None and not model.lowvram and model.on_device < model.size * self.scale:
            raise RuntimeError("Expected all tensors to be on the same device, but found at least two, cuda:0 and cpu!")
        wanted = pixels * self.per_pixel if self.total is not None else 0
        if wanted and wanted > self.total - self.used:
            self._refuse(model, wanted)
        self.busy += wanted
        self._note()
        try:
            yield
        finally:
            self.busy -= wanted

    def reading(self, filename):
        """A file's bytes are in RAM before they are weights."""
        self._note(Path(filename).stat().st_size * self.scale)

    def _note(self, reading=0):
        self.peak, self.reserved = max(self.peak, self.used), max(self.reserved, self.used)
        if self.host is not None:
            self.lowest = min(self.lowest, self.available - reading)

    def _refuse(self, model, wanted):
        self.ooms += 1
        events.record("no room", model.sd_checkpoint_info.name_for_extra)
        free, mib = self.total - self.used, 2**20
        raise torch.cuda.OutOfMemoryError(
            f"CUDA out of memory. Tried to allocate {wanted / mib:.2f} MiB. GPU 0 has a total capacity of "
            f"{self.total / mib:.2f} MiB of which {free / mib:.2f} MiB is free."
        )

    def is_available(self):
        return True

    def current_device(self):
        return 0

    def get_device_name(self, device=None):
        return "Pretended device"

    def mem_get_info(self, device=None):
        """Free and total; what torch keeps for later use counts as taken. Of the answers only this wants a number."""
        if isinstance(device, torch.device) and device.index is None:
            raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")
        return self.total - self.reserved, self.total

    def memory_allocated(self, device=None):
        return self.used

    def memory_reserved(self, device=None):
        return self.reserved

    def memory_stats(self, device=None):
        return {"allocated_bytes.all.peak": self.peak, "num_ooms": self.ooms}

    def reset_peak_memory_stats(self, device=None):
        self.peak = self.used

    def empty_cache(self):
        self.reserved = self.used


def records_moves():
    return current is not None and current.total is not None


def of_flags(flags):
    """The device that the command line asks for, or None."""
    if flags.device_memory is None and flags.host_memory is None:
        return None
    return Device(flags.device_memory, flags.work_memory, flags.host_memory, flags.weight_scale)


@contextlib.contextmanager
def pretend(device):
    """With this device, if any; afterwards the process is as it was."""
    global current
    if device is None:
        yield None
        return
    from modules import devices, shared

    with contextlib.ExitStack() as stack:
        if device.total is not None:
            answers = {name: getattr(device, name) for name in _ANSWERS}
            stack.enter_context(mock.patch.multiple(torch.cuda, **answers))
            for module in (devices, shared):
                stack.enter_context(mock.patch.object(module, "device", torch.device("cuda")))
        if device.host is not None:
            real = psutil.virtual_memory
            ram = lambda: real()._replace(total=device.host, available=max(0, device.available))  # noqa: E731
            stack.enter_context(mock.patch.object(psutil, "virtual_memory", ram))
        current = device
        try:
            yield device
        finally:
            current = None
            for model in list(device.models):
                model.on_device = 0
