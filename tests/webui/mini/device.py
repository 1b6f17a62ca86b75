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
- A part of a split model: it lies half on the device; the part that was there before is in RAM, and still noted as
  being there, so it is this one that is moved away next, and the half stays until that part is used again.
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
    *("reset_peak_memory_stats", "empty_cache", "current_device", "synchronize", "cudart"),
)


class _Placed:
    """A tensor that says that it lies on the device."""

    device, is_cuda = torch.device("cuda", 0), True

    def __init__(self, tensor):
        self._tensor = tensor

    def __getattr__(self, name):
        return getattr(self._tensor, name)


def _size(module):
    """Of its real tensors: a dtype counts as wide as it is."""
    tensors = [*nn.Module.parameters(module), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class _Accounted(nn.Module):
    """While a device is pretended, its moves are accounted. Its first tensors move first."""

    on_device = 0  # how much of it lies there

    @property
    def size(self):
        return _size(self)

    def to(self, *args, **kwargs):
        target, dtype = torch._C._nn._parse_to(*args, **kwargs)[:2]
        if current is None or target is None:
            before = self.size if dtype else 0
            super().to(*args, **kwargs)
            self._change_width(before and self.size / before)
            return self
        super().to("meta" if target.type == "meta" else "cpu")  # what is gone cannot come back: torch refuses
        current.place(self, target.type)
        return self

    def _change_width(self, factor):
        """What lies on the device in another dtype takes more or less there."""
        if factor:
            self.on_device = int(self.on_device * factor)

    def working(self, pixels):
        """For the time of one computation on a picture or latent of so many pixels, all of a batch together."""
        return contextlib.nullcontext() if current is None else current.working(self, pixels)


class Part(_Accounted):
    """A part of a model, which moves by itself where the host splits the model (`lowvram`)."""

    whole = None

    def owner(self):
        return self.whole()


class Movable(_Accounted):
    """A whole model."""

    def parts(self):
        return [part for part in self.children() if isinstance(part, Part)]

    def owner(self):
        return self

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, Part):
            value.whole = weakref.ref(self)

    def parameters(self, recurse=True):
        left = self.on_device
        for tensor in super().parameters(recurse):
            yield _Placed(tensor) if left > 0 else tensor
            left -= tensor.numel() * tensor.element_size() * (current.scale if current else 1)


class _OnDevice(torch.Tensor):
    """A tensor outside of any module that says that it lies on the device."""

    device, is_cuda = torch.device("cuda", 0), True


