"""Which family serves: decided once at start by what the webui has, with the sentence that says why none does."""

from __future__ import annotations

from lib_multipass.webui.a1111 import features

A1111, FORGE = "a1111", "forge"
RELOAD = "modules.sd_models.forge_model_reload"
NEO = (
    *(f"modules.sd_models.{name}" for name in ("forge_loader", "unload_model_weights", "model_data.forge_hash")),
    *(f"modules.sd_models.{name}" for name in ("model_data.forge_loading_parameters", "model_data.sd_model")),
    *(f"modules.sd_models.{name}" for name in ("select_checkpoint", "get_closet_checkpoint_match")),
    *(f"modules.sd_models.{name}" for name in ("checkpoints_list", "checkpoint_aliases", "SdModelData.set_sd_model")),
    *(f"modules.sd_vae.{name}" for name in ("vae_dict", "store_base_vae", "restore_base_vae", "refresh_vae_list")),
    *(f"modules.patches.{name}" for name in ("patch", "original", "undo", "originals")),
    "modules.script_callbacks.remove_current_script_callbacks",
    *(f"modules.processing.{name}" for name in ("forge_model_reload", "need_global_unload", "opt_f")),
    "modules.processing.StableDiffusionProcessing.cached_params",
    "modules.processing.StableDiffusionProcessing.parse_extra_network_prompts",
    "modules.processing.StableDiffusionProcessingImg2Img.sample",
    *(
        f"modules.processing.StableDiffusionProcessingTxt2Img.{name}"
        for name in ("init", "sample", "sample_hr_pass", "calculate_hr_conds", "close", "hr_checkpoint_name", "hr_cfg")
    ),
    "modules.hashes.calculate_sha256_real",
    "backend.loader.load_torch_file",
    "modules.errors.report",
    "modules.errors.display",
    "modules.images.save_image",
    "modules.ui_components.InputAccordion",
    "modules.shared.options_templates",
    *(
        f"modules_forge.main_entry.{name}"
        for name in ("module_list", "refresh_models", "forge_unet_storage_dtype_options")
    ),
    "modules_forge.utils.apply_circular_forge",
    *(f"backend.args.dynamic_args.{name}" for name in ("reset", "online_lora")),
    "backend.memory_management.soft_empty_cache",
)
"""What Multipass builds on in Forge Neo 2.26. The older Forge has most of it and another ``dynamic_args``."""


WORKS_IN = "those that Multipass works in: WebUI 1.6.0 to 1.10.1, reForge and Forge Neo."


def serving() -> tuple[str | None, str]:
    """The family that serves, and why none does: a sentence, empty where one does."""
    if not features.has(RELOAD):
        reason = features.why_off()
        return (A1111, "") if reason is None else (None, reason)
    missing = next((name for name in NEO if not features.has(name)), None)
    return (FORGE, "") if missing is None else (None, _unlike_neo(missing))


def _unlike_neo(missing: str) -> str:
    return (
        "Multipass is off: this webui loads its checkpoints with forge_model_reload, but lacks "
        f"{missing}, as the older Forge does, so it is none of {WORKS_IN}"
    )


def failing(error: Exception) -> str:
    """Why none serves, where starting one has failed: a fork that lacks what nobody has foreseen."""
    return f"Multipass is off: this webui lacks something ({error}), so it is none of {WORKS_IN}"
