import contextlib
import gc

import torch

cpu = torch.device("cpu")
device = torch.device("cpu")
dtype = dtype_vae = dtype_unet = torch.float32
fp8 = unet_needs_upcast = False
autocast = contextlib.nullcontext


def torch_gc():
    gc.collect(0)
    if device.type == "cuda":
        torch.cuda.empty_cache()
