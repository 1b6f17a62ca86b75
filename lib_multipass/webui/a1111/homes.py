"""Weights that live in RAM for good: the device has a copy of them, or nothing.

The webui moves a model tensor by tensor, out of memory that the system may move meanwhile, and copies it back although
nothing in it has changed. Here the weights lie in a few chunks of page-locked memory. To the device goes one copy of
each chunk; away from it the parameters are pointed home again, and only what was written meanwhile is copied back.

A move happens as a whole or not at all: whatever can fail comes before the first parameter is pointed elsewhere.
Written with torch 2.0 to 2.14 alone, no webui.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from lib_multipass.webui.a1111 import lora_memory
from lib_multipass.webui.a1111.pins import Pins, own_pages

CHUNK = 256 * 2**20
"""Bytes. A copy is as fast as the bus from some MB on, and no chunk needs a large hole in the device's memory."""
ALIGNED = 512
"""Bytes, as torch's own allocator aligns."""


@dataclass(eq=False, slots=True)
class Member:
    """A parameter and its place in a chunk."""

    tensor: torch.nn.Parameter
    start: int
    home: torch.Tensor | None = None
    """Its weights in RAM, as the parameter has them: shape, strides, dtype."""
    seen: tuple[int, int] = (0, 0)
    """Address and version on the device, before anybody could write to it."""

    def view(self, flat: torch.Tensor) -> torch.Tensor:
        """Its place in a copy of the chunk."""
        like = self.tensor if self.home is None else self.home
        size = like.numel() * like.element_size()
        return flat[self.start : self.start + size].view(like.dtype).as_strided(like.shape, like.stride())

    def is_home(self) -> bool:
        """Whether the parameter is its weights in RAM, as they are there."""
        now, home = self.tensor, self.home
        return now.data_ptr() == home.data_ptr() and _kind(now) == _kind(home)


def _kind(tensor: torch.Tensor) -> tuple:
    return tensor.dtype, tensor.shape, tensor.stride()


