"""What belongs to a model of reForge beside its weights, and what it lacks when it becomes active again.

reForge keeps several models too, but finds one in its list and takes it as it is: nothing of what loading does is done
then (``load_model``). All functions here are for its models alone; those of other webuis have no ``forge_objects``.
"""

from __future__ import annotations

import copy
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modules import processing, sd_vae

from lib_multipass.state import running
from lib_multipass.webui.a1111 import options

TEXT_ENCODER = "sd_text_encoder"
_encoders: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
"""By model, the setting *Text Encoder* under which it was loaded."""


def is_one(model: Any) -> bool:
    """Whether this loaded model is one of reForge's."""
    return getattr(model, "forge_objects", None) is not None


def is_taken_apart(model: Any) -> bool:
    """Whether reForge has torn this model down to make room (``complete_model_teardown``): it has no parts any more."""
    return vars(model).get("_modules") is None


def webui_moves_them() -> bool:
    """Whether this webui is reForge, which moves models to the device and away as it sees fit.

    Moving them by hand does nothing there (``send_model_to_cpu``), nor do ``--medvram`` and ``--lowvram``.
    """
    return "ldm_patched.modules.model_management" in sys.modules


def loads_to_the_device() -> bool:
    """Whether reForge loads straight to the device, or what is loaded is on it anyway."""
    return on_device_at_once(sys.modules["ldm_patched.modules.model_management"])


def on_device_at_once(management: Any) -> bool:
    """The same, of a webui of Forge's family with this memory manager."""
    return getattr(getattr(management, "vram_state", None), "name", "") in ("HIGH_VRAM", "SHARED")


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
    forget_disabled_networks(model)
    sd_vae.reload_vae_weights(model)


def forget_disabled_networks(model: Any) -> None:
    """Leave a model of reForge or Neo as without LoRAs in a job that disables them, where those that are there stay.

    Its weights follow once the webui needs it: they are put back where other patches are wanted.
    """
    p = None if running.job is None else running.job.owner()
    if not getattr(p, "disable_extra_networks", False):
        return
    model.forge_objects = copy.copy(model.forge_objects_original)
    model.forge_objects_after_applying_lora = copy.copy(model.forge_objects_original)
    model.current_lora_hash = str([])
    of_quantised = getattr(model.forge_objects_original.unet.model.diffusion_model, "loras", None)
    if isinstance(of_quantised, list):
        of_quantised.clear()


def note(model: Any) -> None:
    """A model was loaded, or only its VAE changed, of which the webui tells in the same way."""
    if is_one(model):
        _encoders.setdefault(model, _text_encoder())


def is_outdated(model: Any) -> bool:
    """Whether the setting *Text Encoder* has changed since it was loaded; the webui reads the selected one anew."""
    return is_one(model) and _encoders.get(model, _text_encoder()) != _text_encoder()


def _text_encoder() -> str | None:
    return options.users_own(TEXT_ENCODER)


@contextmanager
def text_encoder_as_read(lacks: bool) -> Iterator[None]:
    """Let a model have the text encoder that was read for it, and what was lent is with that.

    At *Automatic* the webui takes it from the checkpoint's file itself, past what is read, and fails where there is
    none. The one that it has noted as the last would be moved off the device, though its model is kept.

    Args:
        lacks: whether the file of the model that is wanted has no text encoder.
    """
    known = sys.modules.get("modules.sd_text_encoder")
    if not lacks or known is None or _text_encoder() != "Automatic":
        yield
        return
    known.current_text_encoder = known.current_text_encoder_option = None
    with options.read_as(TEXT_ENCODER, "None"):
        yield
