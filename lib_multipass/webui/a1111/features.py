"""What this webui has: the one place that asks, and it asks for the thing itself, never for a version's number.

The numbers in the docstrings are those of AUTOMATIC1111's releases that were read. Everything is asked anew at each
call, so it does not matter when this module is imported, and it imports nothing that a webui might lack.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from functools import reduce
from importlib import import_module
from typing import Any

from modules import shared

from lib_multipass.memory.architectures import OF_FORGE, SD3
from lib_multipass.plan.crossing import PIXEL_UPSCALER

LIST = "modules.sd_models.model_data.loaded_sd_models"
HIRES_CHECKPOINT = "modules.processing.StableDiffusionProcessingTxt2Img.hr_checkpoint_name"

NEEDED = (
    *(f"modules.sd_models.{name}" for name in ("reload_model_weights", "get_checkpoint_state_dict")),
    *(f"modules.sd_models.{name}" for name in ("SdModelData.set_sd_model", "SkipWritingToConfig")),
    *(f"modules.sd_models.{name}" for name in ("select_checkpoint", "get_closet_checkpoint_match")),
    *(f"modules.sd_models.{name}" for name in ("checkpoints_list", "checkpoint_aliases", "checkpoints_loaded")),
    *(f"modules.sd_models.send_model_to_{where}" for where in ("cpu", "device", "trash")),
    *(f"modules.sd_vae.{name}" for name in ("resolve_vae", "load_vae", "load_vae_dict", "reload_vae_weights")),
    *(f"modules.patches.{name}" for name in ("patch", "original", "undo", "originals")),
    "modules.script_callbacks.remove_current_script_callbacks",
    "modules.processing.StableDiffusionProcessing.parse_extra_network_prompts",
    "modules.processing.StableDiffusionProcessingImg2Img.sample",
    "modules.processing.StableDiffusionProcessingTxt2Img.init",
    "modules.processing.StableDiffusionProcessingTxt2Img.sample",
    "modules.processing.StableDiffusionProcessingTxt2Img.sample_hr_pass",
    "modules.processing.StableDiffusionProcessingTxt2Img.calculate_hr_conds",
    "modules.processing.StableDiffusionProcessingTxt2Img.setup_conds",
    "modules.processing.StableDiffusionProcessingTxt2Img.close",
    "modules.textual_inversion.textual_inversion.EmbeddingDatabase.load_textual_inversion_embeddings",
    "modules.hashes.calculate_sha256",
    "modules.errors.report",
    "modules.errors.display",
    "modules.lowvram.send_everything_to_cpu",
    "modules.lowvram.module_in_gpu",
    *(f"modules.images.{name}" for name in ("save_image", "resize_image")),
    "modules.sd_samplers.create_sampler",
    "modules.processing.decode_latent_batch",
    "modules.ui_components.InputAccordion",
    "modules.shared.options_templates",
)
"""What Multipass builds on besides the three that :func:`why_off` names, in 1.6.0 to 1.10.1."""


def why_off() -> str | None:
    """The sentence that says why Multipass cannot work in this webui; None if it can.

    Every release from 1.6.0 to 1.10.1 has all of it. Older ones have no checkpoint of its own for the hires pass.
    """
    if not has(HIRES_CHECKPOINT):
        return (
            "Multipass is off: in this webui the hires pass has no checkpoint of its own (hr_checkpoint_name); "
            "it came with WebUI 1.6.0."
        )
    if not has(LIST):
        return (
            "Multipass is off: this webui keeps no list of its loaded checkpoints (loaded_sd_models), so none could be "
            "kept for the second pass and let go again."
        )
    missing = next((name for name in NEEDED if not has(name)), None)
    return missing and off_without(missing)


def off_without(missing: str) -> str:
    """The sentence for a webui that lacks something else, in the words that name it."""
    return f"Multipass is off: this webui lacks {missing}, which WebUI 1.6.0 to 1.10.1 have."


def has(name: str) -> bool:
    """Whether the webui has what a dotted name says; the module of it is the longest part that can be imported."""
    parts = name.split(".")
    for end in range(len(parts), 1, -1):
        try:
            found = import_module(".".join(parts[:end]))
        except Exception:  # a module that fails on its own lack is as good as none
            continue
        try:
            reduce(getattr, parts[end:], found)
        except AttributeError:
            return False
        return True
    return False


def is_txt2img(p: Any) -> bool:
    """Whether this is a txt2img job, which alone has a hires pass."""
    return isinstance(p, import_module("modules.processing").StableDiffusionProcessingTxt2Img)


def vaes_are_modules() -> bool:
    """Whether VAEs are modules, chosen beside the checkpoint."""
    return False


def plain_upscaler() -> str:
    """The upscaler on pixels that needs no model and is always there."""
    return PIXEL_UPSCALER


def refines_hires_jobs() -> bool:
    """Whether a refiner works in a job with a hires pass."""
    return True


def hires_cfg(p: Any) -> tuple[Any, float]:
    """What ``hr_cfg``, which reForge has, is in a request without it, and what it is for the first pass's CFG scale."""
    return getattr(type(p), "hr_cfg", None) if getattr(p, "is_api", False) else None, 0.0


