"""Every component, as it is made, is shown to the scripts of the tab being built."""

from contextlib import contextmanager
from unittest import mock

import gradio as gr
from modules import patches, script_callbacks, scripts


@contextmanager
def _without_app():
    """For pages as they are built, and for those that nobody opens: only what is launched needs a web app."""
    with mock.patch.object(gr.routes.App, "create_app"):
        yield


def _announced(original):
    def init(self, *args, tooltip=None, **kwargs):
        self.webui_tooltip = tooltip
        _show("before_component", self, kwargs)
        original(self, *args, **kwargs)
        script_callbacks.after_component_callback(self, **kwargs)
        _show("after_component", self, kwargs)

    return init


def _show(moment, component, kwargs):
    tab = scripts.scripts_current
    if tab:
        getattr(tab, moment)(component, **kwargs)


def _with_tooltip(original):
    def get_config(self):
        config, tooltip = original(self), getattr(self, "webui_tooltip", None)
        return {**config, "webui_tooltip": tooltip} if tooltip else config

    return get_config


for _kind, _method, _wrap in (
    (gr.components.IOComponent, "__init__", _announced),
    (gr.blocks.BlockContext, "__init__", _announced),
    (gr.blocks.Block, "get_config", _with_tooltip),
):
    patches.patch(__name__, _kind, _method, _wrap(getattr(_kind, _method)))
