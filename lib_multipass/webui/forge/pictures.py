"""Pictures on the way to the finished one: a first pass in pixels has values from 0 to 1 in Forge Neo."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from modules import devices, processing
from PIL import Image


def decoded(p: Any, samples: Any, pixels: Any) -> list[Image.Image]:
    """A first pass in pixels, as the webui makes them of a job without a hires pass.

    Args:
        p: the job.
        samples: its latents.
        pixels: the decoded batch, from 0 to 1; None if it has to be decoded.
    """
    if pixels is None:
        batch = processing.decode_latent_batch(p.sd_model, samples, target_device=devices.cpu, check_for_nans=True)
        pixels = torch.clamp((torch.stack(list(batch)).float() + 1.0) / 2.0, min=0.0, max=1.0)
    values = 255.0 * pixels.cpu().numpy()
    return [Image.fromarray(np.moveaxis(one, 0, 2).astype(np.uint8)) for one in values]


def without_hires_pass(samples: Any, pixels: Any) -> Any:
    """What ``sample`` returns for a job without a hires pass; the ✨ button may have given a picture but no latents."""
    return samples if samples is not None else processing.DecodedSamples(pixels * 2.0 - 1.0)
