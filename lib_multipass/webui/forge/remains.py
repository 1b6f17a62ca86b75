"""What jobs leave on a kept model of Forge Neo, and one that was just loaded does not have."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any


def forget_references(models: Iterable[Any]) -> None:
    """Forget the pictures that these models refer to, where they edit pictures.

    ImageStitch puts them on the first pass's model, and takes them off that of a later job. Wan has a last frame.
    """
    for model in models:
        if getattr(model, "ref_latents", None) or getattr(model, "end_image", None) is not None:
            model.clear_references()


def forget_picture(model: Any) -> None:
    """Forget the picture of a pass that was ended before its texts were encoded, which take it along."""
    if hasattr(model, "ini_latent"):
        model.ini_latent = None


def forget_networks(model: Any) -> None:
    """Leave it as without LoRAs. In a job that disables them the webui leaves those that are there.

    Its weights follow once the webui needs it: they are put back where other patches are wanted.
    """
    model.forge_objects = copy.copy(model.forge_objects_original)
    model.forge_objects_after_applying_lora = copy.copy(model.forge_objects_original)
    model.current_lora_hash = str([])
    of_quantised = getattr(model.forge_objects_original.unet.model.diffusion_model, "loras", None)
    if isinstance(of_quantised, list):
        of_quantised.clear()
