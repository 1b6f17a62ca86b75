"""What differs between a kept model of Forge Neo and one just loaded: remains of jobs, and embeddings."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backend.args import dynamic_args

from lib_multipass.memory.headers import state_of


def forget_references(models: Iterable[Any]) -> None:
    """Forget the pictures that these models refer to, where they edit pictures.

    ImageStitch puts them on the first pass's model, and takes them off that of a later job. Wan has a last frame.
    """
    for model in models:
        clear = getattr(model, "clear_references", None)
        has_some = getattr(model, "ref_latents", None) or getattr(model, "end_image", None) is not None
        if clear is not None and has_some:
            clear()


def forget_picture(model: Any) -> None:
    """Forget the picture of a pass that was ended before its texts were encoded, which take it along."""
    if hasattr(model, "ini_latent"):
        model.ini_latent = None


def embeddings() -> frozenset[tuple]:
    """The files in the folder of textual inversions, each with its size and time."""
    folder = getattr(dynamic_args, "embedding_dir", None)
    walk = os.walk(folder, followlinks=True) if isinstance(folder, str) else ()
    files = (str(Path(within, name)) for within, _, names in walk for name in names)
    return frozenset((file, state_of(file)) for file in files)


def read_embeddings(model: Any) -> None:
    """Read them again, which the webui does when it makes a model: each text encoder has its own."""
    for part in vars(model).values():
        read = getattr(getattr(part, "embeddings", None), "load_textual_inversion_embeddings", None)
        if read is not None:
            read()


def hold_schedule(model: Any) -> None:
    """Let a second pass's model keep its noise schedule until the webui next asks for a model.

    After the hires pass of a job with *Zero Terminal SNR* the webui gives the model that is active the schedule that
    the first pass's had before, and fails where that takes none (``process_images_inner``).
    """
    predictor = predictor_of(model)
    if predictor is not None:
        predictor.set_sigmas = lambda *_args, **_kwargs: None


def free_schedule(model: Any) -> None:
    """Let its noise schedule be set again."""
    predictor = predictor_of(model)
    if predictor is not None:
        vars(predictor).pop("set_sigmas", None)


def predictor_of(model: Any) -> Any:
    """What a model's noise schedule is in; None without one, and for no model."""
    objects = getattr(model, "forge_objects", None)
    return None if objects is None else getattr(objects.unet.model, "predictor", None)
