"""Models of which one part at a time is on the device. A part comes when it is used, and sends away the one before it,
of whatever model that is."""

import torch
from mini import device as pretended
from modules import devices, shared
from modules.shared import cmd_opts

module_in_gpu = None
cpu = torch.device("cpu")
_PARTS = ("cond_stage_model", "model", "first_stage_model")


def send_everything_to_cpu():
    global module_in_gpu
    if module_in_gpu is not None:
        module_in_gpu.to(cpu)
    module_in_gpu = None


def is_needed(sd_model):
    """Whether only one part of this model is on the device at a time; only SDXL has a "conditioner"."""
    for_all = cmd_opts.lowvram or cmd_opts.medvram
    return for_all or (cmd_opts.medvram_sdxl and hasattr(sd_model, "conditioner"))


def is_enabled(sd_model):
    return sd_model.lowvram


def apply(sd_model):
    """Once a model is split, it stays so."""
    if getattr(sd_model, "lowvram", False):
        return
    sd_model.lowvram = bool(is_needed(sd_model))
    if sd_model.lowvram:
        _split(sd_model)


def _split(sd_model):
    if pretended.current is not None:
        pretended.current.models.add(sd_model)
    for name in _PARTS:
        getattr(sd_model, name).register_forward_pre_hook(_bring)
    vae = sd_model.first_stage_model  # is used without being called
    vae.encode, vae.decode = _bringing(vae, vae.encode), _bringing(vae, vae.decode)


def _bring(part, _inputs):
    """If it does not fit, the one before is gone from the device and still noted as being there."""
    global module_in_gpu
    if module_in_gpu is part:
        return
    if module_in_gpu is not None:
        module_in_gpu.to(cpu)
    part.to(shared.device or devices.device)
    module_in_gpu = part


def _bringing(part, use):
    def wrapped(value):
        _bring(part, None)
        return use(value)

    return wrapped
