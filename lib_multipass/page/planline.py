"""The panel's plan line: what the job on the screen would do.

The page's script (``javascript/multipass.js``) is told of every change and asks for the plan when the changes have
settled, the panel is open and nothing is being generated; it asks by a click on a hidden button.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr
from gradio.context import Context

from lib_multipass.api.requests import PlanRequest, plan_of
from lib_multipass.memory.placement import DISK
from lib_multipass.page import choices, exchange, last_job, paste
from lib_multipass.page.drawing import drawing_of, not_again, sketch
from lib_multipass.plan import args as fields
from lib_multipass.plan.forecast import Forecast
from lib_multipass.plan.pasting import offer_of
from lib_multipass.state import kept
from lib_multipass.webui import host
from lib_multipass.words import MultipassError, log

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
    "txt2img_enable-checkbox": "refiner",
    "txt2img_checkpoint": "refiner_checkpoint",
    "txt2img_switch_at": "refiner_switch_at",
    "txt2img_override_settings": "override_settings",
}
"""Components of the webui's page (1.6.0 to 1.10.1) that the plan depends on, and their names in a request; ``refiner``
is the refiner's tick."""
OF_THE_PASSES = {
    "txt2img_neg_prompt": "negative_prompt",
    "txt2img_styles": "styles",
    "txt2img_seed": "seed",
    "txt2img_steps": "steps",
    "txt2img_sampling": "sampler_name",
    "txt2img_scheduler": "scheduler",
    "txt2img_cfg_scale": "cfg_scale",
    "hires_neg_prompt": "hr_negative_prompt",
    "hr_sampler": "hr_sampler_name",
    "hr_scheduler": "hr_scheduler",
    "txt2img_hires_steps": "hr_second_pass_steps",
    "txt2img_denoising_strength": "denoising_strength",
    "hr_vae_te": "hr_additional_modules",
}
"""Further ones, that tell whether a pass of the last job is asked for again; the last is Forge Neo's."""
OF_A_TAB = re.compile(r"script_txt2img_adetailer_ad_(tab_enable|model|use_checkpoint|checkpoint)(_\d+(st|nd|rd|th))?")
"""Components of ADetailer's tabs that the plan depends on. Their values are in ADetailer's arguments."""
AT_THE_TOP = ("setting_sd_model_checkpoint", "setting_sd_modules")
"""Forge Neo's own dropdowns, which change settings without a word to the page's script (2.26). They are built last, and
the plan takes their values from the settings."""
LAST = "html_log_txt2img"
"""A component that the webui builds after all of these, on the same page."""

PASTED_BASE = "pasted_base"
"""The name of what is no part of a request: the checkpoint of the pasted picture's first pass."""

CHANGED = "() => { document.dispatchEvent(new Event('multipass:changed')); return []; }"
SELECTED = "() => { document.dispatchEvent(new Event('multipass:selected')); return []; }"
ANSWERED = "() => { document.dispatchEvent(new Event('multipass:answered')); return []; }"


_NAMES = {**WATCHED, **OF_THE_PASSES}
_seen: dict[str, Any] = {}
"""Components by id, of the page that is being built and of earlier ones; some are older than our panel."""


class PlanLine:
    """The line of one page, and what it is connected with."""

    def __init__(
        self, line: gr.HTML, last: gr.HTML, ask: gr.Button, ours: Sequence[Any], pasted_base: gr.Textbox
    ) -> None:
        """Make it; :func:`remember` connects it.

        Args:
            line: the line itself.
            last: what tells of the last job.
            ask: a hidden button that the page's script clicks.
            ours: the panel's inputs in the order of the fields.
            pasted_base: what made the first pass of the picture that was pasted last.
        """
        self._pasted_base = pasted_base
        self._answers = [line, last]
        self._ask = ask
        self._ours = list(ours)

    def connect(self) -> None:
        """Follow the components of the page that is being built; to be called when all of them are there."""
        page = Context.root_block.blocks
        here = {elem_id: component for elem_id, component in _seen.items() if page.get(component._id) is component}
        others = {name: here[elem_id] for elem_id, name in _NAMES.items() if elem_id in here}
        others[PASTED_BASE] = self._pasted_base
        tabs = [component for elem_id, component in here.items() if elem_id not in _NAMES]
        faces = host.ui.adetailer_inputs()
        names, at = list(others), len(others) + len(self._ours)

        def update(*values: Any) -> tuple[str, dict]:
            told = last_job.told(kept.last)
            line = _html(dict(zip(names, values, strict=False)), values[len(names) : at], values[at:])
            return line, gr.update(value=told, visible=bool(told))

        inputs = [*others.values(), *self._ours, *faces]
        asked = self._ask.click(update, inputs, self._answers, queue=False, show_progress=False)
        asked.then(None, _js=ANSWERED)  # after a failure too
        for component in (*others.values(), *self._ours, *faces[:1], *tabs):
            component.change(None, _js=CHANGED)


def remember(component: Any, elem_id: str | None, line: PlanLine | None) -> None:
    """Take note of a component of the page that is being built; after the last one, connect the line."""
    if elem_id in _NAMES or OF_A_TAB.fullmatch(elem_id or ""):
        _seen[elem_id] = component
    elif elem_id == LAST and line is not None:
        line.connect()


