"""The moment between the passes: an end of the job there, and the first pass as a picture.

``sample`` of the webui's txt2img job makes the first pass, swaps the checkpoint and calls ``sample_hr_pass`` with the
first pass's latents (1.6.0 to 1.10.1). In a Multipass job the swap is put off until ``sample_hr_pass`` is called: there
the latents are at hand and the VAE that they belong to is still active. So

- a job that was interrupted or skipped in its first pass loads nothing more, and the first pass's own VAE decodes what
  is returned; the webui swaps first, and up to 1.10.1 does not look at "skip" there at all,
- the copies of "Save a copy of image before applying highres fix" and "Show the first pass" can be decoded.

Jobs without Multipass pass through unchanged.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from modules import devices, images, processing, sd_models, sd_samplers, shared
from PIL import Image

from lib_multipass.host import features
from lib_multipass.host.running import job_of
from lib_multipass.replay import first_pass_params

_sampling: Any = None
"""The Multipass job that is in its first pass."""


@dataclass
class Shown:
    """The first passes of a job as pictures, in the order in which they were made."""

    pictures: list[Image.Image] = field(default_factory=list)
    infotexts: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """Which of the job's pictures each belongs to, counted from 0."""

    def add_to(self, processed: Any) -> None:
        """Put the first passes behind the finished pictures, before what other scripts have added.

        The webui's lists go by the number of the picture; "Save" in the gallery of 1.6.0 reads prompt and seed there.
        A grid, which comes first, was made before.
        """
        if not self.pictures:
            return
        finished = len(processed.infotexts) - processed.index_of_first_image
        for name in ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds"):
            values = getattr(processed, name)
            setattr(processed, name, _inserted(values, finished, [values[number] for number in self.numbers]))
        processed.images[:] = _inserted(processed.images, len(processed.infotexts), self.pictures)
        processed.infotexts = [*processed.infotexts, *self.infotexts]


def _inserted(values: Sequence[Any], at: int, more: Sequence[Any]) -> list[Any]:
    return [*values[:at], *more, *values[at:]]


def watched(original: Callable) -> Callable:
    """Notes which Multipass job is in its first pass, for :func:`puts_off`."""

    def sample(self: Any, *args: Any, **kwargs: Any) -> Any:
        global _sampling  # one job at a time: the webui runs them under its queue lock
        _sampling = self if job_of(self) is not None else None
        try:
            return original(self, *args, **kwargs)
        finally:
            _sampling = None

    return sample


def puts_off(info: Any) -> bool:
    """Whether a swap to this checkpoint is the one between the passes, which :func:`swapping` makes up for.

    Not if somebody else's ``sample_hr_pass`` is to follow, which expects the swap to be done, nor if the refiner of
    the first pass has the same checkpoint: its swap cannot be told apart, and makes this one needless.
    """
    p = _sampling
    if p is None or info is None or info is not p.hr_checkpoint_info:
        return False
    refined = getattr(p, "refiner_checkpoint_info", None) is info
    return not refined and getattr(p.sample_hr_pass, "puts_swap_first", False)


def swapping(original: Callable) -> Callable:
    """Does what is to be done before the swap, then swaps."""

    def sample_hr_pass(self: Any, samples: Any, decoded_samples: Any, *args: Any, **kwargs: Any) -> Any:
        global _sampling  # see watched()
        job, put_off = job_of(self), puts_off(self.hr_checkpoint_info)
        _sampling = None
        if job is None:
            return original(self, samples, decoded_samples, *args, **kwargs)
        if put_off and _is_over():
            return _as_first_pass(samples, decoded_samples)
        pictures = _pictures(self, samples, decoded_samples) if _are_wanted(self, job, samples) else []
        if _is_shown(self, job):
            _note(self, job.shown, pictures)
        if put_off and not _swap(self):
            return _as_first_pass(samples, decoded_samples)
        known = set(self.extra_generation_params)
        with _decoded_already(samples, pictures) if pictures else nullcontext():
            result = original(self, samples, decoded_samples, *args, **kwargs)
        job.gauge.second_pass_made()
        job.added_later |= set(self.extra_generation_params) - known
        return result

    sample_hr_pass.puts_swap_first = True
    return sample_hr_pass


