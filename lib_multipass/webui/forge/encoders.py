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

_UNREAD = "clip_l.transformer.text_projection.weight"
"""What most files lack: Neo leaves it as it was in memory, and never reads it (``classic_engine.py``)."""


def share(model: Any, others: Iterable[Any]) -> None:
    """Let a model that was just made have the text encoders of one of these, if they are equal to the last bit.

    Args:
        model: it was not used yet; it is whole, whatever comes of this.
        others: kept models that were made with a file in common with it; none of them is active.
    """
    try:
        _share(model, others)
    except (RuntimeError, AttributeError):
        log.exception("the text encoders of %s could not be compared", model.sd_checkpoint_info.name_for_extra)


def _share(model: Any, others: Iterable[Any]) -> None:
    clip, users = _clip(model), _users(model)
    if clip is None or not users or not all(_works_with(part, clip.cond_stage_model) for part in users.values()):
        return
    for other in others:
        kinds = {name: type(part) for name, part in _users(other).items()}
        if kinds == {name: type(part) for name, part in users.items()} and _are_equal(clip, _clip(other)):
            _take(model, other)
            names = (one.sd_checkpoint_info.name_for_extra for one in (model, other))
            log.info("%s has the text encoders of %s, which are the same", *names)
            return


def settle(model: Any) -> None:
    """Put back what LoRAs of another model have done to the text encoders that a model shares with it.

    Encoding does that too. Outside a job the webui may save the model without it (``ui_checkpoint_merger.py``).
    """
    patcher = getattr(_clip(model), "patcher", None)
    patched = getattr(getattr(patcher, "model", None), "current_weight_patches_uuid", None)
    if patched is not None and patched != model.forge_objects.clip.patcher.patches_uuid:
        patcher.detach()


def _clip(model: Any) -> Any:
    """As the model has it without LoRAs; None if it has none that is known."""
    clip = getattr(model.forge_objects_original, "clip", None)
    return clip if isinstance(getattr(clip, "cond_stage_model", None), torch.nn.Module) else None


def _users(model: Any) -> dict[str, Any]:
    """What turns texts into conditionings, each with a text encoder."""
    return {name: part for name, part in vars(model).items() if hasattr(part, "text_encoder")}


def _works_with(part: Any, encoders: torch.nn.Module) -> bool:
    """Whether its text encoder is among these, and can be replaced."""
    return any(vars(part).get("text_encoder") is one for one in encoders.modules())


def _are_equal(one: Any, other: Any) -> bool:
    if other is None or one.cond_stage_model is other.cond_stage_model:
        return False
    mine, theirs = _tensors(one), _tensors(other)
    return mine.keys() == theirs.keys() and all(_is_equal(mine[name], theirs[name]) for name in mine)


def _tensors(clip: Any) -> dict[str, torch.Tensor]:
    """Its weights by name; of those that a LoRA is in, where encoders stay patched on the CPU, what is put back."""
    encoders = clip.cond_stage_model
    tensors = {**dict(encoders.named_parameters()), **dict(encoders.named_buffers())}
    tensors.pop(_UNREAD, None)
    return {name: getattr(clip.patcher.backup.get(name), "weight", tensor) for name, tensor in tensors.items()}


def _is_equal(new: torch.Tensor, used: torch.Tensor) -> bool:
    """Whether a new weight and one that was used are the same.

    The webui turns tables of embeddings to float32 as it uses them. Of quantised weights the bytes do not tell all, so
    they never count as the same.
    """
    kinds = (torch.Tensor, torch.nn.Parameter)
    if any(type(one) not in kinds or type(one.data) is not torch.Tensor for one in (new, used)):
        return False
    if new.shape != used.shape or new.device != used.device or used.dtype not in (new.dtype, torch.float32):
        return False
    one, other = (tensor.detach().reshape(-1).view(torch.uint8) for tensor in (new, used.to(new.dtype)))
    return torch.equal(one, other)


def _take(model: Any, other: Any) -> None:
    """Let a model have another one's text encoders, and what works with them."""
    shared = _clip(other).clone()
    theirs = _users(other)
    for name, part in _users(model).items():
        part.text_encoder = theirs[name].text_encoder
        if hasattr(part, "embeddings"):
            # The table of words looks for textual inversions in the list it was made with; the new one is up to date.
            vars(theirs[name].embeddings).update(vars(part.embeddings))
            part.embeddings = theirs[name].embeddings
    for objects in (model.forge_objects, model.forge_objects_original, model.forge_objects_after_applying_lora):
        objects.clip = shared
