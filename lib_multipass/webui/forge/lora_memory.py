"""The copies of weights that Forge Neo keeps beside a model while LoRAs are merged into it."""

from __future__ import annotations

from typing import Any


def backup_bytes(model: Any) -> int:
    """Bytes of such copies that a loaded model holds now.

    All clones of a patcher share the copies (``ModelPatcher.backup``), of the layers that a LoRA changed alone.
    """
    patchers = (model.forge_objects_original.unet, model.forge_objects_original.clip.patcher)
    kept = (entry for patcher in patchers for entry in patcher.backup.values())
    weights = (getattr(entry, "weight", entry) for entry in kept)
    return sum(weight.numel() * weight.element_size() for weight in weights)
