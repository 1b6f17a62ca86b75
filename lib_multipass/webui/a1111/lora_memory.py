"""The copies of weights that the webui keeps in each model to which LoRAs were applied.

While a prompt has a LoRA, every layer of the diffusion model and of the text encoders keeps the weights that it had
before on its first use (``extensions-builtin/Lora/networks.py``, 1.6.0 to 1.10.1): ``network_weights_backup``, a tensor
or, for attention of OpenCLIP, two, and ``network_bias_backup``. They lie in host memory and stay until the model goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from lib_multipass.memory.missing import plain

_COPIES = ("network_weights_backup", "network_bias_backup")


def backup_bytes(model: torch.nn.Module) -> int:
    """Bytes of such copies that a loaded model holds now."""
    held = (vars(module).get(name) for module in model.modules() for name in _COPIES)
    return sum(tensor.numel() * tensor.element_size() for copy in held for tensor in _tensors(copy))


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


def _tensors(copy: Any) -> Iterator[torch.Tensor]:
    parts = copy if isinstance(copy, (tuple, list)) else (copy,)
    return (part for part in parts if isinstance(part, torch.Tensor))
