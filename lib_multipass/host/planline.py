"""The panel's plan line: what the job on the screen would do."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr
from modules import scripts

from lib_multipass import args as fields
from lib_multipass.host import adetailer
from lib_multipass.host.requests import PlanRequest, plan_of
from lib_multipass.messages import MultipassError, log

WATCHED = {
    "txt2img_prompt": "prompt",
    "hires_prompt": "hr_prompt",
    "txt2img_width": "width",
    "txt2img_height": "height",
    "txt2img_batch_size": "batch_size",
    "txt2img_hr-checkbox": "enable_hr",
    "txt2img_hr_scale": "hr_scale",
    "txt2img_hr_resize_x": "hr_resize_x",
    "txt2img_hr_resize_y": "hr_resize_y",
    "txt2img_hr_upscaler": "hr_upscaler",
}
"""Components of the webui's page (1.6.0 to 1.10.1) that the plan depends on, and their names in a request."""
LAST = "html_log_txt2img"
"""A component that the webui builds after all of these, on the same page."""


_others: dict[str, Any] = {}
"""These components of the page that is being built, by their names in a request; some are older than our panel."""


class PlanLine:
    """The line of one page, and what it is connected with."""

    def __init__(self, line: gr.HTML, ours: Sequence[Any]) -> None:
        self._line = line
        self._ours = list(ours)

    def connect(self) -> None:
        """Follow the controls of the page that is being built; to be called when all of them are there."""
        runner = scripts.scripts_txt2img
        detailer = next(filter(adetailer.is_adetailer, runner.alwayson_scripts), None)
        faces = runner.inputs[detailer.args_from : detailer.args_to] if detailer else []
        names, inputs = list(_others), [*_others.values(), *self._ours, *faces]

        def update(*values: Any) -> dict:
            at, ours = len(names), len(names) + len(self._ours)
            return gr.update(value=_html(dict(zip(names, values, strict=False)), values[at:ours], values[ours:]))

        ticks = [component for component in (_others.get("enable_hr"), *faces[:1]) if component is not None]
        for component in (*self._ours, *ticks):
            component.change(update, inputs, [self._line], queue=False, show_progress=False)
        for name in ("width", "height", "batch_size", "hr_scale", "hr_resize_x", "hr_resize_y"):
            if hasattr(_others.get(name), "release"):
                _others[name].release(update, inputs, [self._line], queue=False, show_progress=False)


def remember(component: Any, elem_id: str | None, line: PlanLine | None) -> None:
    """Take note of a component of the page that is being built; after the last one, connect the line."""
    if elem_id in WATCHED:
        _others[WATCHED[elem_id]] = component
    elif elem_id == LAST and line is not None:
        line.connect()


def _html(values: dict[str, Any], ours: Sequence[Any], faces: Sequence[Any]) -> str:
    """The line for these values of the page; empty while Multipass is off or nothing is chosen."""
    if not ours[0] or not ours[list(fields.FIELDS).index("checkpoint")]:
        return ""
    listed = {"Multipass": {"args": list(ours)}, "ADetailer": {"args": list(faces)}}
    try:
        plan = plan_of(PlanRequest(**values, alwayson_scripts=listed))
    except MultipassError as error:
        return f'<p class="multipass-warning">{escape(error.detail)}</p>'
    except Exception:
        log.exception("the plan could not be made")
        return ""
    notes = "".join(
        f'<p class="multipass-warning">{escape(note)}</p>' for note in (plan.reason, *plan.warnings) if note
    )
    return f"<p>{escape(plan.text())}</p>{notes}"
