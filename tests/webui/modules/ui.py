from functools import wraps
from types import SimpleNamespace

import gradio as gr
from mini import saved_defaults
from modules import (
    gradio_extensons,  # noqa: F401  it announces every component
    images,
    script_callbacks,
    scripts,
    sd_models,
    sd_samplers,
    shared,
    txt2img,
)
from modules import infotext_utils as parameters_copypaste
from modules.call_queue import wrap_gradio_gpu_call
from modules.images import read_info_from_image
from modules.infotext_utils import PasteField
from modules.ui_common import create_refresh_button
from modules.ui_components import FormRow, InputAccordion, ToolButton
from modules.ui_gradio_extensions import reload_javascript
from PIL import Image


def create_ui():
    reload_javascript()
    parameters_copypaste.reset()
    script_callbacks.ui_settings_callback()
    scripts.scripts_img2img.initialize_scripts(is_img2img=True)
    _build_aside(scripts.scripts_img2img)
    scripts.scripts_current = scripts.scripts_txt2img
    scripts.scripts_txt2img.initialize_scripts(is_img2img=False)
    with gr.Blocks(analytics_enabled=False, title="Miniature webui") as demo:
        _quick_settings()
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("txt2img", id="txt2img", elem_id="tab_txt2img") as txt2img_tab:
                prompt = _txt2img_tab()
            saved_defaults.restore(txt2img_tab, "txt2img", shared.cmd_opts.ui_config_file)
            with gr.Tab("PNG Info", id="pnginfo", elem_id="tab_pnginfo"):
                _png_info_tab(tabs)
            with gr.Tab("Settings", id="settings", elem_id="tab_settings"):
                _settings_tab()
        parameters_copypaste.connect_paste_params_buttons()
    scripts.scripts_current = None
    assert prompt is not None
    return demo


def _build_aside(runner):
    """The img2img scripts need their places among the arguments, though this page shows no such tab."""
    with gr.Blocks():
        runner.prepare_ui()
        for section in ("sampler", "seed", "accordions"):
            runner.setup_ui_for_section(section)
        runner.setup_ui()


def _change_setting(key):
    def change(value):
        if value is not None and shared.opts.set(key, value):
            shared.opts.save(shared.config_filename)
        return gr.update(value=getattr(shared.opts, key))

    return change


def _quick_settings():
    with gr.Row(elem_id="quicksettings"):
        chosen = gr.Dropdown(
            sd_models.checkpoint_tiles(),
            value=lambda: shared.opts.sd_model_checkpoint,
            label="Stable Diffusion checkpoint",
            elem_id="setting_sd_model_checkpoint",
        )
        create_refresh_button(
            chosen,
            sd_models.list_models,
            lambda: {"choices": sd_models.checkpoint_tiles()},
            "refresh_sd_model_checkpoint",
        )
    by_name = gr.Button("Change checkpoint", elem_id="change_checkpoint", visible=False)
    change = _change_setting("sd_model_checkpoint")
    take = "(shown) => { const name = desiredCheckpointName; desiredCheckpointName = ''; return [name || shown]; }"
    for event, js in ((chosen.change, None), (by_name.click, take)):
        event(change, [chosen], [chosen], show_progress=False, _js=js).then(None, _js="optionsHaveChanged")
    shared.settings_components = {"sd_model_checkpoint": chosen}


def _settings_tab():
    """What extensions added, without the host's own settings."""
    own = {"saving", "sd", "ui"}
    for key, info in shared.opts.data_labels.items():
        if info.category_id in own or info.do_not_save:
            continue
        kind = info.component or {bool: gr.Checkbox, int: gr.Number}.get(type(info.default), gr.Textbox)
        given = info.component_args() if callable(info.component_args) else info.component_args or {}
        shared.settings_components[key] = component = kind(
            label=info.label, value=getattr(shared.opts, key), elem_id=f"setting_{key}", **given
        )
        component.change(_change_setting(key), [component], [component], show_progress=False)
    restart = gr.Button("Reload UI", elem_id="settings_restart_gradio")
    reload_page = "() => { setTimeout(() => location.reload(), 4000); return []; }"
    restart.click(shared.state.request_restart, [], [], _js=reload_page)


def _slider(label, low, high, value, elem_id, step=1):
    return gr.Slider(low, high, value=value, step=step, label=label, elem_id=elem_id)


