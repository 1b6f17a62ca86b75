"""Our section of the webui's Settings page."""

from __future__ import annotations

import gradio as gr

from lib_multipass import NAME
from lib_multipass.plan.our_settings import (
    CHOICES,
    CROSSING_UPSCALER,
    DEFAULTS,
    FAST,
    KEEP,
    LABELS,
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
    entries = {**_of_memory(), **_of_work()}
    listed = {name: {"default": DEFAULTS[name], "label": LABELS[name], **about} for name, about in entries.items()}
    host.ui.add_settings(("multipass", NAME), {"multipass_about_defaults": {"html": ABOUT_DEFAULTS}, **listed})


def _of_memory() -> dict[str, dict]:
    gigabytes = {"component": gr.Slider, "arguments": {"minimum": 0, "maximum": 24, "step": 0.1}}
    return {
        KEEP: {
            "component": gr.Dropdown,
            "arguments": {"choices": list(CHOICES[KEEP])},
            "info": "what the choice Automatic in the panel means; Automatic here goes by the free memory",
        },
        VRAM_RESERVE: {
            "info": "besides what the pictures are expected to need",
            **gigabytes,
        },
        RAM_RESERVE: {
            "info": "checkpoints that would take more are loaded every time",
            **gigabytes,
        },
    }


def _of_work() -> dict[str, dict]:
    upscalers = host.gathering.pixel_upscalers  # that of this family, whichever serves when a page is built
    return {
        CROSSING_UPSCALER: {
            "component": gr.Dropdown,
            "arguments": lambda: {"choices": upscalers()},
            "info": "takes the place of a latent upscaler when the two passes cannot read each other's latent pictures",
        },
        READ_AHEAD: {
            "info": "on by default; shortens the wait before the second pass when its checkpoint is not loaded yet",
        },
        FAST: {
            "info": "checkpoints that wait in RAM come to the card as fast as its bus allows; CUDA and ROCm",
        },
        STAGES: {
            "component": gr.Slider,
            "arguments": {"minimum": 0, "maximum": 8192, "step": 64},
            "info": "an unchanged pass is not made again; 0 keeps none",
        },
        ORDER: {
            "component": gr.Dropdown,
            "arguments": {"choices": list(CHOICES[ORDER])},
            "info": "pass by pass makes first passes ahead, for fewer swaps; Automatic does so where swaps cost time",
        },
    }
