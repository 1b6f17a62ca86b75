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
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from lib_multipass.passes.gauge import Gauge
from lib_multipass.passes.pass_by_pass import make_ahead
from lib_multipass.passes.put_off import PutOff
from lib_multipass.plan.replay import first_pass_params
from lib_multipass.state import Part, running
from lib_multipass.webui import host


@dataclass
class FirstPass(Part):
    """The first passes of the running job."""

    is_shown: bool = False
    """Whether they are to be among the results."""
    sampling: Any = None
    """The job while it is in one."""
    added_later: set[str] = field(default_factory=set)
    """Keys of the infotext that came up in the hires pass, see
    :func:`lib_multipass.plan.replay.first_pass_params`."""
    copied: tuple[int, int] = (-1, 0)
    """Of the last copy that was saved before a hires pass: the number of the batch, the number in it."""
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
    """Notes that the job is in its first pass, for :func:`puts_off`."""

    def sample(self: Any, *args: Any, **kwargs: Any) -> Any:
        first = running.part_of(self, FirstPass)
        if first is None:
            return original(self, *args, **kwargs)
        first.sampling = self
        try:
            return original(self, *args, **kwargs)
        finally:
            first.sampling = None

    return sample


def puts_off(info: Any) -> bool:
    """True if this swap is the one between the passes. :func:`swapping` performs it later.

    Not if somebody else's ``sample_hr_pass`` is to follow, which expects the swap to be done, nor if the refiner of
    the first pass has the same checkpoint: its swap cannot be told apart, and makes this one needless.
    """
    first = running.part(FirstPass)
    p = None if first is None else first.sampling
    if p is None or info is None or info is not p.hr_checkpoint_info:
        return False
    refined = getattr(p, "refiner_checkpoint_info", None) is info
    return not refined and getattr(p.sample_hr_pass, "puts_swap_first", False)


def swapping(original: Callable) -> Callable:
    """Does what is to be done before the swap, then swaps."""

    def sample_hr_pass(self: Any, samples: Any, decoded_samples: Any, *args: Any, **kwargs: Any) -> Any:
        first, before = running.part_of(self, FirstPass), running.part_of(self, PutOff)
        if first is None or before is None:
            return original(self, samples, decoded_samples, *args, **kwargs)
        if before.makes_ahead:
            return samples
        put_off = puts_off(self.hr_checkpoint_info)
        first.sampling = None
        if put_off and not host.status.is_over():
            make_ahead(self)
        if put_off and host.status.is_over():
            before.end_between_passes()
            return host.pictures.without_hires_pass(samples, decoded_samples)
        shown = first.is_shown and host.features.finished_picture(self) is None
        wanted = shown or host.pictures.wants_copies(self)
        pictures = host.pictures.decoded(self, samples, decoded_samples) if wanted else []
        if shown:
            _note(self, first, pictures)
        if put_off and not _swap(self):
            return host.pictures.without_hires_pass(samples, decoded_samples)
        known = set(self.extra_generation_params)
        running.part(Gauge).second_pass_begins()
        with host.pictures.decoded_already(samples, pictures) if pictures else nullcontext():
            result = original(self, samples, decoded_samples, *args, **kwargs)
        running.part(Gauge).second_pass_made()
        first.added_later |= set(self.extra_generation_params) - known
        return result

    sample_hr_pass.puts_swap_first = True
    return sample_hr_pass


def _swap(p: Any) -> bool:
    """Make up for the swap; False if the job was ended while its checkpoint was loaded, which is then undone.

    The first pass's own VAE is to decode what is returned. Where the pass was found, another checkpoint was active.
    """
    plan = running.job.plan
    first = plan.base if plan.order.puts_off else host.models.active()
    host.models.activate(p.hr_checkpoint_info)
    if host.status.is_over():
        host.models.activate(first)
        return False
    return True


def _note(p: Any, shown: FirstPass, pictures: Sequence[Image.Image]) -> None:
    """Keep the pictures for the results, and save them as the webui saves its own."""
    plain = as_plain_job(p)
    for i, picture in enumerate(pictures):
        text = host.pictures.infotext(plain, p, i)
        shown.numbers.append(p.iteration * p.batch_size + i)
        shown.pictures.append(picture.copy())
        shown.infotexts.append(text)
        host.pictures.save(p, picture, i, text, "-first-pass")
        if host.pictures.has_infotext():
            shown.pictures[-1].info["parameters"] = text


def as_plain_job(p: Any) -> Any:
    """A copy of the job for its infotext alone: as if it had no hires pass, and nothing after it.

    What the copy does not have is not in the infotext either, in all versions.
    """
    plain = copy.copy(p)
    plain.enable_hr = plain.restore_faces = False
    plain.denoising_strength = None
    plain.extra_generation_params = first_pass_params(p.extra_generation_params, running.part(FirstPass).added_later)
    # The webui notes it only where it decodes latents that ``sample`` returned.
    method = host.pictures.decode_method()
    if method != "Full":
        plain.extra_generation_params["VAE Decoder"] = method
    return plain
