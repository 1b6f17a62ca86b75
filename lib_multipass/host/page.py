"""The webui's page: our panel in it, and the defaults of the controls that a job may be missing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr
from modules import shared
from modules.ui_common import refresh_symbol
from modules.ui_components import InputAccordion, ToolButton

from lib_multipass import NAME
from lib_multipass import args as fields
from lib_multipass.host import ahead, choices, crossing, keeping, paste, planline, swap
from lib_multipass.host.release import release

HIRES_CONTROLS = {
    "txt2img_denoising_strength": "denoising_strength",
    "txt2img_hr_scale": "hr_scale",
    "txt2img_hr_upscaler": "hr_upscaler",
}

ABOUT_DEFAULTS = """
What the panel shows at first is kept where the webui keeps it for all of its controls: set the panel on the txt2img
page as it shall be, then press <i>View changes</i> and <i>Apply</i> under <i>Settings, Defaults</i>.
"""
"""A setting of ours beside it would never win: ui-config.json has every control's value from the first start on."""

_controls: dict[str, Any] = {}
_files: dict[str, gr.Dropdown] = {}
_plan_line: planline.PlanLine | None = None
"""Of the page that is being built."""


def remember(component: Any, elem_id: str | None) -> None:
    """Keep the hires controls of a page that is being built; their ``value`` follows the user's ui-config.json.

    After the last component of ours and of the webui's that matters here, make ready for that file.
    """
    if elem_id in HIRES_CONTROLS:
        _controls[HIRES_CONTROLS[elem_id]] = component
    paste.remember(component, elem_id)
    planline.remember(component, elem_id, _plan_line)
    if elem_id == planline.LAST:
        choices.expect_saved(_files)


def hires_defaults() -> dict[str, Any]:
    """Values that the page shows at first for the hires pass, by name of the job's attribute; empty without a page."""
    return {name: component.value for name, component in _controls.items() if component.value is not None}


def add_settings() -> None:
    """Add our section to the Settings page. As templates the options have their defaults before any page is built."""
    gigabytes = {"minimum": 0, "maximum": 24, "step": 0.1}
    options = {
        "multipass_about_defaults": shared.OptionHTML(ABOUT_DEFAULTS),
        keeping.KEEP: shared.OptionInfo(
            keeping.DEFAULTS[keeping.KEEP], "Keep checkpoints", gr.Dropdown, {"choices": list(fields.WISHES)}
        ).info("what the choice Automatic in the panel means; Automatic here goes by the free memory"),
        keeping.VRAM_RESERVE: shared.OptionInfo(
            keeping.DEFAULTS[keeping.VRAM_RESERVE], "VRAM to leave free, in GB", gr.Slider, gigabytes
        ).info("besides what the pictures are expected to need"),
        keeping.RAM_RESERVE: shared.OptionInfo(
            keeping.DEFAULTS[keeping.RAM_RESERVE], "RAM to leave free, in GB", gr.Slider, gigabytes
        ).info("checkpoints that would take more are loaded every time"),
        crossing.OPTION: crossing.setting(),
        ahead.OPTION: shared.OptionInfo(True, "Read the next checkpoint while the first pass runs").info(
            "on by default; shortens the wait before the second pass when its checkpoint is not loaded yet"
        ),
    }
    shared.options_templates.update(shared.options_section(("multipass", NAME), options))


def panel(elem_id: Callable[[str], str]) -> tuple[list[Any], list[tuple]]:
    """Build the panel.

    The webui calls this also outside the page to learn the API's defaults: always as many components, and none with the
    value None.

    Returns:
        the inputs in the order of the fields, and the infotext fields ``(component, function of the parsed infotext)``.
    """
    made: dict[str, Any] = {}
    off, title = fields.default("enabled"), fields.label("enabled")
    with InputAccordion(off, label=title, elem_id=elem_id("enabled")) as made["enabled"]:
        line = gr.HTML(elem_id=elem_id("plan"), elem_classes="multipass-plan")
        pasting = paste.Paste(elem_id)
        with gr.Row(elem_classes="multipass-row"):
            with gr.Row(elem_classes="multipass-checkpoint"):
                made["checkpoint"] = _control("checkpoint", elem_id)
                refresh = _checkpoint_buttons(made["checkpoint"], elem_id)
            made["adetailer"] = _control("adetailer", elem_id)
        with gr.Accordion("Second pass settings", open=False, elem_id=elem_id("settings")):
            with gr.Row(elem_classes="multipass-row"):
                made |= {name: _control(name, elem_id) for name in fields.FIELDS if name not in made}
            _release_row(elem_id)
        ask = _unsaved(gr.Button("Plan", visible=False, elem_id=elem_id("ask")))
    files = {name: made[name] for name in choices.OFFERED}
    refresh.click(fn=partial(choices.refresh, files), inputs=[*files.values()], outputs=[*files.values()])
    global _plan_line, _files  # pages are built one at a time, before they are served
    _files = files
    _plan_line = planline.PlanLine(line, ask, [made[name] for name in fields.FIELDS], pasting.base)
    return [made[name] for name in fields.FIELDS], pasting.fields(made, choices.OFFERED)


def _checkpoint_buttons(checkpoint: gr.Dropdown, elem_id: Callable[[str], str]) -> ToolButton:
    """The buttons beside the second pass's checkpoint; the refresh button of the two."""
    exchange = ToolButton(
        value="\u21c5",
        elem_id=elem_id("swap"),
        tooltip="Exchange this checkpoint and the one of the first pass.",
        visible=swap.is_possible(),
    )
    swap.connect(exchange, checkpoint, _unsaved(gr.Textbox("", visible=False, elem_id=elem_id("selected"))))
    return ToolButton(value=refresh_symbol, elem_id=elem_id("refresh"), tooltip="Read the checkpoint folders again.")


def _release_row(elem_id: Callable[[str], str]) -> None:
    with gr.Row(elem_classes="multipass-release"):
        free = gr.Button(
            "Release", size="sm", elem_id=elem_id("release"), tooltip="Let go of the checkpoints that are kept."
        )
        note = _unsaved(gr.Textbox(show_label=False, interactive=False, elem_id=elem_id("note"), visible=False))
    free.click(fn=_release, inputs=[], outputs=[note])


def _unsaved(component: Any) -> Any:
    """The component, kept out of ui-config.json."""
    component.do_not_save_to_config = True
    return component


def _control(name: str, elem_id: Callable[[str], str]) -> Any:
    about = fields.FIELDS[name].metadata
    common = {
        "label": about["label"],
        "value": fields.default(name),
        "elem_id": elem_id(name),
        "tooltip": about["tooltip"],
    }
    if about["range"]:
        lowest, highest, step = about["range"]
        return gr.Slider(minimum=lowest, maximum=highest, step=step, **common)
    if isinstance(fields.default(name), bool):
        return gr.Checkbox(**common)
    offered = choices.OFFERED[name]() if name in choices.OFFERED else list(about["choices"])
    return gr.Dropdown(choices=offered, **common)


def _release() -> dict:
    return gr.update(value=release().text(), visible=True)
