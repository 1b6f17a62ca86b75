"""The webui's page and server: components of its own, settings, and the scripts on the txt2img tab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from modules import scripts, shared
from modules.ui_common import refresh_symbol
from modules.ui_components import InputAccordion, ToolButton

from lib_multipass.webui.a1111 import adetailer, features

__all__ = ["InputAccordion", "ToolButton", "refresh_symbol"]

PLOT = "xyz_grid.py"
"""The name of the file of the X/Y/Z plot; its module's is the same, but for 1.9.0 and 1.9.1."""


def serves_api() -> bool:
    """Whether the webui serves its API."""
    return bool(shared.cmd_opts.api or shared.cmd_opts.nowebui)


def add_settings(section: tuple[str, str], entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Add a section to the Settings page. As templates its settings have their defaults before any page is built.

    The defaults are stored too, as the webui's own ``add_option`` does (1.7.0 to 1.10.1): it takes an override back
    only if the setting is stored, and 1.6.0 fails on one that is not.

    Args:
        section: its key and its title.
        entries: by setting, ``html`` alone, or ``default``, ``label``, and perhaps a gradio ``component`` with its
            ``arguments`` (or a function that gives them), and the ``info`` behind the label.
    """
    made = {name: _entry(**about) for name, about in entries.items()}
    shared.options_templates.update(shared.options_section(section, made))
    for name, about in entries.items():
        if "html" not in about:
            shared.opts.data.setdefault(name, about["default"])


def _entry(
    default: Any = None,
    label: str = "",
    component: Any = None,
    arguments: Any = None,
    info: str = "",
    html: str | None = None,
) -> Any:
    if html is not None:
        return shared.OptionHTML(html)
    entry = shared.OptionInfo(default, label, component, arguments)
    return entry.info(info) if info else entry


def plots() -> Iterator[Any]:
    """The modules of the X/Y/Z plot; Reload UI makes a new one. None in a webui without the plot."""
    for data in scripts.scripts_data:
        if PurePath(data.path).name == PLOT and hasattr(data.module, "axis_options"):
            yield data.module


def adetailer_inputs() -> Sequence[Any]:
    """ADetailer's components on the txt2img tab; empty without it."""
    runner = scripts.scripts_txt2img
    detailer = next(filter(adetailer.is_adetailer, runner.alwayson_scripts), None)
    return runner.inputs[detailer.args_from : detailer.args_to] if detailer else []


def overrides_of(texts: Sequence[str]) -> dict[str, Any]:
    """Settings by name from the texts of the page's *Override settings*."""
    return features.infotext_module().create_override_settings_dict(texts)
