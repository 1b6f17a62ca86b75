"""Our section of the webui's Settings page."""

from __future__ import annotations

import gradio as gr

from lib_multipass import NAME
from lib_multipass.memory.placement import WISHES
from lib_multipass.plan.order import ORDERS
from lib_multipass.plan.our_settings import (
    CROSSING_UPSCALER,
    DEFAULTS,
    FAST,
    KEEP,
    ORDER,
    RAM_RESERVE,
    READ_AHEAD,
    STAGES,
    VRAM_RESERVE,
)
from lib_multipass.webui import host

ABOUT_DEFAULTS = """
What the panel shows at first is kept where the webui keeps it for all of its controls: set the panel on the txt2img
page as it shall be, then press <i>View changes</i> and <i>Apply</i> under <i>Settings, Defaults</i>.
"""
"""A setting of ours beside it would never win: ui-config.json has every control's value from the first start on."""


def add() -> None:
    """Add the section. As templates the settings have their defaults before any page is built."""
    listed = {name: {"default": DEFAULTS[name], **about} for name, about in {**_of_memory(), **_of_work()}.items()}
    host.ui.add_settings(("multipass", NAME), {"multipass_about_defaults": {"html": ABOUT_DEFAULTS}, **listed})


def _of_memory() -> dict[str, dict]:
    gigabytes = {"component": gr.Slider, "arguments": {"minimum": 0, "maximum": 24, "step": 0.1}}
    return {
        KEEP: {
            "label": "Keep checkpoints",
            "component": gr.Dropdown,
            "arguments": {"choices": list(WISHES)},
            "info": "what the choice Automatic in the panel means; Automatic here goes by the free memory",
        },
        VRAM_RESERVE: {
            "label": "VRAM to leave free, in GB",
            "info": "besides what the pictures are expected to need",
            **gigabytes,
        },
        RAM_RESERVE: {
            "label": "RAM to leave free, in GB",
            "info": "checkpoints that would take more are loaded every time",
            **gigabytes,
        },
    }


def _of_work() -> dict[str, dict]:
    upscalers = host.gathering.pixel_upscalers  # that of this family, whichever serves when a page is built
    return {
        CROSSING_UPSCALER: {
            "label": "Upscaler between architectures",
            "component": gr.Dropdown,
            "arguments": lambda: {"choices": upscalers()},
            "info": "takes the place of a latent upscaler when the two passes cannot read each other's latent pictures",
        },
        READ_AHEAD: {
            "label": "Read the next checkpoint while the first pass runs",
            "info": "on by default; shortens the wait before the second pass when its checkpoint is not loaded yet",
        },
        FAST: {
            "label": "Fast swaps",
            "info": "checkpoints that wait in RAM come to the card as fast as its bus allows; CUDA and ROCm",
        },
        STAGES: {
            "label": "RAM for passes and enlarged pictures that are kept for the next job, in MB",
            "component": gr.Slider,
            "arguments": {"minimum": 0, "maximum": 8192, "step": 64},
            "info": "an unchanged pass is not made again; 0 keeps none",
        },
        ORDER: {
            "label": "Order of the passes of a batch count",
            "component": gr.Dropdown,
            "arguments": {"choices": list(ORDERS)},
            "info": "pass by pass makes first passes ahead, for fewer swaps; Automatic does so where swaps cost time",
        },
    }