def short_names() -> bool:
    """Whether dropdowns shall name checkpoints without their folders; the setting came with 1.7.0."""
    return getattr(shared.opts, "sd_checkpoint_dropdown_use_short", False)


def fp8_weights() -> str:
    """The setting *FP8 weight*, which came with 1.8.0; ``Disable`` before."""
    return getattr(shared.opts, "fp8_storage", "Disable")


def keeps_fp16_beside_fp8() -> bool:
    """The setting *Cache FP16 weight for LoRA*, which came with 1.8.0."""
    return getattr(shared.opts, "cache_fp16_weight", False)


def is_noted_as_fp8(model: Any) -> tuple[Any, bool] | None:
    """Where the webui notes whether the active model is in fp8 (the module that has ``fp8``), and whether it should be.

    None before 1.8.0, which knows no such weights.
    """
    devices, check = import_module("modules.devices"), getattr(import_module("modules.sd_models"), "check_fp8", None)
    return None if check is None or not hasattr(devices, "fp8") else (devices, bool(check(model)))


def noise_schedule() -> Callable[[Any], None] | None:
    """What applies the settings of the noise schedule to a model; None before 1.8.0, which has no such settings."""
    return getattr(import_module("modules.sd_models"), "apply_alpha_schedule_override", None)


def finished_picture(p: Any) -> Any:
    """The picture that a job begins with, of the ✨ button, which came with 1.8.0; None if it makes a first pass."""
    return getattr(p, "firstpass_image", None)


def frozen() -> tuple[list[str], list[str]]:
    """The sections and the settings that the command line freezes; these two flags came with 1.8.0."""
    names = ("freeze_settings_in_sections", "freeze_specific_settings")
    sections, settings = (getattr(shared.cmd_opts, name, None) or "" for name in names)
    return _listed(sections), _listed(settings)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


def infotext_module() -> Any:
    """The webui's module for infotexts: ``infotext_utils``, before 1.8.0 ``generation_parameters_copypaste``.

    The page is built with it, so it is there.
    """
    found = sys.modules.get("modules.infotext_utils")
    return found or sys.modules["modules.generation_parameters_copypaste"]


def choices_of_hires_pass(p: Any) -> dict[str, str]:
    """Fields of a job, and what the page shows for "as in the first pass"; ``hr_scheduler`` came with 1.9.0."""
    texts = {"hr_sampler_name": "Use same sampler", "hr_scheduler": "Use same scheduler"}
    return {name: text for name, text in texts.items() if hasattr(p, name)}


def beyond() -> set[str]:
    """Architectures that this webui cannot load. SD 3 came with 1.10.0, and its setting for the T5 text encoder."""
    return {*OF_FORGE} if hasattr(shared.opts, "sd3_enable_t5") else {*OF_FORGE, SD3}


def loads_t5() -> bool:
    """The setting *Enable T5* of SD 3, which came with 1.10.0."""
    return getattr(shared.opts, "sd3_enable_t5", False)


def adetailer_fields() -> Collection[str]:
    """The fields of ADetailer's arguments, with pydantic 1 or 2; empty without ADetailer.

    ``ad_checkpoint`` and ``ad_vae`` came with ADetailer 23.9.0, ``ad_scheduler`` with 24.4.1. Its edition for Forge Neo
    has them in ``lib_adetailer``.
    """
    found = (getattr(sys.modules.get(name), "ADetailerArgs", None) for name in ("adetailer.args", "lib_adetailer.args"))
    model = next(filter(None, found), None)
    return getattr(model, "model_fields", None) or getattr(model, "__fields__", {})
