import gradio as gr
from modules.options import OptionInfo, options_section

options_templates = {}
restricted_opts = set()


def _section(identifier, *rows):
    """Adds rows of name, default, label and, sometimes, the infotext's label for the setting."""
    for name, default, label, *rest in rows:
        component = {bool: gr.Checkbox, int: gr.Number, float: gr.Number}.get(type(default), gr.Textbox)
        info = OptionInfo(default, label, component, infotext=rest[0] if rest else None)
        options_templates.update(options_section(identifier, {name: info}))


_section(
    ("saving-images", "Saving images/grids", "saving"),
    ("samples_save", True, "Always save all generated images"),
    ("samples_format", "png", "File format for images"),
    ("save_images_before_highres_fix", False, "Save a copy of image before applying highres fix"),
    ("enable_pnginfo", True, "Write infotext to metadata of the generated image"),
    ("outdir_samples", "", "Output directory for images"),
    ("outdir_txt2img_samples", "outputs/txt2img-images", "Output directory for txt2img images"),
)
_section(
    ("sd", "Stable Diffusion", "sd"),
    ("sd_model_checkpoint", None, "Stable Diffusion checkpoint", "Model hash"),
    ("sd_checkpoint_hash", "", "SHA256 hash of the current checkpoint"),
    ("sd_checkpoints_limit", 1, "Maximum number of checkpoints loaded at the same time"),
    ("sd_checkpoints_keep_in_cpu", True, "Only keep one model on device"),
    ("sd_vae", "Automatic", "SD VAE", "VAE"),
    ("sd_vae_checkpoint_cache", 0, "VAE Checkpoints to cache in RAM"),
    ("sd_vae_decode_method", "Full", "VAE type for decode"),
    ("sd_vae_overrides_per_model_preferences", True, "Selected VAE overrides per-model preferences"),
    ("CLIP_stop_at_last_layers", 1, "Clip skip", "Clip skip"),
    ("fp8_storage", "Disable", "FP8 weight"),
)
_section(("upscaling", "Upscaling", "postprocessing"), ("ESRGAN_tile", 192, "Tile size for ESRGAN upscalers."))
_section(
    ("ui", "User interface", "ui"),
    ("sd_checkpoint_dropdown_use_short", False, "Use filenames without folder names in the dropdown"),
    ("hires_fix_show_sampler", False, "Hires fix: show hires checkpoint and sampler selection"),
    ("hires_fix_show_prompts", False, "Hires fix: show hires prompt and negative prompt"),
    ("hires_fix_refiner_pass", "second pass", "Hires fix: which pass to enable refiner for"),
    ("hires_fix_use_firstpass_conds", False, "For hires fix, calculate conds of second pass from the first's"),
    ("disable_weights_auto_swap", True, "Disregard checkpoint information from pasted infotext"),
)
_section(
    (None, None),
    ("disabled_extensions", [], "Disable these extensions"),
    ("disable_all_extensions", "none", "Disable all extensions (preserves the list of disabled extensions)"),
)
