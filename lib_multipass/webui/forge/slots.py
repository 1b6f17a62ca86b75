"""Which functions of Forge Neo the slots are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modules import (
    errors,
    hashes,
    images,
    patches,
    processing,
    script_callbacks,
    sd_models,
    sd_samplers,
    sd_vae,
)

from lib_multipass.state import kept
from lib_multipass.webui.base import host
from lib_multipass.webui.forge import engines, models, swaps, traces

KEY = "lib_multipass"

SLOTS = (
    ("init", processing.StableDiffusionProcessingTxt2Img, "init", None),
    ("close", processing.StableDiffusionProcessingTxt2Img, "close", None),
    ("swap", sd_models, "forge_model_reload", swaps.by_checkpoint),
    ("swap", processing, "forge_model_reload", swaps.by_checkpoint),
    ("read", sd_models, "forge_loader", swaps.of_checkpoints),
    ("first_pass", processing.StableDiffusionProcessingTxt2Img, "sample", None),
    ("hires_pass", processing.StableDiffusionProcessingTxt2Img, "sample_hr_pass", None),
    ("sampler", sd_samplers, "create_sampler", None),
    ("decode", processing, "decode_latent_batch", None),
    ("resize", images, "resize_image", None),
    ("faces", processing.StableDiffusionProcessingImg2Img, "sample", None),
    ("texts", processing.StableDiffusionProcessingTxt2Img, "calculate_hr_conds", None),
    ("tags", processing.StableDiffusionProcessing, "parse_extra_network_prompts", None),
    ("save", images, "save_image", None),
    ("hash", hashes, "calculate_sha256_real", None),
    ("report", errors, "report", None),
    ("display", errors, "display", None),
)
"""Slot, what has the function, its name, and what fits the slot's wrapper to it."""
OWN = (
    (processing.StableDiffusionProcessing, "cached_params", traces.told_apart),
    (sd_vae, "store_base_vae", traces.stored_with_its_model),
    (sd_vae, "restore_base_vae", traces.restored_onto_its_model),
    (sd_models, "unload_model_weights", models.released),
)
"""What only this family wraps, with its wrapper."""

Wrapper = Callable[[Callable], Callable]


def install(extension: str, wrappers: Mapping[str, Wrapper], before_unload: Callable[[], None]) -> None:
    """Wrap what has to be wrapped and register the undo; calling it again changes nothing.

    Args:
        extension: name of this extension's folder, under which the webui's settings disable it.
        wrappers: by slot, what makes the wrapper of its function.
        before_unload: called before the webui reloads its page.
    """
    wrap(wrappers)
    script_callbacks.on_app_started(lambda *_: wrap(wrappers))  # what was not imported before
    script_callbacks.on_script_unloaded(lambda: _uninstall(extension, before_unload))


def wrap(wrappers: Mapping[str, Wrapper]) -> None:
    """Wrap what is there and not wrapped yet: all of it, or if that fails nothing."""
    try:
        for owner, name, make in _places(wrappers):
            if patches.original(KEY, owner, name) is None:
                patches.patch(KEY, owner, name, make(getattr(owner, name)))
    except Exception:
        _unwrap()
        raise


def _unwrap() -> None:
    for owner, name in [*patches.originals[KEY]]:
        patches.undo(KEY, owner, name)


def _places(wrappers: Mapping[str, Wrapper]) -> Iterator[tuple[Any, str, Wrapper]]:
    """All that can be wrapped by now. The webui's API is left for the webui to import."""
    for slot, owner, name, fit in SLOTS:
        yield owner, name, wrappers[slot] if fit is None else fit(wrappers[slot])
    yield from OWN
    served = sys.modules.get("modules.api.api")
    if served and host.ui.serves_api():
        yield served.Api, "init_script_args", wrappers["request"]


def _uninstall(extension: str, before_unload: Callable[[], None]) -> None:
    """Undo :func:`install`. The webui calls this when it reloads its page, before it runs the entry script again."""
    before_unload()
    if host.options.disables(extension):
        models.let_go(None)
        engines.drop(list(kept.engines))
    _unwrap()
