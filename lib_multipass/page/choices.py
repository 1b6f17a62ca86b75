"""The panel's dropdowns that list files: what they offer, and what stays chosen although it is not offered any more.

The name of a file changes: its title gets a hash when the webui first loads it, and people rename, move and delete
files. But the webui saves a default as the text that was chosen, in ``ui-config.json``. It gives it back only if the
choices hold that very text while the page is built (``modules/ui_loadsave.py``, 1.6.0 to 1.10.1).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from lib_multipass.plan import args as fields
from lib_multipass.plan.pasting import choices_with
from lib_multipass.plan.second_pass import as_list, resolve_choice
from lib_multipass.webui import host
from lib_multipass.words import MultipassError

OFFERED: dict[str, Callable[[], list[str]]] = {
    "checkpoint": lambda: [*_nothing(), *host.checkpoints.tiles()],
    "adetailer": lambda: [*fields.ADETAILER_MODES, *host.checkpoints.tiles()],
    "vae": lambda: (
        [fields.SAME_MODULES, *sorted(host.vaes.module_names())]
        if is_list("vae")
        else [*fields.VAE_MODES, *host.vaes.names()]
    ),
}
"""What they offer, by the names of the settings."""


IS_GRADIO_4 = int(gr.__version__.partition(".")[0]) >= 4
"""There the choices of a dropdown are pairs of a text and a value; gradio 3 has texts."""


def _nothing() -> list[str]:
    """The empty choice, where a dropdown without it would begin with its first one (gradio 4.40)."""
    return [""] if IS_GRADIO_4 else []


def is_list(name: str) -> bool:
    """Whether any number can be chosen in the dropdown of a setting: where VAEs are modules, as in the webui's own."""
    return name == "vae" and host.vaes.module_names() is not None


def value_of(name: str, text: str) -> str | list[str]:
    """What the dropdown of a setting has for the field's text."""
    return as_list(text) if is_list(name) else text


def now(name: str, text: Any) -> str | list[str]:
    """What the dropdown of a setting calls now what was chosen as ``text``; the same text if it leads nowhere."""
    if is_list(name):
        try:
            return as_list(resolve_choice(fields.written(text or ()), host.vaes.names(), host.vaes.module_names()))
        except MultipassError:
            return text
    if name == "vae":
        return host.vaes.shown(text)
    return text if name == "adetailer" and text in fields.ADETAILER_MODES else host.checkpoints.shown(text)


def refresh(dropdowns: Mapping[str, gr.Dropdown], *chosen: str | list[str] | None) -> list[dict]:
    """Read the folders again; what each dropdown is to show.

    Args:
        dropdowns: by the names of the settings.
        chosen: what is chosen in each.
    """
    host.checkpoints.refresh()
    host.vaes.refresh()
    updates = []
    for (name, dropdown), text in zip(dropdowns.items(), chosen, strict=True):
        offered = OFFERED[name]()
        _offer(dropdown, offered)
        updates.append(showing(now(name, text or ""), offered))
    return updates


def showing(text: str | list[str], offered: list[str]) -> dict:
    """The update of a dropdown that shows this, whether or not it is offered."""
    return gr.update(value=text, choices=choices_with(text, offered))


def expect_saved(dropdowns: Mapping[str, gr.Dropdown]) -> None:
    """Let the page that is being built have its saved defaults, by whatever name.

    To be called when the scripts' part of the page is built, and before the webui gives it its defaults. Nothing else
    changes: neither what the API knows as default nor the saved file.
    """
    saved = _saved()
    for name, dropdown in dropdowns.items():
        text = saved.get(_key(dropdown))
        offered = _offered(dropdown)
        if is_list(name):
            texts = [one for one in text if isinstance(one, str)] if isinstance(text, list) else []
        else:
            texts = [text] if isinstance(text, str) and text.strip() else []
        gone = [one for one in texts if one not in offered]
        if gone:
            _offer(dropdown, [*offered, *gone])
            dropdown.init_field = partial(_show, name, dropdown, offered)


def _show(name: str, dropdown: gr.Dropdown, offered: list[str], text: str | list[str]) -> None:
    """The webui has given the dropdown its default: show the file under the name that it has now."""
    dropdown.value = now(name, text)
    _offer(dropdown, choices_with(dropdown.value, offered))


def _offered(dropdown: gr.Dropdown) -> list[str]:
    return [choice[1] for choice in dropdown.choices] if IS_GRADIO_4 else dropdown.choices


def _offer(dropdown: gr.Dropdown, texts: list[str]) -> None:
    dropdown.choices = [(text, text) for text in texts] if IS_GRADIO_4 else texts


def _key(dropdown: gr.Dropdown) -> str:
    """The entry's name in ``ui-config.json``; the webui notes on a script's control which file it comes from."""
    return f"customscript/{getattr(dropdown, 'custom_script_source', None)}/txt2img/{dropdown.label}/value"


def _saved() -> dict[str, Any]:
    """The saved defaults; none if there is no such file, or one that the webui cannot read either."""
    try:
        found = json.loads(Path(host.options.flag("ui_config_file")).read_text(encoding="utf-8"))
    except (AttributeError, OSError, TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
