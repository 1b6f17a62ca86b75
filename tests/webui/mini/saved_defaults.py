"""The page's saved defaults, ui-config.json: a control without an entry gets one, a control with one gets its value."""

import json
from pathlib import Path

import gradio as gr
from modules import errors
from modules.ui_components import InputAccordion

import mini

_KEPT = {
    gr.Slider: ("value", "minimum", "maximum", "step"),
    **dict.fromkeys((gr.Checkbox, gr.Textbox, gr.Number, gr.Dropdown, gr.Radio), ("value",)),
}


def restore(tab, name, file):
    """Gives the controls below a tab their defaults; the old host writes the file each time."""
    try:
        saved = json.loads(Path(file).read_text(encoding="utf8"))
    except FileNotFoundError:
        saved = {}
    except Exception:
        errors.report(f"{file} could not be read", exc_info=True)
        _give(tab, name, {})
        return
    before = dict(saved)
    _give(tab, name, saved)
    if mini.old_host or saved != before:
        Path(file).write_text(json.dumps(saved, indent=4), encoding="utf8")


def _give(block, path, saved):
    if hasattr(block, "children"):
        for child in block.children:
            _give(child, path, saved)
    elif block.label is not None and not getattr(block, "do_not_save_to_config", False):
        source = getattr(block, "custom_script_source", None)
        key = f"{path}/{block.label}" if source is None else f"customscript/{source}/{path}/{block.label}"
        if type(block) is InputAccordion:
            _give_tick(block, f"{key}/value", saved)
        for field in _KEPT.get(type(block), ()):
            _give_field(block, field, f"{key}/{field}", saved)


def _give_tick(tick, key, saved):
    if not mini.old_host:  # which keeps none for accordions with a tick
        tick.value = tick.accordion.open = saved.setdefault(key, tick.value)


def _give_field(control, field, key, saved):
    known = saved.get(key)
    if known is None:
        saved[key] = getattr(control, field)
    elif not isinstance(control, (gr.Dropdown, gr.Radio)) or _offers(control, known):
        setattr(control, field, known)
        getattr(control, "init_field", lambda value: None)(known)


def _offers(control, value):
    """A choice is taken back by its very text; one that is not offered any more leaves the control as it was made."""
    offered = [choice[0] if isinstance(choice, tuple) else choice for choice in control.choices]
    return set(value) <= set(offered) if getattr(control, "multiselect", False) else value in offered
