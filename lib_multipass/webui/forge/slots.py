"""Which functions of Forge Neo the slots are."""

from __future__ import annotations

from backend import loader
from modules import errors, hashes, images, processing, sd_models, sd_samplers, sd_vae

from lib_multipass.state import kept
from lib_multipass.webui.forge import engines, models, swaps, traces

SLOTS = (
    ("init", processing.StableDiffusionProcessingTxt2Img, "init"),
    ("close", processing.StableDiffusionProcessingTxt2Img, "close"),
    ("swap", sd_models, "forge_model_reload"),
    ("swap", processing, "forge_model_reload"),
    ("read", sd_models, "forge_loader"),
    ("file", loader, "load_torch_file"),
    ("first_pass", processing.StableDiffusionProcessingTxt2Img, "sample"),
    ("hires_pass", processing.StableDiffusionProcessingTxt2Img, "sample_hr_pass"),
    ("sampler", sd_samplers, "create_sampler"),
    ("decode", processing, "decode_latent_batch"),
    ("resize", images, "resize_image"),
    ("faces", processing.StableDiffusionProcessingImg2Img, "sample"),
    ("texts", processing.StableDiffusionProcessingTxt2Img, "calculate_hr_conds"),
    ("tags", processing.StableDiffusionProcessing, "parse_extra_network_prompts"),
    ("save", images, "save_image"),
    ("hash", hashes, "calculate_sha256_real"),
    ("report", errors, "report"),
    ("display", errors, "display"),
)
"""Slot, what has the function, and its name."""
OWN = (
    (processing.StableDiffusionProcessing, "cached_params", traces.told_apart),
    (sd_vae, "store_base_vae", traces.stored_with_its_model),
    (sd_vae, "restore_base_vae", traces.restored_onto_its_model),
    (sd_models, "unload_model_weights", models.released),
)
"""What only this family wraps, with its wrapper."""
CALLS = ()
"""What this family alone asks to be called for."""
MORE = ()
"""What else is installed and uninstalled."""
FITS = {"swap": swaps.by_checkpoint, "read": swaps.of_checkpoints, "file": swaps.of_tensors}
"""By slot, what fits a wrapper to the function of this family, where that is needed."""


def let_go(disabled: bool) -> None:
    """Leave the webui nothing that only we would clear up later."""
    if disabled:
        models.let_go(None)
        engines.drop(list(kept.engines))
