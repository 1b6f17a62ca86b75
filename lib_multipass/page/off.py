"""The hooks in a webui that Multipass cannot work in: the panel says why, and a job that wants it is refused.

No settings, axes and endpoints are added. Only two methods of the webui are wrapped, those by which a job is refused. A
ticked job, which can only come through the API, would give a picture without its second pass that looks like one with
it. This webui may lack what Multipass wraps functions with elsewhere (``modules.patches``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import gradio as gr

from lib_multipass import NAME
from lib_multipass.job import refusal
from lib_multipass.plan import args as fields
from lib_multipass.words import MultipassError, log


class _Why:
    """A webui has it or not; asked anew by Reload UI."""

    reason = ""


def because(reason: str) -> None:
    """Note why, for the panel and for jobs, and say it once.

    Args:
        reason: a sentence.
    """
    _Why.reason = reason
    log.warning(reason)


def wrappers() -> dict[str, Callable[[Callable], Callable]]:
    """What refuses jobs, by slot."""
    return {"init": refusal.raising, "close": refusal.telling}


def panel(elem_id: Callable[[str], str]) -> tuple[list[Any], list[tuple]]:
    """Build the sentence, and as many hidden inputs as the panel has, so that a request's arguments still come here."""
    with gr.Accordion(NAME, open=False, elem_id=elem_id("off")):
        gr.HTML(f"<p>{escape(_Why.reason)}</p>", elem_id=elem_id("why_off"))
        inputs = [_hidden(name) for name in fields.FIELDS]
    return inputs, []


def _hidden(name: str) -> Any:
    value, common = fields.default(name), {"label": fields.label(name), "visible": False}
    kinds = {bool: gr.Checkbox, int: gr.Number, float: gr.Number}
    component = kinds.get(type(value), gr.Textbox)(value=value, **common)
    component.do_not_save_to_config = True
    return component


def remember(component: Any, elem_id: str | None) -> None:
    """No component of the page is of use here."""


setup = refusal.watch_pieces


def before_process(p: Any, values: Sequence[Any]) -> None:
    """Refuse a job that wants Multipass; all others are none of ours."""
    refusal.begin_anew(p)
    try:
        wanted = fields.PassArgs.parse(values).enabled
    except MultipassError:
        wanted = True
    if wanted and not getattr(p, "_ad_inner", False):
        refusal.refuse(p, _Why.reason)


def read_ahead(p: Any) -> None:
    """Nothing is loaded here for later."""


def postprocess(p: Any, processed: Any) -> None:
    """No job of ours has run."""
