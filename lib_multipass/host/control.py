"""ControlNet goes along from pass to pass.

It hooks the diffusion model that is active when a job begins. By hand, at the webui's default limit, a second
checkpoint of the same kind is read into the place of the first one and finds the hook there
(``reuse_model_from_already_loaded``, 1.6.0 to 1.10.1). Checkpoints that stay loaded have a diffusion model each, so
the hook has to be moved at every swap.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch

from lib_multipass.messages import log

TITLE = "ControlNet"
_REPLACED = {"_forward": "_original_inner_forward_cn_hijack", "forward": "original_forward_cn_hijack"}
"""Methods of layers that it replaces, and where it keeps the original ones."""

_owner: weakref.ref[Any] | None = None


def follow(p: Any) -> None:
    """From now on let ControlNet act on whatever checkpoint is active in this job, until :func:`stop`."""
    global _owner  # one job at a time: the webui runs them under its queue lock
    _owner = weakref.ref(p)


def stop() -> None:
    """The job is over, however it ended; calling it again changes nothing."""
    global _owner  # see follow()
    _owner = None


def swapped(model: Any) -> None:
    """Note a swap within a job: move the hook to the model that is active now, if it has one for the hook.

    One of another architecture is left alone, as by hand: what ControlNet has loaded does not fit it.
    """
    p = _owner() if _owner is not None else None
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
