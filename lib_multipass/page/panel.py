"""Our panel on the webui's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gradio as gr

from lib_multipass.api.release import release
from lib_multipass.page import choices, drawing, exchange, paste, planline
from lib_multipass.plan import args as fields
from lib_multipass.webui import host


class _Built:
    """Of the page that is being built."""

    files: Mapping[str, gr.Dropdown] = {}
    """The dropdowns that list files, by the names of the settings."""
    plan_line: planline.PlanLine | None = None


def remember(component: Any, elem_id: str | None) -> None:
    """Take note of a component of the page that is being built; after the last one, make ready for ui-config.json."""
    host.controls.remember(component, elem_id)
    paste.remember(component, elem_id)
    planline.remember(component, elem_id, _Built.plan_line)
    if elem_id == planline.LAST:
        choices.expect_saved(_Built.files)


def panel(elem_id: Callable[[str], str]) -> tuple[list[Any], list[tuple]]:
    """Build the panel.

    The webui calls this also outside the page to learn the API's defaults: always as many components, and none with the
    value None.

    Returns:
        the inputs in the order of the fields, and the infotext fields ``(component, function of the parsed infotext)``.
    """
    made: dict[str, Any] = {}
    off, title = fields.default("enabled"), fields.label("enabled")
    with host.ui.InputAccordion(off, label=title, elem_id=elem_id("enabled")) as made["enabled"]:
        line = gr.HTML(drawing.sketch(), elem_id=elem_id("plan"), elem_classes="multipass-plan")
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
        last = gr.HTML(value="", visible=False, elem_id=elem_id("last"), elem_classes="multipass-last")
        ask = _unsaved(gr.Button("Plan", visible=False, elem_id=elem_id("ask")))
    files = {name: made[name] for name in choices.OFFERED}
    refresh.click(fn=partial(choices.refresh, files), inputs=[*files.values()], outputs=[*files.values()])
    # Pages are built one at a time, before they are served.
    _Built.files = files
    _Built.plan_line = planline.PlanLine(line, last, ask, [made[name] for name in fields.FIELDS], pasting.base)
    return [made[name] for name in fields.FIELDS], pasting.fields(made, choices.OFFERED)


def _checkpoint_buttons(checkpoint: gr.Dropdown, elem_id: Callable[[str], str]) -> Any:
    """The buttons beside the second pass's checkpoint; the refresh button of the two."""
    button = host.ui.ToolButton(
        value="\u21c5",
        elem_id=elem_id("swap"),
        tooltip="Exchange this checkpoint and the one of the first pass.",
        visible=exchange.is_possible(),
    )
    exchange.connect(button, checkpoint, _unsaved(gr.Textbox("", visible=False, elem_id=elem_id("selected"))))
    return host.ui.ToolButton(
        value=host.ui.refresh_symbol, elem_id=elem_id("refresh"), tooltip="Read the checkpoint folders again."
    )


def _release_row(elem_id: Callable[[str], str]) -> None:
    with gr.Row(elem_classes="multipass-release"):
        free = gr.Button(
            "Release",
            size="sm",
            elem_id=elem_id("release"),
            tooltip="Let go of the checkpoints and passes that are kept.",
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
    if choices.is_list(name):
        common |= {"value": choices.value_of(name, fields.default(name)), "multiselect": True}
    return gr.Dropdown(choices=offered, **common)


def _release() -> dict:
    return gr.update(value=release().text(), visible=True)
