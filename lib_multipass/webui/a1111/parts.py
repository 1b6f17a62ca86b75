"""Models of which the webui moves one part at a time to the device: ``--medvram``, ``--lowvram``, ``--medvram-sdxl``.

``modules/lowvram.py`` (1.6.0 to 1.10.1) hooks each part. The hook moves the part before it computes, after it moved the
part away that came before: that one is ``lowvram.module_in_gpu``, of whatever model it is. So

- a model that is thrown away while its part is there leaves a part without tensors behind, and every later job of the
  webui, on any checkpoint, fails to move it away ("Cannot copy out of meta tensor");
- a part that did not fit lies half on the device, and is not the one that is moved away next.
"""

from __future__ import annotations

import inspect
from itertools import chain
from typing import Any

import torch
from modules import devices, lowvram

from lib_multipass.plan.names import Checkpoint
from lib_multipass.webui.a1111 import files
from lib_multipass.webui.base import host


def is_split(model: Any) -> bool:
    """Whether the webui moves this loaded model in parts."""
    return bool(getattr(model, "lowvram", False))


def held_bytes(model: Any) -> int:
    """Bytes of such a model that are on the device now."""
    part = lowvram.module_in_gpu
    if part is None or not is_split(model) or all(module is not part for module in model.modules()):
        return 0
    return _bytes(part)


def _bytes(part: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in chain(part.parameters(), part.buffers()))


def arriving_bytes(checkpoint: Checkpoint) -> int:
    """Bytes of a loaded checkpoint that come to the device when it is used; 0 of one that is moved as a whole.

    The part that is there now goes then, whosever it is.
    """
    model, part = host.models.loaded_model(checkpoint), lowvram.module_in_gpu
    if model is None or not is_split(model):
        return 0
    resident = files.resident_size(host.files.facts_of(checkpoint))
    return resident - (0 if part is None else _bytes(part))


def gather(model: Any) -> None:
    """Let every part of such a model lie in RAM, whole; a model that is moved as one stays as it is."""
    if not is_split(model):
        return
    lowvram.send_everything_to_cpu()
    for part in moved(model):
        part.to(devices.cpu)


def moved(model: Any) -> list[torch.nn.Module]:
    """The modules of such a model that the webui moves: those with its hook, or what the hook knows as their parent."""
    found = {}
    for module in model.modules():
        for hook in module._forward_pre_hooks.values():
            if getattr(hook, "__module__", "") == "modules.lowvram":
                part = inspect.getclosurevars(hook).nonlocals.get("parents", {}).get(module, module)
                found[id(part)] = part
    return [part for part in found.values() if isinstance(part, torch.nn.Module)]


def forget(model: Any) -> None:
    """Let the webui not move this model's part off the device, since it is about to be thrown away as it is."""
    if any(module is lowvram.module_in_gpu for module in model.modules()):
        lowvram.module_in_gpu = None
