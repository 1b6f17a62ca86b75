"""What the page's buttons call, with the newest host's arguments; older ones had others."""

from contextlib import closing

import gradio as gr
from modules import infotext_utils, processing, scripts, shared
from modules.ui_common import plaintext_to_html

_FIELDS = (
    *("prompt", "negative_prompt", "n_iter", "batch_size", "cfg_scale", "height", "width", "denoising_strength"),
    *("hr_scale", "hr_upscaler", "hr_second_pass_steps", "hr_resize_x", "hr_resize_y", "hr_checkpoint_name"),
    *("hr_sampler_name", "hr_scheduler", "hr_prompt", "hr_negative_prompt"),
)


def txt2img_create_processing(
    id_task: str,
    request: gr.Request,
    prompt,
    negative_prompt,
    prompt_styles,
    n_iter,
    batch_size,
    cfg_scale,
    height,
    width,
    enable_hr,
    denoising_strength,
    hr_scale,
    hr_upscaler,
    hr_second_pass_steps,
    hr_resize_x,
    hr_resize_y,
    hr_checkpoint_name,
    hr_sampler_name,
    hr_scheduler,
    hr_prompt,
    hr_negative_prompt,
    override_settings_texts,
    *args,
):
    known = locals()
    fields = {name: known[name] for name in _FIELDS}
    for name in ("hr_checkpoint_name", "hr_sampler_name", "hr_scheduler"):
        fields[name] = None if str(fields[name]).startswith("Use same ") else fields[name]
    p = processing.StableDiffusionProcessingTxt2Img(
        **{**fields, "enable_hr": enable_hr},
        styles=prompt_styles,
        outpath_samples=shared.opts.outdir_samples or shared.opts.outdir_txt2img_samples,
        override_settings=infotext_utils.create_override_settings_dict(override_settings_texts),
    )
    p.scripts, p.script_args = scripts.scripts_txt2img, args
    return p


def _run(p):
    runner = p.scripts
    with closing(p):
        return runner.run(p, *p.script_args) or processing.process_images(p)


def _outputs(gallery, about, processed):
    return gallery, about, plaintext_to_html(processed.info), plaintext_to_html(processed.comments, "comments")


def txt2img(id_task: str, request: gr.Request, *args):
    processed = _run(txt2img_create_processing(id_task, request, *args))
    return _outputs(processed.images, processed.js(), processed)
