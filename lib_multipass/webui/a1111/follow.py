"""What belongs to the active model beside its weights, and stays behind when a kept model becomes active again.

Loading a checkpoint sets all of it; "Using already loaded model" (``reuse_model_from_already_loaded``, 1.6.0 to
1.10.1) does not, nor does loading into another model's place in part. With one model in memory at a time that path is
never taken, so while Multipass keeps models it sees to it; a webui that keeps several by its own settings stays as it
is.

The callbacks that extensions register with ``on_model_loaded`` are not called. They say that weights were loaded, and
extensions wrap parts of the model in them: once more for the same model would wrap it twice. The only one in the
webui, Lora's, writes names into the model's own modules, where they stay (``extensions-builtin``, 1.6.0 to 1.10.1).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from modules import devices, sd_hijack, sd_models, sd_unet, shared

from lib_multipass.state import kept
from lib_multipass.webui.a1111 import features, forge_models
from lib_multipass.words import log

hijack = sd_hijack.model_hijack


@dataclass(frozen=True)
class _Embeddings:
    """The textual inversions that the webui found to fit one kind of text encoder."""

    by_token: dict
    fitting: dict
    others: dict
    width: int
    folders: dict[str, float | None]
    """The folders' times of change when they were read."""


def is_tiling() -> bool:
    """Whether the job paints pictures that can be tiled; the webui sets it once, on the model that begins."""
    active = sd_models.model_data.sd_model
    return forge_models.is_tiling(active) if forge_models.is_one(active) else hijack.circular_enabled


def catch_up(tiling: bool) -> bool:
    """Let everything follow to the model that has just become active.

    Args:
        tiling: :func:`is_tiling` before the swap; loading into another model's place forgets it.

    Returns:
        whether the model has to be read anew, because the setting "FP8 weight", or reForge's "Text Encoder", has
        changed since it was loaded.
    """
    model = sd_models.model_data.sd_model
    if model is None:
        return False
    if forge_models.is_one(model):
        forge_models.catch_up(model)
    _tile(model, tiling)
    hijack.clip = model.cond_stage_model
    _match_vae(model)
    _sort_embeddings(model)
    _schedule(model)
    # TensorRT and the like take the place of one checkpoint's diffusion model; returns at once where there is none.
    sd_unet.apply_unet()
    return forge_models.is_outdated(model) if forge_models.is_one(model) else _is_outdated(model)


def leave() -> None:
    """Leave parked models as they would be after loading, for a webui that goes on without us."""
    active = sd_models.model_data.sd_model
    for model in sd_models.model_data.loaded_sd_models:
        if forge_models.is_one(model) and model is not active:
            forge_models.tile(model, False)
            forge_models.as_loaded(model)
        elif model is not active:
            _pad(model.modules(), False)
            _schedule(model)
            _match_vae(model)
    for key in [key for key in kept.embeddings if key != kept.embeddings_for]:
        del kept.embeddings[key]


def _tile(model: Any, tiling: bool) -> None:
    if forge_models.is_one(model):
        forge_models.tile(model, tiling)
        return
    # From here on the webui's own ``apply_circular`` finds the active model's layers.
    hijack.layers = list(model.modules())
    hijack.circular_enabled = tiling
    _pad(hijack.layers, tiling)


def _pad(layers: Iterable[torch.nn.Module], tiling: bool) -> None:
    mode = "circular" if tiling else "zeros"
    for layer in layers:
        if type(layer) is torch.nn.Conv2d:  # as the webui chooses them
            layer.padding_mode = mode


def noted(original: Callable) -> Callable:
    """Notes which embeddings fit, each time the webui has read their files."""

    def load_textual_inversion_embeddings(self: Any, force_reload: bool = False, *args: Any, **kwargs: Any) -> None:
        reads = force_reload or any(folder.has_changed() for folder in self.embedding_dirs.values())
        original(self, force_reload, *args, **kwargs)
        if reads and self is hijack.embedding_db:
            kept.embeddings_for = (type(sd_models.model_data.sd_model.cond_stage_model).__name__, self.expected_shape)
            if kept.embeddings_for in kept.embeddings:
                kept.embeddings.clear()  # read again: the files may have changed
            kept.embeddings[kept.embeddings_for] = _snapshot(self)

    return load_textual_inversion_embeddings


