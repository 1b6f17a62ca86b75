"""What belongs to a model of reForge beside its weights, and what it lacks when it becomes active again.

reForge keeps several models too, but finds one in its list and takes it as it is: nothing of what loading does is done
then (``load_model``). All functions here are for its models alone; those of other webuis have no ``forge_objects``.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

from modules import processing, sd_vae, shared

TEXT_ENCODER = "sd_text_encoder"
_encoders: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
"""By model, the setting *Text Encoder* under which it was loaded."""


def is_one(model: Any) -> bool:
    """Whether this loaded model is one of reForge's."""
    return getattr(model, "forge_objects", None) is not None


def webui_moves_them() -> bool:
    """Whether this webui is reForge, which moves models to the device and away as it sees fit.

    Moving them by hand does nothing there (``send_model_to_cpu``), nor do ``--medvram`` and ``--lowvram``.
    """
    return "ldm_patched.modules.model_management" in sys.modules


def is_on_device(model: Any, device: str) -> bool:
    """Whether its diffusion model, or a part of it, lies on a device of this type."""
    return any(weight.device.type == device for weight in model.forge_objects.unet.model.parameters())


def is_tiling(model: Any) -> bool:
    """Whether it paints pictures that can be tiled; a job sets that on the model that begins."""
    return bool(getattr(model, "tiling_enabled", False))


def tile(model: Any, tiling: bool) -> None:
    """Let it paint such pictures, or not."""
    processing.apply_circular_forge(model, tiling)


def as_loaded(model: Any) -> None:
    """Take back what a noise schedule has made of it.

    A job with *Zero Terminal SNR* rescales the noise of the model that begins, and undoes that after the last pass on
    the model that is active then (``process_images_inner``).
    """
    sigmas = getattr(model, "sigmas_original", None)
    if sigmas is not None:
        model.forge_objects_original.unet.model.model_sampling.set_sigmas(sigmas)
    alphas = getattr(model, "alphas_cumprod_original", None)
    if alphas is not None:
        model.alphas_cumprod = alphas


def catch_up(model: Any) -> None:
    """Do for a model that has become active again what loading would have done."""
    as_loaded(model)
    sd_vae.reload_vae_weights(model)


def note(model: Any) -> None:
    """A model was loaded, or only its VAE changed, of which the webui tells in the same way."""
    if is_one(model):
        _encoders.setdefault(model, getattr(shared.opts, TEXT_ENCODER, ""))


def is_outdated(model: Any) -> bool:
    """Whether the setting *Text Encoder* has changed since it was loaded; the webui reads the selected one anew."""
    setting = getattr(shared.opts, TEXT_ENCODER, "")
    return is_one(model) and _encoders.get(model, setting) != setting
