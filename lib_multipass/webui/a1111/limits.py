"""Which checkpoints stay loaded and where: the webui's own two settings, answered anew whenever they are read.

``sd_checkpoints_limit`` decides at each swap what is thrown away, ``sd_checkpoints_keep_in_cpu`` where the model that
was active goes. The first swap of a job happens before its ``override_settings`` apply, others happen between jobs, and
whatever is written into the options can be saved to ``config.json``. So both are properties on the class of
``shared.opts``: attribute reads see the decision; the stored data, ``/sdapi/v1/options``, the Settings page and
``--freeze-settings`` do not.
"""

from __future__ import annotations

from typing import Any

from modules import devices, sd_models, shared

from lib_multipass.memory.placement import DISK, VRAM
from lib_multipass.state import kept
from lib_multipass.webui.a1111 import options

LIMIT, KEEP_IN_CPU = "sd_checkpoints_limit", "sd_checkpoints_keep_in_cpu"


def limit(_options: Any = None) -> int:
    """The limit that a swap sees.

    While a decision holds it is never below the number of loaded models: up to 1.8.0 the webui's own eviction drops one
    model from its list and empties another, after which every job fails until a restart. What is too much is evicted
    here instead, before the swap. It is above that number only for a checkpoint that has a place and is not loaded yet.
    """
    own = options.users_own(LIMIT)
    if kept.decision is None:
        return own
    return max(
        len(sd_models.model_data.loaded_sd_models) + kept.room, 1 if DISK in kept.decision.places.values() else own
    )


def keep_in_cpu(_options: Any = None) -> bool:
    """Whether a swap moves the active model to RAM, or the part of it that is on the device."""
    own, active = options.users_own(KEEP_IN_CPU), sd_models.model_data.sd_model
    if kept.decision is not None and active is None:
        return False  # there is nothing to move, and up to 1.9.4 the webui does not look
    if kept.decision is None or devices.device.type == "cpu":
        return own
    file = active.sd_checkpoint_info.filename
    return own if file not in kept.decision.places else kept.decision.places[file] != VRAM


def install() -> None:
    """Put the properties in place; calling it again changes nothing."""
    setattr(type(shared.opts), LIMIT, property(limit))
    setattr(type(shared.opts), KEEP_IN_CPU, property(keep_in_cpu))


def uninstall() -> None:
    """Take the properties away."""
    for name in (LIMIT, KEEP_IN_CPU):
        if name in vars(type(shared.opts)):
            delattr(type(shared.opts), name)