def _is_over() -> bool:
    return shared.state.interrupted or shared.state.skipped


def _as_first_pass(samples: Any, decoded_samples: Any) -> Any:
    """What ``sample`` returns for a job without a hires pass; the ✨ button may have given a picture but no latents."""
    return samples if samples is not None else processing.DecodedSamples(decoded_samples)


def _swap(p: Any) -> bool:
    """Make up for the swap; False if the job was ended while its checkpoint was loaded, which is then undone."""
    first = sd_models.model_data.sd_model.sd_checkpoint_info
    with sd_models.SkipWritingToConfig():
        sd_models.reload_model_weights(info=p.hr_checkpoint_info)
        if _is_over():
            sd_models.reload_model_weights(info=first)
            return False
    return True


def _are_wanted(p: Any, job: Any, samples: Any) -> bool:
    saves = p.latent_scale_mode is not None and p.save_samples() and shared.opts.save_images_before_highres_fix
    return saves or _is_shown(p, job)


def _is_shown(p: Any, job: Any) -> bool:
    return job.shown is not None and features.finished_picture(p) is None


def _pictures(p: Any, samples: Any, decoded: Any) -> list[Image.Image]:
    """The first pass in pixels, as the webui makes them of a job without a hires pass."""
    if decoded is None:
        batch = processing.decode_latent_batch(p.sd_model, samples, target_device=devices.cpu, check_for_nans=True)
        decoded = torch.stack(list(batch))
    pixels = 255.0 * torch.clamp((decoded.float() + 1.0) / 2.0, min=0.0, max=1.0).cpu().numpy()
    return [Image.fromarray(np.moveaxis(one, 0, 2).astype(np.uint8)) for one in pixels]


@contextmanager
def _decoded_already(latents: Any, pictures: Sequence[Image.Image]) -> Iterator[None]:
    """Hands the webui these pictures where it would decode the first pass's latents with the VAE of the second.

    ``sample_hr_pass`` calls the function by this name for the copies of "Save a copy of image before applying highres
    fix" when the upscaler is latent (1.6.0 to 1.10.1).
    """
    original = sd_samplers.sample_to_image

    def sample_to_image(samples: Any, index: int = 0, approximation: int | None = None) -> Image.Image:
        return pictures[index].copy() if samples is latents else original(samples, index, approximation)

    sd_samplers.sample_to_image = sample_to_image
    try:
        yield
    finally:
        sd_samplers.sample_to_image = original


def _note(p: Any, shown: Shown, pictures: Sequence[Image.Image]) -> None:
    """Keep the pictures for the results, and save them as the webui saves its own."""
    plain = as_plain_job(p)
    for i, picture in enumerate(pictures):
        text = infotext(plain, p, i)
        shown.numbers.append(p.iteration * p.batch_size + i)
        shown.pictures.append(picture.copy())
        shown.infotexts.append(text)
        if p.save_samples():
            folder, kind = p.outpath_samples, shared.opts.samples_format
            seed, prompt = p.seeds[i], p.prompts[i]
            images.save_image(picture, folder, "", seed, prompt, kind, info=text, p=p, suffix="-first-pass")
        if shared.opts.enable_pnginfo:
            shown.pictures[-1].info["parameters"] = text


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


def as_plain_job(p: Any) -> Any:
    """A copy of the job for its infotext alone: as if it had no hires pass, and nothing after it.

    What the copy does not have is not in the infotext either, in all versions.
    """
    plain = copy.copy(p)
    plain.enable_hr = plain.restore_faces = False
    plain.denoising_strength = None
    plain.extra_generation_params = first_pass_params(p.extra_generation_params, job_of(p).added_later)
    # The webui notes it only where it decodes latents that ``sample`` returned.
    method = shared.opts.sd_vae_decode_method
    if method != "Full":
        plain.extra_generation_params["VAE Decoder"] = method
    return plain
