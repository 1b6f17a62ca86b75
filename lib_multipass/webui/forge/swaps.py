"""A swap of checkpoints in Forge Neo: ``forge_model_reload``, and the models that are kept across it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from backend.args import dynamic_args
from modules import processing, sd_models, shared

from lib_multipass.plan.names import Checkpoint
from lib_multipass.state import kept, running
from lib_multipass.webui.base import host
from lib_multipass.webui.forge import engines, models, pass_vae, remains


def by_checkpoint(make: Callable[[Callable], Callable]) -> Callable[[Callable], Callable]:
    """Makes the wrapper of ``forge_model_reload`` from one that is told the checkpoint and returns the model."""

    def wrap(original: Callable) -> Callable:
        governed = make(lambda *args, info=None, **kwargs: original(*args, **kwargs)[0])

        def forge_model_reload(*args: Any, **kwargs: Any) -> tuple[Any, bool]:
            data = sd_models.model_data
            before, info = data.forge_hash, data.forge_loading_parameters.get("checkpoint_info")
            model = governed(*args, info=info, **kwargs)
            return model, data.forge_hash != before

        return forge_model_reload

    return wrap


def of_checkpoints(make: Callable[[Callable], Callable]) -> Callable[[Callable], Callable]:
    """Makes the wrapper of ``forge_loader``, which gets a path, from one that is told the checkpoint."""

    def wrap(original: Callable) -> Callable:
        def forge_loader(sd: Any, *args: Any, **kwargs: Any) -> Any:
            info = sd_models.model_data.forge_loading_parameters.get("checkpoint_info")
            return make(lambda _info, *given, **named: original(sd, *given, **named))(info, *args, **kwargs)

        return forge_loader

    return wrap


def of_tensors(make: Callable[[Callable], Callable]) -> Callable[[Callable], Callable]:
    """Makes the wrapper of ``load_torch_file``, which may return metadata too, from one that returns tensors alone."""

    def wrap(original: Callable) -> Callable:
        def load_torch_file(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            state, *more = result if isinstance(result, tuple) else (result,)
            state = make(lambda _file: state)(args[0] if args else kwargs.get("ckpt"))
            return (state, *more) if more else state

        return load_torch_file

    return wrap


def target(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint that the webui is about to swap to."""
    return kwargs.get("info")


def active_model() -> Any:
    """What a swap returns that is not done: the model that is active."""
    return sd_models.model_data.sd_model


def is_cached(checkpoint: Checkpoint) -> bool:
    """The webui keeps no state dicts."""
    return False


def completed(checkpoint: Checkpoint, state: Any, cached: bool) -> Any:
    """What is loaded for a checkpoint."""
    return state


def perform(original: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Swap: to a kept model at once, else as the webui does it, while those with a place stay."""
    data = sd_models.model_data
    told = data.forge_loading_parameters
    remains.free_schedule(data.sd_model)
    data.forge_loading_parameters = parameters = pass_vae.fitting(told)
    try:
        if not parameters or data.forge_hash == str(parameters):
            _spare_unload()
            _note_hash()
            return original(*args, **kwargs)
        return _swap(lambda: original(*args, **kwargs), parameters)
    finally:
        data.forge_loading_parameters = told


def _swap(load: Callable[[], Any], parameters: Mapping[str, Any]) -> Any:
    with torch.inference_mode(), _hash_kept(), host.hardware.noise_kept():
        known = engines.found(parameters) if kept.decision is not None else None
        if known is not None:
            engines.activate(known)
            models.drop_without_place()
            return sd_models.model_data.sd_model
        models.drop_without_place(active_too=True)
        models.make_room_for(parameters["checkpoint_info"])
        del known
        key = engines.key_of(parameters)
        model = load()
        engines.note(model, key)
        engines.tile(model)
        return model


def _spare_unload() -> None:
    """Let a job whose model is active already not move all models off the device.

    The webui notes at each change of its parameters that it has to, and does at the next job that loads nothing
    (``manage_model_and_prompt_cache``): for each of ADetailer's faces on the second pass's checkpoint.
    """
    active = engines.active() if running.job is not None else None
    if active is not None and active.online_lora == dynamic_args.online_lora:
        processing.need_global_unload = False


def _note_hash() -> None:
    """Put the option ``sd_checkpoint_hash`` right for a checkpoint that a job of ours has left active.

    The webui sets it when it loads, which it does not for one that is active already.
    """
    now = models.active()
    if kept.has_swapped and now is not None and not _is_on_its_way(now):
        shared.opts.data["sd_checkpoint_hash"] = now.sha256


def _is_on_its_way(now: Checkpoint | None) -> bool:
    """Whether a job of ours runs, and its first pass's checkpoint is not the active one."""
    return running.job is not None and (now is None or now.filename != running.job.plan.base.filename)


@contextmanager
def _hash_kept() -> Iterator[None]:
    """Keeps the option ``sd_checkpoint_hash`` at the first pass's checkpoint in a job.

    The webui stores the hash of whatever it loads, which goes into ``config.json`` with the next save.
    """
    data, key = shared.opts.data, "sd_checkpoint_hash"
    stored = {key: data[key]} if key in data else {}
    try:
        yield
    finally:
        if _is_on_its_way(models.active()):
            data.pop(key, None)
            data.update(stored)
