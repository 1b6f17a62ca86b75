"""ControlNet goes along from pass to pass.

It hooks the diffusion model that is active when a job begins. By hand, at the webui's default limit, a second
checkpoint of the same kind is read into the place of the first one and finds the hook there
(``reuse_model_from_already_loaded``, 1.6.0 to 1.10.1). Checkpoints that stay loaded have a diffusion model each, so
the hook has to be moved at every swap.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch

from lib_multipass.state import Part
from lib_multipass.words import log

TITLE = "ControlNet"
_REPLACED = {"_forward": "_original_inner_forward_cn_hijack", "forward": "original_forward_cn_hijack"}
"""Methods of layers that it replaces, and where it keeps the original ones."""


class Control(Part):
    """ControlNet acts on whatever checkpoint is active in the running job."""

    def __init__(self, p: Any) -> None:
        self._owner: Callable[[], Any] = weakref.ref(p)

    def swapped(self, model: Any) -> None:
        """Note a swap within the job: move the hook to the model that is active now, if it has one for the hook.

        One of another architecture is left alone, as by hand: what ControlNet has loaded does not fit it.
        """
        p = self._owner()
        # Its mark on a job that it has hooked; what an earlier job left behind is none of ours.
        if p is None or not hasattr(p, "sample_before_CN_hack"):
            return
        try:
            _move(p, model)
        except Exception:
            # The swap itself is done; a picture without ControlNet in a pass is better than none.
            log.exception("ControlNet could not be taken along to %s", model.sd_checkpoint_info.name_for_extra)


def _move(p: Any, model: Any) -> None:
    script = next((script for script in p.scripts.alwayson_scripts if script.title() == TITLE), None)
    network, unet = getattr(script, "latest_network", None), model.model.diffusion_model
    hooked, units = getattr(network, "model", None), getattr(network, "control_params", None)
    if units is None or hooked in (None, unet) or _layout(hooked) != _layout(unet):
        return
    network.restore()
    _free_layers(hooked)
    network.hook(unet, model, units, p, *_batch_options(script))


def _free_layers(unet: torch.nn.Module) -> None:
    """Take ControlNet's own functions off single layers, which it does at a job's end for the active model alone."""
    for module in unet.modules():
        for name, original in _REPLACED.items():
            if getattr(module, original, None) is not None:
                setattr(module, name, getattr(module, original))


def _layout(unet: torch.nn.Module) -> list[tuple[str, torch.Size]]:
    return [(name, weight.shape) for name, weight in unet.named_parameters()]


def _batch_options(script: Any) -> tuple[bool, bool]:
    """What ControlNet makes of its two options for batches: a unit for each image, aligned styles."""
    units, aligned = getattr(script, "ui_batch_option_state", ("", False))
    return units.startswith("Each"), aligned
