"""What a model of reForge or Forge Neo is, as it is about to be sampled.

Both hand a model on as patchers (``forge_objects``): its modules, with what is worked into their weights and what is
called while they compute. Scripts replace the patchers of a pass by clones with more in them
(``process_before_every_sampling``), so whether anything works in a pass shows in them, whoever put it there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from lib_multipass.plan.alike import UnlikeError
from lib_multipass.webui.a1111 import digests

_OF_ITSELF = frozenset(
    (
        *("parent", "size", "pinned", "is_injected", "skip_injection", "current_hooks", "current_device", "model_keys"),
        "model_options",  # looked at by itself
    )
)
"""What says how a patcher stands, not what it does."""
_LEFT = "sampling_sigmas"
"""Of its options, what Neo's samplers leave of the last pass; each sets it anew (``sd_samplers_kdiffusion.py``)."""
_SCHEDULES = ("model_sampling", "predictor")
"""How reForge and Neo call a model's noise schedule."""
_PICTURES = ("ref_latents", "concat_latent", "lq_latent", "context_handler")
"""What Neo's models look at while they are sampled, such as references of Kontext (``dynamic_args``)."""
_SETTER = "set_sigmas"
"""What sets one, which Multipass holds in Neo while a second pass is on its way."""


def as_sampled(model: Any) -> dict[str, Any]:
    """What its diffusion model is, if nothing but LoRAs works in it.

    Args:
        model: a loaded model with patchers.

    Raises:
        UnlikeError: if something does, or if its weights cannot be told.
    """
    now, usual = model.forge_objects.unet, model.forge_objects_after_applying_lora.unet
    if any(map(_does_something, (now, usual))) or not _are_alike(now, usual):
        raise UnlikeError("what works in the diffusion model")
    return {"weights": _digest(now), "noise schedule": _schedule(now.model), "looks at": _looks_at()}


def _looks_at() -> list[Any]:
    args = getattr(sys.modules.get("backend.args"), "dynamic_args", None)
    return [getattr(args, name, None) for name in _PICTURES]


def vae_as_it_decodes(model: Any) -> dict[str, Any]:
    """What its VAE is, if nothing works in it.

    Raises:
        UnlikeError: if something does, or if its weights cannot be told.
    """
    vae = model.forge_objects.vae
    if vae is not model.forge_objects_after_applying_lora.vae:
        raise UnlikeError("what works in the VAE")
    return {"weights": _digest(vae.patcher), "dtype": str(vae.vae_dtype)}


def _does_something(patcher: Any) -> bool:
    options = {**patcher.model_options}
    of_blocks = {key: it for key, it in options.pop("transformer_options", {}).items() if key != _LEFT}
    return not (_is_empty(options) and _is_empty(of_blocks) and _is_empty(patcher.object_patches))


def _are_alike(now: Any, usual: Any) -> bool:
    if now is usual:
        return True
    a, b = ({key: it for key, it in vars(known).items() if key not in _OF_ITSELF} for known in (now, usual))
    try:
        return type(now) is type(usual) and a.keys() == b.keys() and all(_is_same(a[key], b[key]) for key in a)
    except RuntimeError:  # tensors that are not the same ones
        return False


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (_is_empty(one) and _is_empty(other)) or bool(one == other)


def _is_empty(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    return value is None or value is False or (isinstance(value, (list, tuple, set)) and not value)


def _digest(patcher: Any) -> str:
    try:
        return digests.of(_own_weights(patcher))
    except (RuntimeError, NotImplementedError, TypeError) as error:
        raise UnlikeError(f"weights of a kind that cannot be read ({error})") from error


def _own_weights(patcher: Any) -> Iterator[torch.Tensor]:
    """Without what LoRAs add, which stays worked in until others are needed (``patch_weight_to_device``)."""
    for name, weight in patcher.model.named_parameters():
        kept = patcher.backup.get(name)
        yield weight if kept is None else getattr(kept, "weight", kept)


def _schedule(model: Any) -> dict[str, Any]:
    found = next(known for name in _SCHEDULES if (known := getattr(model, name, None)) is not None)
    values = {name: value for name, value in vars(found).items() if not name.startswith("_") and name != _SETTER}
    return {"kind": type(found).__qualname__, **values, **dict(found.named_buffers())}
