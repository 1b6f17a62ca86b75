"""The loaded models of the webui that the probe is in, and what is in them: Forge Neo has engines of several parts."""

from __future__ import annotations

import weakref
from itertools import chain
from pathlib import Path
from typing import Any

from modules import sd_models, sd_vae, shared

IS_NEO = hasattr(sd_models, "forge_model_reload") and hasattr(sd_models, "forge_loader")
_made = vars(shared).setdefault("multipass_probe_made", [])
"""Neo keeps no list of its models: weak references to all that it has made."""


def loaded() -> list[Any]:
    """All that are in memory."""
    if not IS_NEO:
        return sd_models.model_data.loaded_sd_models
    there = [reference() for reference in _made]
    _made[:] = [reference for reference, model in zip(_made, there, strict=True) if model is not None]
    return [model for model in there if hasattr(model, "sd_checkpoint_info")]


def active() -> Any:
    """The one that is active; None without one."""
    model = sd_models.model_data.sd_model
    return model if hasattr(model, "sd_checkpoint_info") else None


def parts_of(model: Any) -> list[Any]:
    """Its modules."""
    if not IS_NEO:
        return [model]
    objects = model.forge_objects
    return [objects.unet.model, objects.clip.cond_stage_model, objects.vae.first_stage_model]


def parameters_of(model: Any) -> list[Any]:
    return list(chain.from_iterable(part.parameters() for part in parts_of(model)))


def vae_of(model: Any) -> Any:
    return parts_of(model)[-1] if IS_NEO else model.first_stage_model


def last_alpha(model: Any) -> float | None:
    """How much of the picture is left in the last step of its noise schedule."""
    if not IS_NEO:
        return float(model.alphas_cumprod[-1]) if hasattr(model, "alphas_cumprod") else None
    return 1 / (1 + float(model.forge_objects.unet.model.predictor.sigmas[-1]) ** 2)


def embeddings_of(model: Any) -> tuple[dict, dict]:
    """Textual inversions that fit it, and those that do not."""
    if not IS_NEO:
        from modules import sd_hijack

        database = sd_hijack.model_hijack.embedding_db
        return database.word_embeddings, database.skipped_embeddings
    engine = getattr(model, "text_processing_engine", None) or model.text_processing_engine_l
    return engine.embeddings.word_embeddings, engine.embeddings.skipped_embeddings


def note_loads(seen: dict[str, list[str]]) -> None:
    """Note every checkpoint that Neo reads and builds, and every VAE file."""
    loader = sd_models.forge_loader
    if getattr(loader, "is_probed", False):
        return

    def wrapped(sd: Any, additional_state_dicts: Any = None) -> Any:
        for key in ("reads", "builds"):
            seen[key].append(Path(sd).stem)
        files = {*sd_vae.vae_dict.values()}
        seen["vaes"] += [Path(file).stem for file in additional_state_dicts or () if file in files]
        model = loader(sd, additional_state_dicts=additional_state_dicts)
        model.multipass_probe_modules = sorted(additional_state_dicts or ())
        _made.append(weakref.ref(model))
        return model

    wrapped.is_probed = True
    sd_models.forge_loader = wrapped


def begin_afresh() -> None:
    """Unload what there is, and forget all encoded prompts, as a webui that has just started."""
    from modules import call_queue, processing

    with call_queue.queue_lock:
        sd_models.unload_model_weights()
        for owner in (processing.StableDiffusionProcessing, processing.StableDiffusionProcessingTxt2Img):
            for name in ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc"):
                if name in vars(owner):
                    setattr(owner, name, [None, None, None])
