from types import SimpleNamespace
from unittest import mock

import gradio as gr
from mini import saved_defaults
from modules import (
    images,
    infotext_utils,
    script_callbacks,
    scripts,
    sd_models,
    sd_samplers,
    shared,
    txt2img,
)
from modules.call_queue import wrap_gradio_gpu_call
from modules.gradio_extensons import _without_app
from modules.images import read_info_from_image
from modules.infotext_utils import PasteField
from modules.ui_common import create_refresh_button
from modules.ui_components import FormRow, InputAccordion, ToolButton
from modules.ui_gradio_extensions import reload_javascript
from PIL import Image


def create_ui():
    reload_javascript()
    infotext_utils.reset()
    script_callbacks.ui_settings_callback()
    for runner, is_img2img in ((scripts.scripts_img2img, True), (scripts.scripts_txt2img, False)):
        with mock.patch.object(scripts, "scripts_current", None if is_img2img else runner):
            runner.initialize_scripts(is_img2img)
            page = _build_aside(runner) if is_img2img else _page()
    return page


def _page():
    with _without_app(), gr.Blocks(title="Miniature webui", analytics_enabled=False) as page:
        _quick_settings()
        with gr.Tabs(elem_id="tabs") as tabs:
            with _tab("txt2img", "txt2img") as txt2img_tab:
                _txt2img_tab()
            saved_defaults.restore(txt2img_tab, "txt2img", shared.cmd_opts.ui_config_file)
            with _tab("PNG Info", "pnginfo"):
                _png_info_tab(tabs)
            with _tab("Settings", "settings"):
                _settings_tab()
        infotext_utils.connect_paste_params_buttons()
    return page


def _tab(label, name):
    return gr.Tab(label, id=name, elem_id=f"tab_{name}")


def _build_aside(runner):
    """The img2img scripts need their places among the arguments, though this page shows no such tab."""
    with _without_app(), gr.Blocks():
        runner.prepare_ui()
        for section in ("sampler", "seed", "accordions"):
            runner.setup_ui_for_section(section)
        runner.setup_ui()


def _change_setting(key):
    def change(value):
        settings = shared.opts
        if value is not None and settings.set(key, value):
            settings.save(shared.config_filename)
        return gr.update(value=getattr(settings, key))

    return change


def _quick_settings():
    with gr.Row(elem_id="quicksettings"):
        chosen = gr.Dropdown(
            sd_models.checkpoint_tiles(),
            value=lambda: shared.opts.sd_model_checkpoint,
            label="Stable Diffusion checkpoint",
            elem_id="setting_sd_model_checkpoint",
        )
        _listing(chosen, sd_models.checkpoint_tiles, "refresh_sd_model_checkpoint")
    by_name = gr.Button("Change checkpoint", elem_id="change_checkpoint", visible=False)
    change = _change_setting("sd_model_checkpoint")
    take = "(shown) => { const name = desiredCheckpointName; desiredCheckpointName = ''; return [name || shown]; }"
    for event, js in ((chosen.change, None), (by_name.click, take)):
        event(change, [chosen], [chosen], show_progress=False, _js=js).then(None, _js="optionsHaveChanged")


def _listing(dropdown, names, elem_id):
    """A button that reads the folder of checkpoints once more."""
    create_refresh_button(dropdown, sd_models.list_models, lambda: {"choices": names()}, elem_id)


def _same_or_another():
    return ["Use same checkpoint", *sd_models.checkpoint_tiles(use_short=True)]


def _settings_tab():
    """What extensions added, without the host's own settings."""
    own = {"saving", "sd", "ui"}
    for key, info in shared.opts.data_labels.items():
        if info.category_id in own or info.do_not_save:
            continue
        kind = info.component or {bool: gr.Checkbox, int: gr.Number}.get(type(info.default), gr.Textbox)
        more = info.component_args or {}
        more = {"value": getattr(shared.opts, key), **(more() if callable(more) else more)}
        component = kind(label=info.label, elem_id=f"setting_{key}", **more)
        component.change(_change_setting(key), [component], [component], show_progress=False)
    restart = gr.Button("Reload UI", elem_id="settings_restart_gradio")
    reload_page = "() => { setTimeout(() => location.reload(), 4000); return []; }"
    restart.click(shared.state.request_restart, [], [], _js=reload_page)


def _slider(label, low, high, value, elem_id, step=1):
    return gr.Slider(low, high, value=value, step=step, label=label, elem_id=elem_id)


def _hires(tab):
    """The block "Hires. fix", with the row of the second checkpoint hidden unless a setting shows it."""
    opts = shared.opts
    tab.enable_hr = InputAccordion(False, elem_id="txt2img_hr", label="Hires. fix")
    with tab.enable_hr:
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
            names = _same_or_another()
            tab.hr_checkpoint = gr.Dropdown(names, value=names[0], label="Checkpoint", elem_id="hr_checkpoint")
            _listing(tab.hr_checkpoint, _same_or_another, "hr_checkpoint_refresh")
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


def _with_files(func):
    def run(id_task, request: gr.Request, *args):
        gallery, *others = func(id_task, request, *args)
        return list(map(images._file_for_page, gallery)), *others

    return run


def _connect(tab, outputs):
    nothing = gr.State(None)
    first = [nothing, tab.prompt, tab.negative, nothing, tab.count, tab.size, tab.cfg, tab.height, tab.width]
    hires = [tab.enable_hr, tab.denoising, tab.hr_scale, tab.hr_upscaler, tab.hr_steps, tab.hr_x, tab.hr_y]
    names = [tab.hr_checkpoint, tab.hr_sampler, tab.hr_scheduler, tab.hr_prompt, tab.hr_negative, tab.overrides]
    run = wrap_gradio_gpu_call(_with_files(txt2img.txt2img))
    for event in (tab.generate.click, tab.prompt.submit):
        done = event(run, [*first, *hires, *names, *tab.script_inputs], outputs, show_progress=False, _js="submit")
        done.then(None, _js="() => showSubmitButtons('txt2img', true)")
    fields = _paste_fields(tab) + scripts.scripts_txt2img.infotext_fields
    infotext_utils.add_paste_fields("txt2img", None, fields, tab.overrides)
    binding = infotext_utils.ParamBinding(tab.paste, "txt2img", source_text_component=tab.prompt)
    infotext_utils.register_paste_params_button(binding)


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
    binding = infotext_utils.ParamBinding(send, "txt2img", source_text_component=info)
    infotext_utils.register_paste_params_button(binding)
    send.click(lambda: gr.update(selected="txt2img"), [], [tabs])
