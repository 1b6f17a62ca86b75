"""Every name that users, clients and other extensions know of Multipass, as the webui has them."""

from __future__ import annotations

import argparse
import importlib.util
import re
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from fastapi import FastAPI

from support.golden_host import axes_of
from support.golden_page import Page
from support.webuis import REPOSITORY

LIMITS = ("minimum", "maximum", "step")


def names_of(host) -> dict[str, Any]:
    """All of them, by kind."""
    with_modules = _with_modules(host)
    page, script = Page(host), host.script()
    return {
        "title": script.title(),
        "section": script.section,
        "script-info": _plain(script.api_info, host),
        "panel": [_component(component, host) for component in page.panel()],
        "where VAEs are modules": with_modules,
        "arguments": [control.elem_id for control in script.controls],
        "infotext": [_pasted(*field) for field in script.infotext_fields],
        "settings": _settings(host),
        "flags": _flags(),
        "axes": [_axis(option, host) for option in axes_of(host).values()],
        "endpoints": _endpoints(host),
    }


def _with_modules(host) -> list[dict[str, Any]]:
    """What differs on a page of Forge Neo."""
    from lib_multipass.webui import host as door

    usual = [_component(component, host) for component in Page(host).panel()]
    with patch.object(door.vaes, "module_names", lambda: ["other.safetensors", "clip_l.safetensors"]):
        here = [_component(component, host) for component in Page(host).panel()]
    return [component for component in here if component not in usual]


def _component(component: Any, host) -> dict[str, Any]:
    known = {"kind": type(component).__name__, "id": component.elem_id}
    for name in ("label", "value", "tooltip", "visible", "open", *LIMITS, "choices", "multiselect", "elem_classes"):
        value = getattr(component, name, None)
        if value not in (None, [], ""):
            known[name] = _plain(value, host)
    return known


def _pasted(component: Any, key: Any) -> dict[str, str]:
    return {"id": component.elem_id, "key": "a function" if callable(key) else key}


def _settings(host) -> dict[str, Any]:
    found = {}
    for name, info in host.shared.opts.data_labels.items():
        if name.startswith("multipass"):
            given = info.component_args() if callable(info.component_args) else info.component_args
            found[name] = {
                "default": info.default,
                "label": info.label,
                "after the label": info.comment_after,
                "component": getattr(info.component, "__name__", None),
                "arguments": _plain(given, host),
                "section": list(info.section),
                "category": info.category_id,
                "infotext": info.infotext,
                "only in the settings": info.restrict_api,
            }
    return found


def _flags() -> list[dict[str, Any]]:
    """Of ``preload.py``, with what they make of some texts."""
    spec = importlib.util.spec_from_file_location("preload_of_the_names", REPOSITORY / "preload.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parser = argparse.ArgumentParser(prog="webui", add_help=False)
    module.preload(parser)
    return [
        {
            "flags": action.option_strings,
            "default": action.default,
            "choices": action.choices,
            "metavar": action.metavar,
            "help": action.help,
            "reads": {
                text: _read(action.type, text) for text in ("VRAM", "1.5", "0", "1000", "1001", "-1", "nan", "much")
            },
        }
        for action in parser._actions
    ]


def _read(kind: Callable, text: str) -> Any:
    try:
        return kind(text)
    except argparse.ArgumentTypeError as error:
        return f"{type(error).__name__}: {error}"


def _axis(option: Any, host) -> dict[str, Any]:
    """With what it makes of texts, and what it says to values before a plot is made."""
    texts = ("beta", "alpah", "other", "3", "2.5", "99")
    read = {text: option.type(text) for text in texts}
    return {
        "label": option.label,
        "cost": option.cost,
        "choices": _plain(option.choices and option.choices(), host),
        "reads": read,
        "confirms": {text: _plain(_confirmed(option, [value]), host) for text, value in read.items()},
        "confirms nothing": _confirmed(option, []),
        "legend": {text: _legend(option, value) for text, value in read.items()},
    }


def _confirmed(option: Any, values: list) -> Any:
    try:
        return option.confirm(None, values)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _legend(option: Any, value: Any) -> str | None:
    """Only for values that are confirmed; others never get that far."""
    return None if _confirmed(option, [value]) else option.format_value(None, option, value)


def _endpoints(host) -> dict[str, Any]:
    """From the document that describes them, and what is asked for where a password is set."""
    app = FastAPI()
    host.script_callbacks.app_started_callback(None, app)
    document = app.openapi()
    ours = {path: about for path, about in document["paths"].items() if path.startswith("/multipass")}
    return {"paths": ours, "schemas": document["components"]["schemas"]}


def _plain(value: Any, host) -> Any:
    """Without hashes, which differ between machines."""
    if isinstance(value, dict):
        return {str(name): _plain(one, host) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, host) for one in value]
    return re.sub(r" \[[0-9a-f]{10}]", "", value) if isinstance(value, str) else value
