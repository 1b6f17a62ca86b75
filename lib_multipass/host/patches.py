"""The places where the webui's own functions are wrapped, each with its reason and its undo."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from modules import errors, hashes, images, patches, processing, script_callbacks, sd_models, sd_vae, shared
from modules.textual_inversion import textual_inversion

from lib_multipass.host import (
    ahead,
    api,
    cache,
    closing,
    control,
    copies,
    files,
    first_pass,
    follow,
    gauge,
    infotext,
    lending,
    lora_memory,
    memory,
    networks,
    progress,
    refusal,
    second_pass,
)
from lib_multipass.report import Journal, Swap

KEY = "lib_multipass"

_journal: Journal | None = None
_disk_loads = 0


def record(journal: Journal | None) -> None:
    """Write the swaps from now on into this journal; None ends it."""
    global _journal  # one job at a time: the webui runs them under its queue lock
    _journal = journal


def install(extension: str) -> None:
    """Wrap what has to be wrapped and register the undo; calling it again changes nothing.

    Args:
        extension: name of this extension's folder, under which the webui's settings disable it.
    """
    cache.install()
    _wrap()
    script_callbacks.on_app_started(lambda *_: _wrap())  # what was not imported before
    script_callbacks.on_model_loaded(files.note_model)
    script_callbacks.on_script_unloaded(lambda: uninstall(extension))


def _wrap() -> None:
    for owner, name, wrap in _wrapped():
        if patches.original(KEY, owner, name) is None:
            patches.patch(KEY, owner, name, wrap(getattr(owner, name)))


def uninstall(extension: str) -> None:
    """Undo :func:`install`. The webui calls this when it reloads its page, before it runs the entry script again."""
    ahead.end()
    second_pass.end()
    second_pass.settle()
    second_pass.forget()
    if _is_disabled(extension):
        # Nobody would hold up the limit any more; up to 1.8.0 more loaded models than that break the webui.
        cache.let_go(None)
    for owner, name, _ in _wrapped():
        if patches.original(KEY, owner, name) is not None:
            patches.undo(KEY, owner, name)
    cache.uninstall()


def _is_disabled(extension: str) -> bool:
    return shared.opts.disable_all_extensions != "none" or extension in shared.opts.disabled_extensions


def _governed_reload(original: Callable) -> Callable:
    """Makes room before a swap, times the swaps of a job, and lets follow what the webui leaves behind.

    The swap between a job's passes is put off.
    """

    def reload_model_weights(*args: Any, **kwargs: Any) -> Any:
        info = kwargs.get("info", args[1] if len(args) > 1 else None)
        if first_pass.puts_off(info):
            return sd_models.model_data.sd_model
        before, loads, started = _active_file(), _disk_loads, time.perf_counter()
        previous = sd_models.model_data.sd_model and sd_models.model_data.sd_model.sd_checkpoint_info
        tiling = follow.is_tiling()
        try:
            with progress.swapping(), _hash_kept(), _noise_kept(), lending.swapping(info), cache.swapping(info):
                result = original(*args, **kwargs)
                if cache.is_holding() and _active_file() != before and follow.catch_up(tiling):
                    result = original(info=result.sd_checkpoint_info)
                    follow.catch_up(tiling)
                second_pass.settle()
                if _active_file() not in (None, before):
                    lora_memory.forget_biases(sd_models.model_data.sd_model)
        except Exception as error:
            gauge.failed(error)
            raise
        if _journal is not None and _active_file() not in (None, before):
            name = sd_models.model_data.sd_model.sd_checkpoint_info.name_for_extra
            _journal.swaps.append(Swap(name, time.perf_counter() - started, _disk_loads - loads))
            networks.swapped(previous, sd_models.model_data.sd_model.sd_checkpoint_info)
            infotext.swapped()
            control.swapped(sd_models.model_data.sd_model)
        return result

    return reload_model_weights


def _active_file() -> str | None:
    model = sd_models.model_data.sd_model
    return None if model is None else model.sd_checkpoint_info.filename


@contextmanager
def _noise_kept() -> Iterator[None]:
    """Keeps the random numbers of a job in step whether a checkpoint was kept or has to be loaded.

    Making a new model draws from torch's generators, with which the VAE encodes the enlarged picture afterwards
    (``images_tensor_to_samples``, and before 1.7.0 in ``sample_hr_pass`` itself).
    """
    if _journal is None:
        yield
        return
    index = memory.cuda_index() if torch.cuda.is_initialized() else None
    with torch.random.fork_rng(devices=[] if index is None else [index]):
        yield


@contextmanager
def _hash_kept() -> Iterator[None]:
    """Keeps the option ``sd_checkpoint_hash`` at the first pass's checkpoint in a job, at the selected one after it.

    The webui stores the hash of whatever it loads, also while it is told not to write to the config
    (``load_model_weights``, 1.6.0 to 1.10.1); it would stay after the job and go into ``config.json`` with the next
    save of the settings. A swap that fails changes nothing.
    """
    data, key = shared.opts.data, "sd_checkpoint_hash"
    stored = {key: data[key]} if key in data else {}
    kept = True
    try:
        yield
        # An interrupted or failed job leaves its journal behind, but not the webui's note that a job is running.
        kept = _journal is not None and shared.state.job and _active_file() != _journal.base_file
    finally:
        if kept:
            data.pop(key, None)
            data.update(stored)
        elif not sd_models.SkipWritingToConfig.skip:
            follow.note_hash()


def _counted_read(original: Callable) -> Callable:
    """Counts the checkpoints that are read from disk, and completes those that lack a part.

    The webui's own cache of state dicts does not count.
    """

    def get_checkpoint_state_dict(checkpoint_info: Any, *args: Any, **kwargs: Any) -> Any:
        global _disk_loads  # see record()
        kept = checkpoint_info in sd_models.checkpoints_loaded
        if not kept:
            _disk_loads += 1
            progress.loading(checkpoint_info)
        state = original(checkpoint_info, *args, **kwargs)
        if not lending.is_swapping():
            return state
        if _journal is None and not cache.is_holding():
            lending.forget(checkpoint_info)
            return state
        return lending.completed(checkpoint_info, state, kept)

    return get_checkpoint_state_dict


def _vae_remembered(original: Callable) -> Callable:
    """Lets a temporary VAE come off a model again that was kept and is activated once more.

    On re-activation the webui (1.6.0 to 1.10.1) notes the model as the one whose own VAE is stored although nothing
    is stored, so the next change of VAE neither stores nor later restores it: the foreign VAE stays. With one model in
    memory this path is never taken; keeping several makes it our business.
    """

    def set_sd_model(self: Any, v: Any, already_loaded: bool = False) -> Any:
        result = original(self, v, already_loaded)
        if already_loaded and sd_vae.base_vae is None and sd_vae.loaded_vae_file is None:
            sd_vae.checkpoint_info = None
        return result

    return set_sd_model


def _hires_pass(original: Callable) -> Callable:
    """First the swap that was put off, then what holds for the second pass alone."""
    return progress.hires_pass(first_pass.swapping(second_pass.hires_pass_of_its_own(original)))


def _first_pass(original: Callable) -> Callable:
    return progress.first_pass(first_pass.watched(original))


_WRAPPED = (
    (processing.StableDiffusionProcessingTxt2Img, "init", refusal.raising),
    (processing.StableDiffusionProcessingTxt2Img, "close", closing.ending),
    (sd_models, "reload_model_weights", _governed_reload),
    (sd_models, "get_checkpoint_state_dict", _counted_read),
    (sd_models.SdModelData, "set_sd_model", _vae_remembered),
    (textual_inversion.EmbeddingDatabase, "load_textual_inversion_embeddings", follow.noted),
    (processing.StableDiffusionProcessingTxt2Img, "sample", _first_pass),
    (processing.StableDiffusionProcessingTxt2Img, "sample_hr_pass", _hires_pass),
    (processing.StableDiffusionProcessingImg2Img, "sample", progress.faces),
    (hashes, "calculate_sha256", ahead.hash_taken_over),
    (errors, "report", gauge.told),
    (errors, "display", gauge.told),
    (sd_vae, "resolve_vae", second_pass.vae_of_the_moment),
    (sd_vae, "load_vae", second_pass.taken_off_when_it_fails),
    (sd_vae, "load_vae_dict", second_pass.kept_in_memory),
    (processing.StableDiffusionProcessingTxt2Img, "calculate_hr_conds", second_pass.conditioned_on_its_own),
    (processing.StableDiffusionProcessing, "parse_extra_network_prompts", networks.fitted),
    (images, "save_image", copies.true_to_itself),
)


def _wrapped() -> tuple:
    """All that can be wrapped by now.

    The webui's API is left for the webui to import: its model of the options is made of those that are registered at
    that moment (``modules/api/models.py``, 1.6.0 to 1.10.1), and extensions register theirs after the scripts are
    loaded. Any that come later are missing from ``GET /sdapi/v1/options``.
    """
    served = sys.modules.get("modules.api.api")
    return (*_WRAPPED, (served.Api, "init_script_args", api.one_object)) if served and api.is_on() else _WRAPPED
