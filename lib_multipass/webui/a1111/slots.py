"""Which functions of the webui the slots are (1.6.0 to 1.10.1), and how they are wrapped and given back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modules import errors, hashes, images, patches, processing, script_callbacks, sd_models, sd_samplers, sd_vae
from modules.textual_inversion import textual_inversion

from lib_multipass.webui.a1111 import beginnings, files, follow, forge_models, limits, models, pass_vae, swaps, ui
from lib_multipass.webui.base import host

KEY = "lib_multipass"

SLOTS = {
    "init": (processing.StableDiffusionProcessingTxt2Img, "init"),
    "close": (processing.StableDiffusionProcessingTxt2Img, "close"),
    "conds": (processing.StableDiffusionProcessingTxt2Img, "setup_conds"),
    "swap": (sd_models, "reload_model_weights"),
    "read": (sd_models, "get_checkpoint_state_dict"),
    "first_pass": (processing.StableDiffusionProcessingTxt2Img, "sample"),
    "hires_pass": (processing.StableDiffusionProcessingTxt2Img, "sample_hr_pass"),
    "sampler": (sd_samplers, "create_sampler"),
    "decode": (processing, "decode_latent_batch"),
    "resize": (images, "resize_image"),
    "faces": (processing.StableDiffusionProcessingImg2Img, "sample"),
    "texts": (processing.StableDiffusionProcessingTxt2Img, "calculate_hr_conds"),
    "tags": (processing.StableDiffusionProcessing, "parse_extra_network_prompts"),
    "save": (images, "save_image"),
    "hash": (hashes, "calculate_sha256"),
    "report": (errors, "report"),
    "display": (errors, "display"),
}
"""What is wrapped here, by slot, see :mod:`lib_multipass.webui.base`."""
OWN = (
    (sd_models.SdModelData, "set_sd_model", swaps.vae_remembered),
    (textual_inversion.EmbeddingDatabase, "load_textual_inversion_embeddings", follow.noted),
    (sd_vae, "resolve_vae", pass_vae.vae_of_the_moment),
    (sd_vae, "load_vae", pass_vae.taken_off_when_it_fails),
    (sd_vae, "load_vae_dict", pass_vae.kept_in_memory),
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
    limits.install()
    wrap(wrappers)
    script_callbacks.on_app_started(lambda *_: wrap(wrappers))  # what was not imported before
    script_callbacks.on_model_loaded(files.note_model)
    script_callbacks.on_model_loaded(beginnings.note_model)
    script_callbacks.on_model_loaded(forge_models.note)
    script_callbacks.on_script_unloaded(lambda: _uninstall(extension, before_unload))


def wrap(wrappers: Mapping[str, Wrapper]) -> None:
    """Wrap what is there and not wrapped yet."""
    for owner, name, slot in places():
        if patches.original(KEY, owner, name) is None:
            make = wrappers[slot] if isinstance(slot, str) else slot
            patches.patch(KEY, owner, name, make(getattr(owner, name)))


def _uninstall(extension: str, before_unload: Callable[[], None]) -> None:
    """Undo :func:`install`. The webui calls this when it reloads its page, before it runs the entry script again."""
    before_unload()
    pass_vae.settle()
    pass_vae.forget()
    if host.options.disables(extension):
        # Nobody would hold up the limit any more; up to 1.8.0 more loaded models than that break the webui.
        models.let_go(None)
    for owner, name, _ in places():
        if patches.original(KEY, owner, name) is not None:
            patches.undo(KEY, owner, name)
    limits.uninstall()


def places() -> Iterator[tuple[Any, str, str | Wrapper]]:
    """All that can be wrapped by now: what has the function, its name, and its slot or the family's own wrapper.

    The webui's API is left for the webui to import: its model of the options is made of those that are registered at
    that moment (``modules/api/models.py``, 1.6.0 to 1.10.1), and extensions register theirs after the scripts are
    loaded. Any that come later are missing from ``GET /sdapi/v1/options``.
    """
    yield from ((owner, name, slot) for slot, (owner, name) in SLOTS.items())
    yield from OWN
    served = sys.modules.get("modules.api.api")
    if served and ui.serves_api():
        yield served.Api, "init_script_args", "request"
