"""Every component, as it is made, is shown to the callbacks and to the scripts of the tab being built."""

import gradio as gr
from modules import patches, script_callbacks, scripts


def _announced(original):
    def init(self, *args, **kwargs):
        self.webui_tooltip = kwargs.pop("tooltip", None)
        script_callbacks.before_component_callback(self, **kwargs)
        if scripts.scripts_current is not None:
            scripts.scripts_current.before_component(self, **kwargs)
        original(self, *args, **kwargs)
        script_callbacks.after_component_callback(self, **kwargs)
        if scripts.scripts_current is not None:
            scripts.scripts_current.after_component(self, **kwargs)

    return init


for _kind in (gr.components.IOComponent, gr.blocks.BlockContext):
    patches.patch(__name__, _kind, "__init__", _announced(_kind.__init__))


def _with_tooltip(original):
    def get_config(self):
        config, tooltip = original(self), getattr(self, "webui_tooltip", None)
        return {**config, "webui_tooltip": tooltip} if tooltip else config

    return get_config


patches.patch(__name__, gr.blocks.Block, "get_config", _with_tooltip(gr.blocks.Block.get_config))
