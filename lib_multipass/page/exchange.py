"""The two checkpoints exchanged: the selected one of the webui and the second pass's."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lib_multipass.page import choices
from lib_multipass.plan import args as fields
from lib_multipass.plan.names import resolve
from lib_multipass.webui import host
from lib_multipass.words import MultipassError

SELECT = """(name) => {
    document.dispatchEvent(new CustomEvent('multipass:select', {detail: name}));
    return [];
}"""


def connect(button: Any, checkpoint: gr.Dropdown, selected: gr.Textbox) -> None:
    """Let the button exchange the two.

    Then the webui's own function for its cards of checkpoints selects the other one: it sets, loads and saves. The
    quick settings show it, or the Settings page if the checkpoint is not among the quick settings.
    """
    swapped = button.click(_swap, [checkpoint], [checkpoint, selected], queue=False, show_progress=False)
    swapped.then(None, inputs=[selected], _js=SELECT)


def is_possible() -> bool:
    """Whether the webui lets its selected checkpoint be changed."""
    return not host.options.is_frozen("sd_model_checkpoint")


def _swap(name: str | None) -> tuple[Any, str]:
    """The second pass's dropdown, and what is to be selected: nothing if there is nothing to exchange."""
    try:
        second = resolve(name or "", host.checkpoints.known(), fields.label("checkpoint"))
    except MultipassError:  # the plan line says what is wrong
        return gr.update(), ""
    base = host.checkpoints.selected()
    if base is None or base.filename == second.filename:
        return gr.update(), ""
    name = host.checkpoints.tile(base)  # with a hash that it may not have had when the page was built
    return choices.showing(name, choices.OFFERED["checkpoint"]()), host.checkpoints.tile(second)