def _hires(tab):
    """The block "Hires. fix", with the row of the second checkpoint hidden unless a setting shows it."""
    opts = shared.opts
    same_or = ["Use same checkpoint", *sd_models.checkpoint_tiles(use_short=True)]
    with InputAccordion(False, label="Hires. fix", elem_id="txt2img_hr") as tab.enable_hr:
        with FormRow(elem_id="txt2img_hires_fix_row1"):
            upscalers = [*shared.latent_upscale_modes, *(known.name for known in shared.sd_upscalers)]
            tab.hr_upscaler = gr.Dropdown(
                upscalers, value=shared.latent_upscale_default_mode, label="Upscaler", elem_id="txt2img_hr_upscaler"
            )
            tab.hr_steps = _slider("Hires steps", 0, 150, 0, "txt2img_hires_steps")
            tab.denoising = _slider("Denoising strength", 0, 1, 0.7, "txt2img_denoising_strength", 0.01)
        with FormRow(elem_id="txt2img_hires_fix_row2"):
            tab.hr_scale = _slider("Upscale by", 1, 4, 2.0, "txt2img_hr_scale", 0.05)
            tab.hr_x = _slider("Resize width to", 0, 2048, 0, "txt2img_hr_resize_x", 8)
            tab.hr_y = _slider("Resize height to", 0, 2048, 0, "txt2img_hr_resize_y", 8)
        with FormRow(elem_id="txt2img_hires_fix_row3", visible=opts.hires_fix_show_sampler) as tab.row3:
            tab.hr_checkpoint = gr.Dropdown(same_or, value=same_or[0], label="Checkpoint", elem_id="hr_checkpoint")
            create_refresh_button(
                tab.hr_checkpoint,
                sd_models.list_models,
                lambda: {"choices": ["Use same checkpoint", *sd_models.checkpoint_tiles(use_short=True)]},
                "hr_checkpoint_refresh",
            )
            samplers = ["Use same sampler", *sd_samplers.visible_sampler_names()]
            tab.hr_sampler = gr.Dropdown(
                samplers, value=samplers[0], label="Hires sampling method", elem_id="hr_sampler"
            )
            tab.hr_scheduler = gr.Dropdown(
                ["Use same scheduler"], value="Use same scheduler", label="Hires schedule type", elem_id="hr_scheduler"
            )
        with FormRow(elem_id="txt2img_hires_fix_row4", visible=opts.hires_fix_show_prompts):
            tab.hr_prompt = gr.Textbox(label="Hires prompt", elem_id="hires_prompt")
            tab.hr_negative = gr.Textbox(label="Hires negative prompt", elem_id="hires_neg_prompt")


def _txt2img_tab():
    tab, runner = SimpleNamespace(), scripts.scripts_txt2img
    with gr.Row(elem_id="txt2img_toprow"):
        with gr.Column(scale=6):
            tab.prompt = gr.Textbox(label="Prompt", elem_id="txt2img_prompt", lines=2)
            tab.negative = gr.Textbox(label="Negative prompt", elem_id="txt2img_neg_prompt", lines=2)
        with gr.Column(scale=1):
            tab.generate = gr.Button("Generate", elem_id="txt2img_generate", variant="primary")
            tab.paste = ToolButton("\u2199\ufe0f", elem_id="paste")
            interrupt = gr.Button("Interrupt", elem_id="txt2img_interrupt")
            interrupt.click(shared.state.interrupt, [], [], queue=False)
            gr.Button("Skip", elem_id="txt2img_skip").click(shared.state.skip, [], [], queue=False)
    with gr.Row():
        with gr.Column(elem_id="txt2img_settings"):
            runner.prepare_ui()
            runner.setup_ui_for_section("sampler")
            with FormRow():
                tab.width = _slider("Width", 64, 2048, 512, "txt2img_width", 8)
                tab.height = _slider("Height", 64, 2048, 512, "txt2img_height", 8)
            with FormRow():
                tab.count = _slider("Batch count", 1, 100, 1, "txt2img_batch_count")
                tab.size = _slider("Batch size", 1, 8, 1, "txt2img_batch_size")
                tab.cfg = _slider("CFG Scale", 1, 30, 7.0, "txt2img_cfg_scale", 0.5)
            runner.setup_ui_for_section("seed")
            with gr.Row(elem_id="txt2img_accordions", elem_classes="accordions"):
                _hires(tab)
                runner.setup_ui_for_section("accordions")
            tab.overrides = gr.Dropdown(
                [], label="Override settings", visible=False, multiselect=True, elem_id="txt2img_override_settings"
            )
            with gr.Group(elem_id="txt2img_script_container"):
                tab.script_inputs = runner.setup_ui()
        with gr.Column(elem_id="txt2img_results"):
            gallery = gr.Gallery(label="Output", show_label=False, elem_id="txt2img_gallery", columns=4)
            infotext = gr.HTML(elem_id="html_info_txt2img", elem_classes="infotext")
            log = gr.HTML(elem_id="html_log_txt2img", elem_classes="html-log")
            about = gr.Textbox(visible=False, elem_id="generation_info_txt2img")
    _connect(tab, [gallery, about, infotext, log])
    return tab.prompt


