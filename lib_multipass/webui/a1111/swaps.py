"""A swap of checkpoints in this webui: ``reload_model_weights``, and what it leaves behind (1.6.0 to 1.10.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from modules import sd_models, sd_vae, shared

from lib_multipass.plan.names import Checkpoint
from lib_multipass.state import kept, running
from lib_multipass.webui.a1111 import (
    beginnings,
    fast_swaps,
    follow,
    forge_models,
    hardware,
    lending,
    lora_memory,
    models,
    pass_vae,
)


def target(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint that the webui was told to swap to, by the arguments of its call; None for the selected one."""
    return kwargs.get("info", args[1] if len(args) > 1 else None)


def active_model() -> Any:
    """What a swap returns that is not done: the model that is active."""
    return sd_models.model_data.sd_model


def perform(original: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Swap: make room first, then let everything follow that belongs to the active model."""
    before, tiling, to = _active_file(), follow.is_tiling(), target(args, kwargs)
    lacks = running.job is not None and forge_models.webui_moves_them() and lending.asks_for_text_encoder(to)
    lent = forge_models.text_encoder_as_read(lacks)
    with _hash_kept(), hardware.noise_kept(), lending.swapping(to), models.swapping(to), lent:
        result = original(*args, **kwargs)
        if kept.decision is not None and _active_file() != before and follow.catch_up(tiling):
            forced = {"forced_reload": True} if forge_models.is_one(result) else {}
            result = original(info=result.sd_checkpoint_info, **forced)
            follow.catch_up(tiling)
        pass_vae.settle()
        fast_swaps.follow()
        if _active_file() not in (None, before):
            follow.sort_embeddings_of_reforge(sd_models.model_data.sd_model)
            lora_memory.forget_biases(sd_models.model_data.sd_model)
            beginnings.note(sd_models.model_data.sd_model)  # with the biases of another checkpoint it would not be it
    return result


def is_cached(checkpoint: Checkpoint) -> bool:
    """Whether the webui has this checkpoint's state dict in its own cache, and reads nothing."""
    return checkpoint in sd_models.checkpoints_loaded


def completed(checkpoint: Checkpoint, state: dict, cached: bool) -> dict:
    """What is loaded for a checkpoint: its file's tensors, and in a Multipass job those that it lacks."""
    if not running.is_swapping:
        return state
    if running.job is None and kept.decision is None:
        lending.forget(checkpoint)
        return state
    return lending.completed(checkpoint, state, cached)


def vae_remembered(original: Callable) -> Callable:
    """Lets a temporary VAE come off a model again that was kept and is activated once more.

    On re-activation the webui (1.6.0 to 1.10.1) notes the model as the one whose own VAE is stored although nothing
    is stored, so the next change of VAE neither stores nor later restores it: the foreign VAE stays. With one model in
    memory this path is never taken; keeping several makes it our business.
    """

    def set_sd_model(self: Any, v: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, v, *args, **kwargs)
        already_loaded = kwargs.get("already_loaded", args[0] if args else False)
        if already_loaded and sd_vae.base_vae is None and sd_vae.loaded_vae_file is None:
            sd_vae.checkpoint_info = None
        return result

    return set_sd_model


def _active_file() -> str | None:
    checkpoint = models.active()
    return None if checkpoint is None else checkpoint.filename


@contextmanager
def _hash_kept() -> Iterator[None]:
    """Keeps the option ``sd_checkpoint_hash`` at the first pass's checkpoint in a job, at the selected one after it.

    The webui stores the hash of whatever it loads, also while it is told not to write to the config
    (``load_model_weights``, 1.6.0 to 1.10.1); it would stay after the job and go into ``config.json`` with the next
    save of the settings. A swap that fails changes nothing.
    """
    data, key = shared.opts.data, "sd_checkpoint_hash"
    stored = {key: data[key]} if key in data else {}
    stays = True
    try:
        yield
        # An interrupted or failed job may still count as running, but not the webui's note that a job is.
        job = running.job if shared.state.job else None
        stays = job is not None and _active_file() != job.plan.base.filename
    finally:
        if stays:
            data.pop(key, None)
            data.update(stored)
        elif not sd_models.SkipWritingToConfig.skip:
            follow.note_hash()
