"""The copies of weights that the webui keeps in each model to which LoRAs were applied.

While a prompt has a LoRA, every layer of the diffusion model and of the text encoders keeps the weights that it had
before on its first use (``extensions-builtin/Lora/networks.py``, 1.6.0 to 1.10.1): ``network_weights_backup``, a tensor
or, for attention of OpenCLIP, two, and ``network_bias_backup``. They lie in host memory and stay until the model goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from lib_multipass.memory.missing import plain

_LENT = "is_lent"
"""Mark on what is no copy but the weights in RAM themselves."""
_COPIES = ("network_weights_backup", "network_bias_backup")


def backup_bytes(model: torch.nn.Module) -> int:
    """Bytes of such copies that a loaded model holds now."""
    held = (vars(module).get(name) for module in model.modules() for name in _COPIES)
    own = (tensor for copy in held for tensor in _tensors(copy) if not hasattr(tensor, _LENT))
    return sum(tensor.numel() * tensor.element_size() for tensor in own)


def forget_biases(model: torch.nn.Module) -> None:
    """Let no LoRA give a model the biases of a checkpoint that was in its place before.

    The webui copies every bias before it is used for the first time. Loading another checkpoint into a layer makes it
    forget the copies, but in 1.6.0 not that of the bias, which the next LoRA would put back.
    """
    weights, bias = _COPIES
    for module in model.modules():
        if getattr(module, weights, None) is None and getattr(module, bias, None) is not None:
            setattr(module, bias, None)


def forget_copies(model: torch.nn.Module) -> None:
    """Forget the copies of weights that were just replaced, as the webui does when it loads a layer."""
    for module in model.modules():
        if hasattr(module, "network_current_names"):
            module.network_current_names = ()
            for name in _COPIES:
                setattr(module, name, None)


def own_tensors(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """A model's tensors by their names in a file, as they are without LoRAs."""
    copies = {}
    for path, module in model.named_modules():
        weights, bias = (vars(module).get(name) for name in _COPIES)
        names = ("in_proj_weight", "out_proj.weight") if isinstance(weights, tuple) else ("weight",)
        kept = dict(zip(names, weights if isinstance(weights, tuple) else (weights,), strict=True))
        kept["out_proj.bias" if "out_proj.weight" in kept else "bias"] = bias
        copies |= {f"{path}.{name}": copy for name, copy in kept.items() if copy is not None}
    for name, tensor in model.state_dict().items():
        yield plain(name), copies.get(name, tensor)


_CHANGED = (
    torch.nn.Linear,
    torch.nn.Conv2d,
    torch.nn.GroupNorm,
    torch.nn.LayerNorm,
    torch.nn.MultiheadAttention,
)
"""The kinds of layers that the webui puts networks into; it names many others (1.6.0 to 1.10.1)."""


def layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The layers that networks may change."""
    named = (module for module in model.modules() if getattr(module, "network_layer_name", None))
    return [module for module in named if isinstance(module, _CHANGED)]


def lend(layers: Sequence[torch.nn.Module], homes: Mapping[int, torch.Tensor]) -> None:
    """Give weights that lie in RAM, while the device has others, to the webui as its copies, so that it makes none.

    A layer's bias goes along: where the webui finds a copy of the weights and none of the bias, it takes the bias away
    (``network_restore_weights_from_backup``). A copy of the bias alone, which 1.6.0 makes at each layer's first use and
    keeps when another checkpoint is loaded into it, gives way.

    Args:
        layers: those that networks may change; one that has copies, or is changed now, is left as it is.
        homes: the weights in RAM, by the identity of their parameter.
    """
    for layer in layers:
        bias = _owner(layer)._parameters.get("bias")
        lent, with_it = tuple(homes.get(id(weight)) for weight in _weights(layer)), homes.get(id(bias))
        is_free = not _is_patched(layer) and _copies(layer) is None
        if is_free and all(home is not None for home in lent) and (bias is None or with_it is not None):
            for home in (*lent, *([] if bias is None else [with_it])):
                setattr(home, _LENT, True)
            setattr(layer, _COPIES[0], lent if len(lent) > 1 else lent[0])
            setattr(layer, _COPIES[1], with_it)


def take_back(layers: Sequence[torch.nn.Module]) -> None:
    """Let the webui make copies of its own again; what is changed now keeps, as its own, what it goes back to."""
    for layer in layers:
        for name in _COPIES:
            lent = [copy for copy in _tensors(getattr(layer, name, None)) if hasattr(copy, _LENT)]
            if lent and not _is_patched(layer):
                setattr(layer, name, None)
            for copy in lent if _is_patched(layer) else ():
                delattr(copy, _LENT)


def unpatch(layers: Sequence[torch.nn.Module], homes: Mapping[int, torch.Tensor]) -> set[int]:
    """Let no network be in these layers; the next use puts in those of its own prompt (``network_apply_weights``).

    Returns:
        the identities of parameters whose weights in RAM are as they should be, whatever the parameters hold.
    """
    whole = set()
    for layer in layers:
        if not _is_patched(layer):
            continue
        is_lent = _is_lent(layer, homes)
        for weight, copy in zip(_weights(layer), () if is_lent else _copies(layer) or (), strict=False):
            weight.copy_(copy)
        _restore_bias(layer)
        if is_lent:
            whole |= {id(weight) for weight in _weights(layer)}
        else:
            vars(layer).update(dict.fromkeys(_COPIES))
        layer.network_current_names = ()
    return whole


def _restore_bias(layer: torch.nn.Module) -> None:
    """As the webui does before it puts other networks in: one may have given a bias to a layer that has none."""
    owner = _owner(layer)
    bias, copy = owner._parameters.get("bias"), getattr(layer, _COPIES[1], None)
    if bias is not None and copy is not None:
        bias.copy_(copy)
    elif bias is not None:
        owner.bias = None


def _owner(layer: torch.nn.Module) -> torch.nn.Module:
    """What has the bias that networks may change."""
    return layer.out_proj if isinstance(layer, torch.nn.MultiheadAttention) else layer


def _weights(layer: torch.nn.Module) -> tuple[torch.Tensor | None, ...]:
    if isinstance(layer, torch.nn.MultiheadAttention):
        return layer.in_proj_weight, layer.out_proj.weight
    return (layer._parameters.get("weight"),)


def _copies(layer: torch.nn.Module) -> tuple[torch.Tensor | None, ...] | None:
    """The webui's copies of a layer's weights, in the order of :func:`_weights`."""
    copies = getattr(layer, _COPIES[0], None)
    return copies if copies is None or isinstance(copies, tuple) else (copies,)


def _is_patched(layer: torch.nn.Module) -> bool:
    return bool(getattr(layer, "network_current_names", ()))


def _is_lent(layer: torch.nn.Module, homes: Mapping[int, torch.Tensor]) -> bool:
    """Whether its copies are the weights in RAM, and it was not turned to another dtype or layout since."""
    copies = _copies(layer) or (None,)
    return all(
        copy is not None
        and homes.get(id(weight)) is copy
        and (weight.dtype, weight.stride()) == (copy.dtype, copy.stride())
        for weight, copy in zip(_weights(layer), copies, strict=False)
    )


def _tensors(copy: Any) -> Iterator[torch.Tensor]:
    parts = copy if isinstance(copy, (tuple, list)) else (copy,)
    return (part for part in parts if isinstance(part, torch.Tensor))
