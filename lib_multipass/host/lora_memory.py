"""The copies of weights that the webui keeps in each model to which LoRAs were applied.

While a prompt has a LoRA, every layer of the diffusion model and of the text encoders keeps the weights that it had
before on its first use (``extensions-builtin/Lora/networks.py``, 1.6.0 to 1.10.1): ``network_weights_backup``, a tensor
or, for attention of OpenCLIP, two, and ``network_bias_backup``. They lie in host memory and stay until the model goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

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


def _tensors(copy: Any) -> Iterator[torch.Tensor]:
    parts = copy if isinstance(copy, (tuple, list)) else (copy,)
    return (part for part in parts if isinstance(part, torch.Tensor))
