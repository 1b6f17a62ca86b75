"""Text encoders that two kept models have from the same files, and hold once.

Forge Neo makes each model with text encoders of its own. Those of the newer architectures are files beside the
checkpoint, the same ones for many of them, and take up to 10 GB. What a model has is a ``CLIP``: the weights, and what
LoRAs have done to them. A clone of one shares the weights, as the webui's own LoRA code makes it for each prompt
(``backend/patcher/clip.py``); what was patched for one clone is put back before another one is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from lib_multipass.words import log


def share(model: Any, others: Iterable[Any]) -> None:
    """Let a model that was just made have the text encoders of one of these, if they are equal to the last bit.

    Args:
        model: it was not used yet.
        others: kept models that were made with a file in common with it; none of them is active.
    """
    mine, users = _encoders(model), _users(model)
    if mine is None or not users or not all(_works_with(part, mine) for part in users.values()):
        return
    for other in others:
        kinds = {name: type(part) for name, part in _users(other).items()}
        if kinds == {name: type(part) for name, part in users.items()} and _are_equal(mine, _encoders(other)):
            _take(model, other)
            names = (one.sd_checkpoint_info.name_for_extra for one in (model, other))
            log.info("%s has the text encoders of %s, which are the same", *names)
            return


def _encoders(model: Any) -> torch.nn.Module | None:
    return getattr(getattr(model.forge_objects_original, "clip", None), "cond_stage_model", None)


def _users(model: Any) -> dict[str, Any]:
    """What turns texts into conditionings, each with a text encoder."""
    return {name: part for name, part in vars(model).items() if hasattr(part, "text_encoder")}


def _works_with(part: Any, encoders: torch.nn.Module) -> bool:
    """Whether its text encoder is among these, and can be replaced."""
    return any(vars(part).get("text_encoder") is one for one in encoders.modules())


def _are_equal(one: torch.nn.Module, other: torch.nn.Module | None) -> bool:
    if other is None or one is other:
        return False
    mine, theirs = _tensors(one), _tensors(other)
    return mine.keys() == theirs.keys() and all(_is_equal(mine[name], theirs[name]) for name in mine)


def _tensors(encoders: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(encoders.named_parameters()), **dict(encoders.named_buffers())}


def _is_equal(new: torch.Tensor, used: torch.Tensor) -> bool:
    """Whether a new weight and one that was used are the same.

    The webui turns tables of embeddings to float32 as it uses them. Of quantised weights the bytes do not tell all, so
    they never count as the same.
    """
    plain = type(new) in (torch.Tensor, torch.nn.Parameter) and type(new.data) is torch.Tensor
    if not plain or type(used) is not type(new) or new.shape != used.shape or new.device != used.device:
        return False
    if used.dtype not in (new.dtype, torch.float32):
        return False
    same = used.to(new.dtype)
    if new.dtype.itemsize == 1:  # floats of 8 bits cannot be compared on every device
        return torch.equal(new.view(torch.uint8), same.view(torch.uint8))
    return torch.equal(new, same)


def _take(model: Any, other: Any) -> None:
    """Let a model have another one's text encoders, and what works with them."""
    shared = other.forge_objects_original.clip.clone()
    for objects in (model.forge_objects, model.forge_objects_original, model.forge_objects_after_applying_lora):
        objects.clip = shared
    theirs = _users(other)
    for name, part in _users(model).items():
        part.text_encoder = theirs[name].text_encoder
        if hasattr(part, "embeddings"):  # its table of words looks for textual inversions in the list it was made with
            part.embeddings = theirs[name].embeddings
