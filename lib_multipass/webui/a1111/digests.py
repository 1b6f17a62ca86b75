"""What tensors, pictures and models are, as bytes: to tell whether two are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

_BACKUPS = {"weight": "network_weights_backup", "bias": "network_bias_backup"}
"""Where the webui's LoRA code keeps a layer's own weights."""
_SOME = 16


def raw(value: Any) -> tuple[str, bytes] | None:
    """What a tensor or a picture is, and its bytes; None for anything else."""
    if isinstance(value, torch.Tensor):
        return f"tensor {value.dtype} {tuple(value.shape)}", _bytes_of(value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"array {value.dtype} {value.shape}", value.tobytes()
    if isinstance(value, np.generic):
        return f"number {value.dtype}", value.tobytes()
    if isinstance(value, torch.Generator):
        return "generator", _bytes_of(value.get_state())
    if isinstance(value, Image.Image):
        return f"picture {value.mode} {value.size}", value.tobytes()
    return None


def _bytes_of(tensor: torch.Tensor) -> bytes:
    return tensor.detach().reshape(-1).contiguous().view(torch.uint8).cpu().numpy().tobytes()


def weights(model: torch.nn.Module) -> str:
    """A digest of a few elements of each weight, which tells a model that was merged or replaced from its file's.

    Where a LoRA has been worked into a layer its own weights count, which the webui keeps beside it.
    """
    return of(_own_weights(model))


def _own_weights(model: torch.nn.Module) -> Iterator[torch.Tensor]:
    for layer in model.modules():
        for name, weight in layer._parameters.items():
            own = getattr(layer, _BACKUPS.get(name, ""), None)
            known = own if isinstance(own, tuple) else (weight if own is None else own,)
            yield from (each for each in known if each is not None)


def of(tensors: Iterable[torch.Tensor]) -> str:
    """A digest of a few elements of each tensor."""
    pieces: list[tuple[str, torch.Tensor]] = []
    for known in tensors:
        some = known.detach().reshape(-1)[:: max(1, known.numel() // _SOME)][:_SOME]
        pieces.append((str(known.dtype), some.contiguous().view(torch.uint8)))
    digest = hashlib.sha256(" ".join(dtype for dtype, _ in pieces).encode())
    for some in _in_ram([some for _, some in pieces]):
        digest.update(some.numpy().tobytes())
    return digest.hexdigest()


def _in_ram(pieces: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The same on the CPU, in their order, with one copy from each device."""
    by_device: dict[torch.device, list[int]] = {}
    for number, piece in enumerate(pieces):
        by_device.setdefault(piece.device, []).append(number)
    found = list(pieces)
    for numbers in by_device.values():
        sizes = [len(pieces[number]) for number in numbers]
        together = torch.cat([pieces[number] for number in numbers]).cpu()
        for number, piece in zip(numbers, together.split(sizes), strict=True):
            found[number] = piece
    return found
