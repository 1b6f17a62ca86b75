"""What jobs leave on a kept model of Forge Neo, and one that was just loaded does not have."""

from __future__ import annotations

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
