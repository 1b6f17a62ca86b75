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
    part, module_in_gpu = module_in_gpu, None
    if part is not None:
        part.to(cpu)


def is_needed(sd_model):
    """Whether only one part of this model is on the device at a time; only SDXL has a "conditioner"."""
    is_sdxl = hasattr(sd_model, "conditioner")
    return any((cmd_opts.lowvram, cmd_opts.medvram, is_sdxl and cmd_opts.medvram_sdxl))


def apply(sd_model):
    """Once a model is split, it stays so."""
    if not sd_model.lowvram and is_needed(sd_model):
        sd_model.lowvram = True
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
    before = module_in_gpu
    if part is not before:
        if before is not None:
            before.to(cpu)
        part.to(shared.device or devices.device)
        module_in_gpu = part


def _bringing(part, use):
    def wrapped(value):
        _bring(part, None)
        return use(value)

    return wrapped
