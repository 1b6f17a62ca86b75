"""What a pasted infotext does to the page: the panel's controls, the webui's own that ours replace, and what to say.

The webui hands the parsed infotext to every component of ``Script.infotext_fields``: when a picture is pasted on the
page, and from 1.8.0 on for a request with ``infotext``. A request reaches components of scripts alone, so what is said
about a paste is in the log as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from lib_multipass.page.choices import value_of
from lib_multipass.plan import pasting
from lib_multipass.plan.args import SAME_MODULES, SAME_VAE
from lib_multipass.plan.hires import SAME_CHECKPOINT
from lib_multipass.webui import host
from lib_multipass.words import log

HIRES_CHECKPOINT = "hr_checkpoint"
"""The id of the webui's own dropdown (1.6.0 to 1.10.1)."""
HIRES_CFG = "txt2img_hr_cfg"
"""The id of the webui's own CFG scale for the hires pass, in those that have one (reForge, Forge Neo)."""

HIRES_MODULES = "hr_vae_te"
"""The id of Forge Neo's own choice of the hires pass's VAE and text encoders."""

_own: dict[str, Any] = {}
"""The webui's components of the page that is being built, by id."""


def remember(component: Any, elem_id: str | None) -> None:
    """Take note of the webui's own controls that ours replace; the page has them before our panel."""
    if elem_id in _INSTEAD:
        _own[elem_id] = component


class Paste:
    """The part of the panel that keeps what was pasted: a note about it, and the picture's first checkpoint."""

    def __init__(self, elem_id: Callable[[str], str]) -> None:
        """Build it where the page stands."""
        self._note = gr.HTML(value="", visible=False, elem_id=elem_id("pasted"), elem_classes="multipass-note")
        self.base = gr.Textbox(value="", visible=False, elem_id=elem_id("pasted_base"))
        """What made the picture's first pass, as its infotext names it; empty without such a picture."""
        self.base.do_not_save_to_config = True

    def fields(
        self, made: Mapping[str, Any], choices: Mapping[str, Callable[[], list[str]]]
    ) -> list[tuple[Any, Callable[[dict], Any]]]:
        """The infotext fields: components, and what each is given for a parsed infotext.

        Args:
            made: the panel's controls by the names of the settings.
            choices: what the dropdowns that list files offer.
        """
        listed = [(made[name], _setting(name, choices.get(name))) for name in read({}).values if name != "enabled"]
        listed += [(component, partial(_INSTEAD[elem_id], component)) for elem_id, component in _own.items()]
        return [(made["enabled"], _enabled), *listed, (self._note, _note), (self.base, _base)]


def read(params: Mapping[str, Any]) -> pasting.Pasted:
    """The settings that an infotext asks for in this webui."""
    return pasting.read(params, host.checkpoints.known(), host.vaes.names(), host.vaes.module_names())


def _enabled(params: dict) -> bool:
    pasted = read(params)
    for note in pasted.notes:  # here, since every paste and every request asks this once
        log.warning("pasted: %s", note)
    return pasted.values["enabled"]


def _setting(name: str, choices: Callable[[], list[str]] | None) -> Callable[[dict], Any]:
    def value(params: dict) -> Any:
        pasted = read(params)
        if choices is None:
            return pasted.values[name]
        offered = choices()
        chosen = value_of(name, pasted.values[name])
        if name in pasted.found:
            chosen = host.checkpoints.tile(pasted.found[name])
        # The page's own list may be older than the titles, which change when a file's hash becomes known.
        update = gr.update(value=chosen, choices=pasting.choices_with(chosen, offered))
        # What gradio 3 calls it is all that the webui's API knows, in Forge Neo too; gradio 4 takes it as well.
        return {**update, "__type__": "generic_update"}

    return value


def _checkpoint(component: Any, params: dict) -> Any:
    """The webui's own Hires checkpoint: none, where ours takes its place; what the infotext says otherwise."""
    return SAME_CHECKPOINT if read(params).values["enabled"] else None


def _cfg(component: Any, params: dict) -> Any:
    """The webui's own CFG scale of the hires pass: as the page begins where ours is pasted, so that none stays."""
    pasted = read(params).values
    return component.value if pasted["enabled"] and pasted["cfg_scale"] else None


def _modules(component: Any, params: dict) -> Any:
    """The webui's own modules of the hires pass: the first pass's where ours says them."""
    pasted = read(params).values
    return [SAME_MODULES] if pasted["enabled"] and pasted["vae"] != SAME_VAE else None


_INSTEAD: Mapping[str, Callable[[Any, dict], Any]] = {
    HIRES_CHECKPOINT: _checkpoint,
    HIRES_CFG: _cfg,
    HIRES_MODULES: _modules,
}
"""By the id of one of the webui's own controls, what it is given for a parsed infotext; None: what that says."""


def _note(params: dict) -> dict:
    """What was not understood; the plan line says what is missing, as long as it is."""
    pasted = read(params)
    notes = pasted.notes[pasted.missing :]
    lines = "".join(f'<p class="multipass-warning">{escape(note)}</p>' for note in notes)
    return gr.update(value=lines, visible=bool(lines))


def _base(params: dict) -> str:
    # Without this setting, the default, the webui itself turns "Model hash" into an override.
    if not host.options.get("disable_weights_auto_swap") or not read(params).values["enabled"]:
        return ""
    return pasting.base_of(params)