def _with_files(func):
    @wraps(func)
    def run(*args, **kwargs):
        gallery, *rest = func(*args, **kwargs)
        return [[images._file_for_page(picture) for picture in gallery], *rest]

    return run


def _connect(tab, outputs):
    nothing = gr.State(None)
    first = [nothing, tab.prompt, tab.negative, nothing, tab.count, tab.size, tab.cfg, tab.height, tab.width]
    hires = [tab.enable_hr, tab.denoising, tab.hr_scale, tab.hr_upscaler, tab.hr_steps, tab.hr_x, tab.hr_y]
    names = [tab.hr_checkpoint, tab.hr_sampler, tab.hr_scheduler, tab.hr_prompt, tab.hr_negative, tab.overrides]
    run = wrap_gradio_gpu_call(_with_files(txt2img.txt2img), extra_outputs=[None, "", ""])
    for event in (tab.generate.click, tab.prompt.submit):
        done = event(run, [*first, *hires, *names, *tab.script_inputs], outputs, show_progress=False, _js="submit")
        done.then(None, _js="() => showSubmitButtons('txt2img', true)")
    fields = _paste_fields(tab) + scripts.scripts_txt2img.infotext_fields
    parameters_copypaste.add_paste_fields("txt2img", None, fields, tab.overrides)
    binding = parameters_copypaste.ParamBinding(tab.paste, "txt2img", source_text_component=tab.prompt)
    parameters_copypaste.register_paste_params_button(binding)


def _paste_fields(tab):
    def second_pass(params):
        marks = ("Hires upscale", "Hires upscaler", "Hires resize-1")
        return "Denoising strength" in params and any(mark in params for mark in marks)

    def show_row3(params):
        same = params["Hires checkpoint"] == "Use same checkpoint" and params["Hires sampler"] == "Use same sampler"
        return gr.update() if same else gr.update(visible=True)

    rows = (
        (tab.prompt, "Prompt", "prompt"),
        (tab.negative, "Negative prompt", "negative_prompt"),
        (tab.cfg, "CFG scale", "cfg_scale"),
        (tab.width, "Size-1", "width"),
        (tab.height, "Size-2", "height"),
        (tab.denoising, "Denoising strength", "denoising_strength"),
        (tab.enable_hr, second_pass, "enable_hr"),
        (tab.hr_scale, "Hires upscale", "hr_scale"),
        (tab.hr_upscaler, "Hires upscaler", "hr_upscaler"),
        (tab.hr_steps, "Hires steps", "hr_second_pass_steps"),
        (tab.hr_x, "Hires resize-1", "hr_resize_x"),
        (tab.hr_y, "Hires resize-2", "hr_resize_y"),
        (tab.hr_sampler, "Hires sampler", "hr_sampler_name"),
        (tab.hr_checkpoint, "Hires checkpoint", "hr_checkpoint_name"),
        (tab.row3, show_row3, None),
        (tab.hr_prompt, "Hires prompt", "hr_prompt"),
        (tab.hr_negative, "Hires negative prompt", "hr_negative_prompt"),
    )
    return [PasteField(component, target, api=api) for component, target, api in rows]


def _png_info_tab(tabs):
    image = gr.Image(label="Source", type="filepath", elem_id="pnginfo_image")
    info = gr.Textbox(label="Parameters", elem_id="pnginfo_generation_info")
    send = gr.Button("Send to txt2img", elem_id="txt2img_tab")
    image.change(lambda file: read_info_from_image(Image.open(file))[0] or "" if file else "", [image], [info])
    binding = parameters_copypaste.ParamBinding(send, "txt2img", source_text_component=info)
    parameters_copypaste.register_paste_params_button(binding)
    send.click(lambda: gr.update(selected="txt2img"), [], [tabs])