def _snapshot(db: Any) -> _Embeddings:
    by_token = {token: list(found) for token, found in db.ids_lookup.items()}
    folders = {path: folder.mtime for path, folder in db.embedding_dirs.items()}
    return _Embeddings(by_token, dict(db.word_embeddings), dict(db.skipped_embeddings), db.expected_shape, folders)


def sort_embeddings_of_reforge(model: Any) -> None:
    """Let the embeddings follow in reForge while Multipass keeps nothing, too.

    It reads them for the model of the first picture, and for no other (``load_model``): those that were sorted for a
    second checkpoint would stay for all later jobs.
    """
    if kept.has_swapped and forge_models.is_one(model):
        _sort_embeddings(model)


def _sort_embeddings(model: Any) -> None:
    """Activate the embeddings that fit the model; the files are read once per kind of text encoder."""
    db = hijack.embedding_db
    try:
        wanted = (type(model.cond_stage_model).__name__, db.get_expected_shape())
        if wanted == kept.embeddings_for:
            return
        known = kept.embeddings.get(wanted)
        if known is None or known.folders != {path: _changed_at(path) for path in db.embedding_dirs}:
            db.load_textual_inversion_embeddings(force_reload=True)
            return
        for current, wished in (
            (db.ids_lookup, {token: list(found) for token, found in known.by_token.items()}),
            (db.word_embeddings, known.fitting),
            (db.skipped_embeddings, known.others),
        ):
            current.clear()
            current.update(wished)
        db.expected_shape = known.width
        kept.embeddings_for = wanted
    except Exception:
        # The swap itself is done; a picture without its embeddings is better than none.
        log.exception("the embeddings could not be sorted for %s", model.sd_checkpoint_info.name_for_extra)


def _changed_at(folder: str) -> float | None:
    return os.path.getmtime(folder) if os.path.isdir(folder) else None  # noqa: PTH112, PTH204


def _match_vae(model: Any) -> None:
    """Give the VAE the precision in which the webui computes by now.

    It turns from float16 to float32 for good when a picture comes out black (``decode_latent_batch``, 1.6.0 to 1.10.1),
    and with it the VAE that is active at that moment. Loading turns the others.
    """
    if not forge_models.is_one(model) and next(model.first_stage_model.parameters()).dtype != devices.dtype_vae:
        model.first_stage_model.to(devices.dtype_vae)


def _schedule(model: Any) -> None:
    """Apply the settings of the noise schedule, which the webui (1.8.0 and later) does on loading, and per picture only
    to the model of the first pass: those of a job long past would stay on the other.
    """
    apply = features.noise_schedule()
    if apply is not None and not forge_models.is_one(model):
        apply(model)


def _is_outdated(model: Any) -> bool:
    """Set the webui's note whether the active model is in fp8 (1.8.0 and later), which it keeps of the last one loaded.

    Where the note and the setting disagree it reads the model from disk again at the next occasion. With "Enable for
    SDXL" and models of both kinds that would be at every swap.
    """
    known = features.is_noted_as_fp8(model)
    if known is None:
        return False
    noted, wanted = known
    # The webui converts all linear layers or none.
    linear = next((layer for layer in model.model.modules() if isinstance(layer, torch.nn.Linear)), None)
    noted.fp8 = linear is not None and linear.weight.dtype == getattr(torch, "float8_e4m3fn", None)
    return noted.fp8 != wanted


def note_hash() -> None:
    """Put the option ``sd_checkpoint_hash`` right for a checkpoint that a Multipass job has left active.

    The webui sets it whenever it swaps (1.6.0 to 1.10.1); to a checkpoint that is active already it does not.
    """
    active = sd_models.model_data.sd_model
    if kept.has_swapped and active is not None:
        shared.opts.data["sd_checkpoint_hash"] = active.sd_checkpoint_info.sha256
