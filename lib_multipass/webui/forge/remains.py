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
