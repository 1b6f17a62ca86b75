"""What the page's buttons call, with the newest host's arguments; older ones had others."""

import json
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
    force_enable_hr=False,
):
    known = locals()
    fields = {name: known[name] for name in _FIELDS}
    for name in ("hr_checkpoint_name", "hr_sampler_name", "hr_scheduler"):
        fields[name] = None if str(fields[name]).startswith("Use same ") else fields[name]
    p = processing.StableDiffusionProcessingTxt2Img(
        **{**fields, "enable_hr": enable_hr or force_enable_hr},
        styles=prompt_styles,
        outpath_samples=shared.opts.outdir_samples or shared.opts.outdir_txt2img_samples,
        override_settings=infotext_utils.create_override_settings_dict(override_settings_texts),
    )
    p.scripts, p.script_args = scripts.scripts_txt2img, args
    return p


def _run(p):
    with closing(p):
        return scripts.scripts_txt2img.run(p, *p.script_args) or processing.process_images(p)


def _outputs(gallery, about, processed):
    comments = plaintext_to_html(processed.comments, classname="comments")
    return gallery, about, plaintext_to_html(processed.info), comments


def txt2img(id_task: str, request: gr.Request, *args):
    processed = _run(txt2img_create_processing(id_task, request, *args))
    return _outputs(processed.images, processed.js(), processed)


def txt2img_upscale(id_task: str, request: gr.Request, gallery, gallery_index, generation_info, *args):
    """The second pass alone, on a picture of the gallery, with the seed that its infotext names."""
    p = txt2img_create_processing(id_task, request, *args, force_enable_hr=True)
    p.batch_size = p.n_iter = 1
    p.txt2img_upscale = True
    p.firstpass_image = infotext_utils.image_from_url_text(gallery[gallery_index])
    about = json.loads(generation_info)
    p.seed = infotext_utils.parse_generation_parameters(about["infotexts"][gallery_index], []).get("Seed", -1)
    processed = _run(p)
    about["infotexts"][gallery_index] = processed.info
    pictures = [infotext_utils.image_from_url_text(known) for known in gallery]
    pictures[gallery_index : gallery_index + 1] = processed.images
    return _outputs(pictures, json.dumps(about), processed)