@dataclass(eq=False)
class Chunk:
    """Parameters that move together."""

    child: str
    """The one child of the module that they are of; who copies a tensor with all its memory copies no other child's."""
    size: int = 0
    members: list[Member] = field(default_factory=list)
    pages: torch.Tensor | None = None
    copy: torch.Tensor | None = None
    """What the device has; None while they are at home."""

    def fits(self, child: str, size: int) -> bool:
        """Whether so many bytes more of a child belong into it."""
        return child == self.child and self.size + size <= CHUNK

    def add(self, tensor: torch.nn.Parameter) -> None:
        """Give this parameter a place."""
        self.members.append(Member(tensor, self.size))
        self.size += -(-_bytes(tensor) // ALIGNED) * ALIGNED


class Home:
    """The weights of one module: a whole checkpoint, or a part of one that the webui moves by itself."""

    def __init__(self, module: torch.nn.Module, pins: Pins) -> None:
        self.chunks: list[Chunk] = []
        self.is_away = False
        """Whether the device has a copy, and the parameters point to it."""
        self._pins = pins
        self._module: weakref.ref[torch.nn.Module] | None = weakref.ref(module)
        """None once the weights are at home."""
        self.layers: list[torch.nn.Module] = []

    @property
    def size(self) -> int:
        """Bytes of RAM."""
        return sum(chunk.size for chunk in self.chunks)

    def settle(self) -> None:
        """Copy all weights into chunks and point the parameters there, the first time.

        One chunk after the other, so that no more than one lies in RAM twice. What fails leaves every parameter whole.

        Raises:
            RuntimeError: if the computer's memory was not enough.
        """
        if self._module is None:
            return
        module, self._module = self._module(), None
        with _plainly():
            for chunk in _planned(module):
                self._fill(chunk)
            self.layers = lora_memory.layers(module)

    def _fill(self, chunk: Chunk) -> None:
        chunk.pages = own_pages(chunk.size)
        self.chunks.append(chunk)
        self._pins.lock(chunk.pages)
        for member in chunk.members:
            member.home = member.view(chunk.pages)
            member.home.copy_(member.tensor, non_blocking=True)
        wait(member.tensor for member in chunk.members)
        for member in chunk.members:
            member.tensor.data = member.home

    def go(self, device: Any) -> None:
        """Bring a copy to the device, which may still be on its way afterwards; see :func:`wait`.

        Raises:
            RuntimeError: if its memory or the computer's was not enough; all is where it was.
        """
        self.settle()
        if self.is_away or not self.chunks:
            return
        with _plainly():
            lora_memory.unpatch(self.layers, {})  # put in by the webui while it moved them, with copies of its own
            copies = [torch.empty(chunk.size, dtype=torch.uint8, device=device) for chunk in self.chunks]
            for chunk, copy in zip(self.chunks, copies, strict=True):
                copy.copy_(chunk.pages[: chunk.size], non_blocking=True)
            for chunk, copy in zip(self.chunks, copies, strict=True):
                chunk.copy = copy
                # Loaded or converted meanwhile into memory of its own: it moves as the webui moves it from now on.
                chunk.members = [member for member in chunk.members if member.is_home()]
                for member in chunk.members:
                    member.tensor.data = member.view(copy)
                    member.seen = member.tensor.data_ptr(), member.tensor._version
        self.is_away = True
        self._drop_empty()
        lora_memory.lend(self.layers, self.homes())

    def come(self) -> None:
        """Point all that is on the device home again, whatever it was written with.

        Raises:
            RuntimeError: if the computer's memory was not enough, the first time.
        """
        self.settle()
        if not self.is_away:
            return
        homes = self.homes()
        wait(chunk.copy for chunk in self.chunks if chunk.copy is not None)
        with _plainly():
            whole = lora_memory.unpatch(self.layers, homes)
            for chunk in self.chunks:
                gone = []
                for member in chunk.members:
                    tensor = member.tensor
                    if (tensor.data_ptr(), tensor._version) == member.seen or _is_saved(member, whole):
                        tensor.data = member.home
                    else:
                        gone.append(member)
                chunk.members = [member for member in chunk.members if member not in gone] if gone else chunk.members
                chunk.copy = None
            lora_memory.unpatch(self.layers, homes)  # what another thread put in meanwhile went with the device's copy
        self.is_away = False
        lora_memory.take_back(self.layers)
        self._drop_empty()

    def leave(self) -> None:
        """Let the module be as any other from now on; its parameters stay where they are, and as they are."""
        lora_memory.take_back(self.layers)
        self._module = None
        for chunk in self.chunks:
            self._unlock(chunk)
        self.chunks, self.layers, self.is_away = [], [], False

    def homes(self) -> dict[int, torch.Tensor]:
        """Weights in RAM, by the identity of their parameter."""
        return {id(member.tensor): member.home for chunk in self.chunks for member in chunk.members}

    def _drop_empty(self) -> None:
        for chunk in [chunk for chunk in self.chunks if not chunk.members]:
            self._unlock(chunk)
            self.chunks.remove(chunk)

    def _unlock(self, chunk: Chunk) -> None:
        wait([] if chunk.copy is None else [chunk.copy])
        self._pins.unlock(chunk.pages)


def _planned(module: torch.nn.Module) -> list[Chunk]:
    """In which chunks a module's parameters will lie; those that are no plain dense tensors in memory are left out."""
    chunks: list[Chunk] = []
    for name, tensor in module.named_parameters():
        child = name.split(".")[0]
        if type(tensor) is not torch.nn.Parameter or tensor.is_meta or not tensor.numel() or not _is_dense(tensor):
            continue
        if not chunks or not chunks[-1].fits(child, _bytes(tensor)):
            chunks.append(Chunk(child))
        chunks[-1].add(tensor)
    return chunks


def _is_saved(member: Member, whole: set[int]) -> bool:
    """Bring home what was written to a parameter on the device; False if it has become another one there."""
    if member.is_home():
        return True
    if _kind(member.tensor) != _kind(member.home):
        return False
    if id(member.tensor) in whole:
        return True
    member.home.copy_(member.tensor)
    return True


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether its elements lie side by side in some order of axes (``--opt-channelslast`` has an order of its own)."""
    if tensor.layout is not torch.strided:
        return False
    axes = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    return tensor.permute(axes).is_contiguous()


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


@contextmanager
def _plainly() -> Iterator[None]:
    """What is made here has a version, also where the webui computes without."""
    with torch.inference_mode(False), torch.no_grad():
        yield


def wait(tensors: Iterable[torch.Tensor]) -> None:
    """Until the devices that these lie on have done what they were told."""
    for device in {tensor.device for tensor in tensors if tensor.is_cuda}:
        torch.cuda.synchronize(device)