class Device:
    """The accounts. Answers under the names of `torch.cuda`, the device among their arguments being of no meaning.

    `total` is None where only RAM is pretended, `host` where only the device is. `per_pixel` is what computing takes,
    `tries` what it would take besides for its fastest way: if that is not there, it is counted as refused, and another
    way is taken. `container` is what a control group leaves of the RAM, files that were read being cached in it.
    Weights and files count `scale` times. `spills` is whether it takes RAM where it is full, as drivers on Windows do.
    `index` is its number among the devices, of which torch's current one is the first; the others are idle.
    """

    def __init__(self, total=None, per_pixel=0, host=None, scale=1, tries=0, container=None, spills=False, index=0):
        self.total, self.per_pixel, self.host, self.scale = total, per_pixel, host, scale
        self.tries, self.container, self.cached = tries, container, {}
        self.spills, self.index = spills, index
        self.models, self.parts, self.outside = weakref.WeakSet(), weakref.WeakSet(), []
        self.busy, self.peak, self.ooms, self.reserved, self.reserved_peak = 0, 0, 0, 0, 0
        self.locked, self.locks = {}, True  # pages by address, and whether the driver locks any
        self.copies_here = []  # of weights that lie in RAM as well
        self.lowest = host  # the least RAM that was ever available; below zero means that a real machine would swap

    @property
    def used(self):
        modules = [*self.models, *self.parts]
        return self.busy + sum(module.on_device for module in modules) + self._outside(True)

    @property
    def in_ram(self):
        models = [model for model in list(self.models) if not next(model.parameters()).is_meta]
        moved = sum(module.on_device for module in [*models, *self.parts])
        copied = sum(size for copy, size in self.copies_here if copy() is not None) * self.scale
        return sum(model.size * self.scale for model in models) - moved + copied + self._outside(False)

    @property
    def available(self):
        return None if self.host is None else self.host - self.in_ram

    def _outside(self, on_device):
        living = [tensor() for tensor, there in self.outside if there == on_device]
        return sum(t.numel() * t.element_size() * self.scale for t in living if t is not None)

    def copies(self, tensors, on_device):
        """Copies of tensors that no module holds, and that no move of a model moves along."""
        made = {name: tensor.clone() for name, tensor in tensors.items()}
        if on_device:
            made = {name: tensor.as_subclass(_OnDevice) for name, tensor in made.items()}
        self.outside += [(weakref.ref(tensor), on_device) for tensor in made.values()]
        self._note()
        return made

    def report(self):
        known = {name: getattr(self, name) for name in ("total", "used", "reserved", "peak", "ooms", "available")}
        return {**known, "lowest_available": self.lowest}

    def place(self, module, target):
        """All of a model or a part to "cuda", "cpu" or "meta"; a move that does not fit fills the device and raises."""
        whole, size = module.owner(), module.size * self.scale
        before = (module.on_device, getattr(module, "gone", False))
        (self.models if module is whole else self.parts).add(module)
        if module is whole:
            for part in whole.parts():
                part.on_device = 0
        wanted = size - module.on_device if target == "cuda" else -module.on_device
        fits = min(wanted, self.total - self.used) if wanted > 0 and not self.spills else wanted
        module.on_device, module.gone = module.on_device + fits, target == "meta"
        self._note()
        if fits < wanted:
            self._refuse(whole, wanted - fits)
        if self.total is not None and module is whole and before != (module.on_device, module.gone):
            events.record(_VERBS[target], whole.sd_checkpoint_info.name_for_extra)

    @contextlib.contextmanager
    def working(self, part, pixels):
        whole = part.owner()
        needed = part if whole.lowvram else whole
        if self.total is not None and needed.on_device < needed.size * self.scale:
            raise RuntimeError("Expected all tensors to be on the same device, but found at least two, cuda:0 and cpu!")
        wanted = pixels * self.per_pixel if self.total is not None else 0
        if wanted and wanted > self.total - self.used and not self.spills:
            self._refuse(whole, wanted)
        self.ooms += self.total is not None and pixels * self.tries > self.total - self.used
        self.busy += wanted
        self._note()
        try:
            yield
        finally:
            self.busy -= wanted

    def reading(self, filename):
        """A file's bytes are in RAM before they are weights, and stay in the cache of files."""
        size = Path(filename).stat().st_size * self.scale
        self.cached[filename] = size
        self._note(size)

    def control_group(self, path):
        """What Linux says in a file about the group of this process; None for a file that is not about it."""
        cached = min(sum(self.cached.values()), self.container - self.in_ram)
        return {
            "/proc/self/cgroup": "0::/docker/4f1c\n",
            "/sys/fs/cgroup/memory.max": f"{self.container}\n",
            "/sys/fs/cgroup/memory.current": f"{self.in_ram + cached}\n",
            "/sys/fs/cgroup/memory.stat": f"anon {self.in_ram}\ninactive_file 0\nactive_file {cached}\n",
        }.get(path)

    def _note(self, reading=0):
        self.peak, self.reserved = max(self.peak, self.used), max(self.reserved, self.used)
        self.reserved_peak = max(self.reserved_peak, self.reserved)
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
        return (max(0, self.total - self.reserved) if self._is_meant(device) else self.total), self.total

    def _is_meant(self, device):
        index = getattr(device, "index", device)
        return self.index == (self.current_device() if index is None else index)

    def memory_allocated(self, device=None):
        return self.used if self._is_meant(device) else 0

    def memory_reserved(self, device=None):
        return self.reserved if self._is_meant(device) else 0

    def memory_stats(self, device=None):
        peaks = {"allocated_bytes.all.peak": self.peak, "reserved_bytes.all.peak": self.reserved_peak}
        return {**peaks, "num_ooms": self.ooms} if self._is_meant(device) else {}

    def reset_peak_memory_stats(self, device=None):
        if self._is_meant(device):
            self.peak, self.reserved_peak = self.used, self.reserved

    def synchronize(self, device=None): ...

    def cudart(self):
        return self

    def cudaHostRegister(self, address, size, flags):
        if self.locks:
            self.locked[address] = size
        return 0 if self.locks else 1

    def cudaHostUnregister(self, address):
        return 0 if self.locked.pop(address, None) else 1

    def empty(self, original):
        """What is asked for on the device lies in RAM in truth; the moves of models account for it."""

        def wrapped(*args, device=None, **kwargs):
            if torch.device(device or "cpu").type != "cuda":
                return original(*args, device=device, **kwargs)
            made = original(*args, **kwargs)
            self.copies_here.append((weakref.ref(made), made.numel() * made.element_size()))
            return made

        return wrapped

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
            stack.enter_context(mock.patch.object(torch, "empty", device.empty(torch.empty)))
            for module in (devices, shared):
                stack.enter_context(mock.patch.object(module, "device", torch.device("cuda", device.index or None)))
        if device.host is not None:
            real = psutil.virtual_memory
            ram = lambda: real()._replace(total=device.host, available=max(0, device.available))  # noqa: E731
            stack.enter_context(mock.patch.object(psutil, "virtual_memory", ram))
        if device.container is not None:
            told = Path.read_text
            read_text = lambda path, *args, **kwargs: device.control_group(str(path)) or told(path, *args, **kwargs)  # noqa: E731
            stack.enter_context(mock.patch.object(Path, "read_text", read_text))
        current = device
        try:
            yield device
        finally:
            current = None
            for module in [*device.models, *device.parts]:
                module.on_device = 0
