"""Which functions of the webui the slots are (1.6.0 to 1.10.1)."""

from __future__ import annotations

from modules import errors, hashes, images, processing, sd_models, sd_samplers, sd_vae
from modules.textual_inversion import textual_inversion

from lib_multipass.webui.a1111 import (
    beginnings,
    fast_swaps,
    files,
    follow,
    forge_models,
    limits,
    models,
    pass_vae,
    swaps,
)

SLOTS = (
    ("init", processing.StableDiffusionProcessingTxt2Img, "init"),
    ("close", processing.StableDiffusionProcessingTxt2Img, "close"),
    ("conds", processing.StableDiffusionProcessingTxt2Img, "setup_conds"),
    ("swap", sd_models, "reload_model_weights"),
    ("read", sd_models, "get_checkpoint_state_dict"),
    ("first_pass", processing.StableDiffusionProcessingTxt2Img, "sample"),
    ("hires_pass", processing.StableDiffusionProcessingTxt2Img, "sample_hr_pass"),
    ("sampler", sd_samplers, "create_sampler"),
    ("decode", processing, "decode_latent_batch"),
    ("resize", images, "resize_image"),
    ("faces", processing.StableDiffusionProcessingImg2Img, "sample"),
    ("texts", processing.StableDiffusionProcessingTxt2Img, "calculate_hr_conds"),
    ("tags", processing.StableDiffusionProcessing, "parse_extra_network_prompts"),
    ("save", images, "save_image"),
    ("hash", hashes, "calculate_sha256"),
    ("report", errors, "report"),
    ("display", errors, "display"),
)
"""Slot, what has the function, and its name."""
OWN = (
    (sd_models.SdModelData, "set_sd_model", swaps.vae_remembered),
    (textual_inversion.EmbeddingDatabase, "load_textual_inversion_embeddings", follow.noted),
    (sd_vae, "resolve_vae", pass_vae.vae_of_the_moment),
    (sd_vae, "load_vae", pass_vae.taken_off_when_it_fails),
    (sd_vae, "load_vae_dict", pass_vae.kept_in_memory),
)
"""What only this family wraps, with its wrapper."""
CALLS = tuple(("model_loaded", note) for note in (files.note_model, beginnings.note_model, forge_models.note))
"""What this family alone asks to be called for: the event and the function."""
MORE = (limits,)
"""What else is installed and uninstalled."""
FITS = {}
"""By slot, what fits a wrapper to the function of this family, where that is needed."""


def let_go(disabled: bool) -> None:
    """Leave the webui nothing that only we would clear up later."""
    pass_vae.settle()
    pass_vae.forget()
    fast_swaps.leave()
    if disabled:
        # Nobody would hold up the limit any more; up to 1.8.0 more loaded models than that break the webui.
        models.let_go(None)
