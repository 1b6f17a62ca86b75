"""The webui's page: our panel in it, and the defaults of the controls that a job may be missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from modules import sd_models, shared
from modules.ui_common import refresh_symbol
from modules.ui_components import InputAccordion, ToolButton

from lib_multipass import NAME, plan
from lib_multipass import args as fields
from lib_multipass.host import ahead, checkpoints

HIRES_CONTROLS = {
    "txt2img_denoising_strength": "denoising_strength",
    "txt2img_hr_scale": "hr_scale",
    "txt2img_hr_upscaler": "hr_upscaler",
}

_controls: dict[str, Any] = {}


def remember(component: Any, elem_id: str | None) -> None:
    """Keep the hires controls of a page that is being built; their ``value`` follows the user's ui-config.json."""
    if elem_id in HIRES_CONTROLS:
        _controls[HIRES_CONTROLS[elem_id]] = component


def hires_defaults() -> dict[str, Any]:
    """Values that the page shows at first for the hires pass, by name of the job's attribute; empty without a page."""
    return {name: component.value for name, component in _controls.items() if component.value is not None}


def add_settings() -> None:
    """Add our section to the Settings page. As templates the options have their defaults before any page is built."""
    read_ahead = shared.OptionInfo(True, "Read the next checkpoint while the first pass runs").info(
        "on by default; shortens the wait before the second pass when its checkpoint is not loaded yet"
    )
    section = shared.options_section(("multipass", NAME), {ahead.OPTION: read_ahead})
    shared.options_templates.update(section)


def panel(elem_id: Callable[[str], str]) -> tuple[list[Any], list[tuple]]:
    """Build the panel.

    The webui calls this also outside the page to learn the API's defaults: no side effects, always as many
    components, and none with the value None.

    Returns:
        the inputs in the order of the fields, and the infotext fields ``(component, function of the parsed infotext)``.
    """
    names = checkpoints.tiles()
    with (
        InputAccordion(fields.default("enabled"), label=fields.label("enabled"), elem_id=elem_id("enabled")) as enabled,
        gr.Row(elem_classes="multipass-row"),
    ):
        checkpoint = gr.Dropdown(
            label=fields.label("checkpoint"),
            choices=names,
            value=fields.default("checkpoint"),
            elem_id=elem_id("checkpoint"),
            tooltip="The checkpoint that makes the hires pass.",
        )
        refresh = ToolButton(
            value=refresh_symbol,
            elem_id=elem_id("refresh"),
            tooltip="Read the checkpoint folders again.",
        )
        adetailer = gr.Dropdown(
            label=fields.label("adetailer"),
            choices=_with_modes(names),
            value=fields.default("adetailer"),
            elem_id=elem_id("adetailer"),
            tooltip="The checkpoint that repaints what ADetailer finds.",
        )
    refresh.click(fn=lambda: _refresh(checkpoint, adetailer), inputs=[], outputs=[checkpoint, adetailer])
    components = {"enabled": enabled, "checkpoint": checkpoint, "adetailer": adetailer}
    pasted = [(component, _pasted(name)) for name, component in components.items()]
    return [components[name] for name in fields.FIELDS], pasted


def _with_modes(names: list[str]) -> list[str]:
    return [*fields.ADETAILER_MODES, *names]


def _refresh(checkpoint: gr.Dropdown, adetailer: gr.Dropdown) -> list[dict]:
    sd_models.list_models()
    names = checkpoints.tiles()
    checkpoint.choices, adetailer.choices = names, _with_modes(names)
    return [gr.update(choices=checkpoint.choices), gr.update(choices=adetailer.choices)]


def _pasted(name: str) -> Callable[[dict], Any]:
    def value(params: dict) -> Any:
        return plan.pasted_values(params)[name]

    return value