def at_the_top(component: Any, **kwargs: Any) -> None:
    """The webui has made a component, of whatever part of the page; those of Forge Neo tell of their changes.

    It also makes one for each update that it sends to a page, which belongs to none.
    """
    if kwargs.get("elem_id") in AT_THE_TOP and Context.root_block is not None and choices.is_list("vae"):
        component.change(None, **{"js" if choices.IS_GRADIO_4 else "_js": SELECTED})


def _html(values: Mapping[str, Any], ours: Sequence[Any], faces: Sequence[Any]) -> str:
    """The line for these values of the page; empty while Multipass is off.

    The page's script takes from it which of the folded settings are changed, and which field has a wrong value.
    """
    if not ours[0]:
        return ""
    missing, drawn, values = "", "", dict(values)
    second = ours[list(fields.FIELDS).index("checkpoint")]
    offer = _offer(values.pop(PASTED_BASE, ""))
    try:
        if second:
            plan = plan_of(_request(values, ours, faces))
            drawn, paragraphs = drawing_of(plan), _paragraphs(plan)
        else:
            drawn, paragraphs = _sketch(CHOOSE), [(SPOKEN, "Choose the checkpoint for the second pass.")]
    except MultipassError as error:
        missing = next((name for name in fields.FIELDS if error.detail.startswith(f"{fields.label(name)}:")), "")
        paragraphs = [(WARNING, text) for text in (error.detail, *_also_missing(ours, missing))]
    except Exception:
        log.exception("the plan could not be made")
        paragraphs = [(WARNING, "The plan could not be made; the console says why.")]
    lines = "".join(f"<p{kind}>{escape(text)}</p>" for kind, text in paragraphs) + offer
    changed = ", ".join(fields.label(name) for name in _changed(ours))
    drawn = drawn or _sketch(second, is_open=missing == "checkpoint")
    return f'<div data-changed="{escape(changed)}" data-missing="{missing}">{drawn}{lines}</div>'


WARNING = ' class="multipass-warning"'
SPOKEN = ' class="multipass-spoken"'
"""For screen readers: the drawing says it to others."""
CHOOSE = "choose a checkpoint"


def _sketch(second: Any, is_open: bool = True) -> str:
    """The drawing without a plan."""
    first = host.checkpoints.selected()
    name = second[:80] if isinstance(second, str) else fields.short(second)
    return sketch(first.name_for_extra if first else "", name, is_open)


def _also_missing(ours: Sequence[Any], missing: str) -> Sequence[str]:
    """What is to be said of chosen files that are not there, besides the one in this field."""
    if missing not in choices.OFFERED:
        return ()
    given = dict(zip(fields.FIELDS, ours, strict=True))
    texts = {name: given[name] for name in choices.OFFERED if name != missing}
    texts |= {name: fields.written(text) for name, text in texts.items() if isinstance(text, list)}
    pasted = paste.read({fields.FIELDS[name].metadata["infotext"]: text for name, text in texts.items()})
    return pasted.notes[: pasted.missing]


def _offer(pasted_base: str | None) -> str:
    """The paragraph about the pasted picture's first checkpoint; the page's script makes its button select that one."""
    offer = offer_of(pasted_base or "", host.checkpoints.selected(), host.checkpoints.known())
    if offer is None:
        return ""
    if offer.checkpoint is None or not exchange.is_possible():
        return f"<p{WARNING}>{escape(offer.text)}</p>"
    name = escape(offer.checkpoint.name_for_extra)
    button = f'<button type="button" data-select="{escape(offer.checkpoint.title)}">Select {name}</button>'
    return f"<p{WARNING}>{escape(offer.text)} {button}</p>"


def _paragraphs(plan: Forecast) -> list[tuple[str, str]]:
    """Attributes and text of each."""
    loads = any(one.then == DISK for one in plan.checkpoints)
    reason = [(WARNING if loads else "", plan.reason)] if plan.reason else []
    further = [("", text) for text in (plan.not_kept, plan.order) if text]
    spoken = [(SPOKEN, text) for text in (plan.text(), *(not_again(made) for made in plan.passes if made.is_kept))]
    return [*spoken, *reason, *further, *((WARNING, text) for text in plan.warnings)]


def _changed(ours: Sequence[Any]) -> list[str]:
    """The folded settings that are not as they come."""
    given = dict(zip(fields.FIELDS, ours, strict=True))
    given |= {name: fields.written(value) for name, value in given.items() if isinstance(value, list)}
    return [name for name in FOLDED if given[name] not in (None, fields.default(name))]


FOLDED = [name for name in fields.FIELDS if name not in ("enabled", "checkpoint", "adetailer")]
"""What stands in the panel's folded row."""


def _request(values: Mapping[str, Any], ours: Sequence[Any], faces: Sequence[Any]) -> PlanRequest:
    """The request that the page would send; what is empty is as in a request without it."""
    given = {name: value for name, value in values.items() if value is not None}
    if not given.pop("refiner", False):
        given = {name: value for name, value in given.items() if not name.startswith("refiner")}
    overrides = host.ui.overrides_of(given.pop("override_settings", None) or [])
    page = {name: given.pop(name) for name in OF_THE_PASSES.values() if name in given}
    listed = {"Multipass": {"args": list(ours)}, "ADetailer": {"args": list(faces)}}
    return PlanRequest(**given, override_settings=overrides, alwayson_scripts=listed, page=page)
