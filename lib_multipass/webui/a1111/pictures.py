"""Pictures on the way to the finished one: decoded, saved and with an infotext as the webui makes its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from modules import devices, images, processing, sd_samplers, shared
from PIL import Image


def wants_copies(p: Any) -> bool:
    """Whether "Save a copy of image before applying highres fix" will decode the first pass's latents."""
    latent = p.latent_scale_mode is not None
    return latent and p.save_samples() and shared.opts.save_images_before_highres_fix


def decoded(p: Any, samples: Any, pixels: Any) -> list[Image.Image]:
    """A first pass in pixels, as the webui makes them of a job without a hires pass.

    Args:
        p: the job.
        samples: its latents, 4 × height / 8 × width / 8 for each picture.
        pixels: the decoded batch, from -1 to 1; None if it has to be decoded.
    """
    if pixels is None:
        batch = processing.decode_latent_batch(p.sd_model, samples, target_device=devices.cpu, check_for_nans=True)
        pixels = torch.stack(list(batch))
    values = 255.0 * torch.clamp((pixels.float() + 1.0) / 2.0, min=0.0, max=1.0).cpu().numpy()
    return [Image.fromarray(np.moveaxis(one, 0, 2).astype(np.uint8)) for one in values]


def without_hires_pass(samples: Any, pixels: Any) -> Any:
    """What ``sample`` returns for a job without a hires pass; the ✨ button may have given a picture but no latents."""
    return samples if samples is not None else processing.DecodedSamples(pixels)


@contextmanager
def decoded_already(latents: Any, pictures: Sequence[Image.Image]) -> Iterator[None]:
    """Hands the webui these pictures where it would decode the first pass's latents with the VAE of the second.

    ``sample_hr_pass`` calls the function by this name for the copies of "Save a copy of image before applying highres
    fix" when the upscaler is latent (1.6.0 to 1.10.1).
    """
    original = sd_samplers.sample_to_image

    def sample_to_image(samples: Any, index: int = 0, *args: Any, **kwargs: Any) -> Image.Image:
        return pictures[index].copy() if samples is latents else original(samples, index, *args, **kwargs)

    sd_samplers.sample_to_image = sample_to_image
    try:
        yield
    finally:
        sd_samplers.sample_to_image = original


def infotext(like: Any, p: Any, position: int) -> str:
    """The infotext of a picture of the job's present batch.

    Args:
        like: a copy of the job that has what the picture was made with.
        p: the job.
        position: the picture's number in the batch.
    """
    return processing.create_infotext(
        like, p.all_prompts, p.all_seeds, p.all_subseeds, [], iteration=p.iteration, position_in_batch=position
    )


def save(p: Any, picture: Image.Image, number: int, text: str, suffix: str) -> None:
    """Save a picture of the present batch beside the webui's own, if the job's are saved."""
    if p.save_samples():
        folder, kind = p.outpath_samples, shared.opts.samples_format
        seed, prompt = p.seeds[number], p.prompts[number]
        images.save_image(picture, folder, "", seed, prompt, kind, info=text, p=p, suffix=suffix)


def has_infotext() -> bool:
    """Whether the webui writes infotexts into pictures."""
    return bool(shared.opts.enable_pnginfo)


def decode_method() -> str:
    """How the webui decodes latents; "Full" is with the VAE."""
    return shared.opts.sd_vae_decode_method
