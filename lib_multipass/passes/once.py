"""What was made in an earlier job from exactly the same is not made again: both passes, and enlarged pictures.

The webui's own code runs as ever. Only the sampler's loop, the decoding of what came out of it, and the upscaler's
network are left out when their result is known; what they have changed besides, in the infotext, in ``p`` and in the
random generators, is changed as they did.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import torch

from lib_multipass.memory.store import FINISHED, PICTURES
from lib_multipass.passes import sampled
from lib_multipass.passes.begun import key_of
from lib_multipass.passes.first_pass import FirstPass
from lib_multipass.passes.put_off import PutOff
from lib_multipass.plan.report import ENLARGED, FIRST_PASS, SECOND_PASS
from lib_multipass.state import Part, kept, running
from lib_multipass.webui import host
from lib_multipass.words import log


class Stages(Part):
    """What the running job keeps, and takes from earlier ones."""

    def __init__(self, not_kept: Mapping[str, str], allowance: int) -> None:
        """
        Args:
            not_kept: by pass, why it cannot be kept; empty if it can.
            allowance: bytes of RAM that all kept stages may take while this job runs.
        """
        self.not_kept = not_kept
        self.allowance = allowance
        self.in_hires = False
        """Whether the hires pass runs."""
        self._latents: Any = None
        """What came out of the last pass."""
        self._key = ""

    def begin(self) -> None:
        """Let go of what a lower setting has no room for."""
        kept.stages.shrink(max(self.allowance, host.stages.allowance(None)))

    def sampled(self, p: Any, make: Callable[[], Any], handed: Any) -> Any:
        """The latents of a batch's pass, from an earlier job if they were made from the same.

        Args:
            p: the job.
            make: samples them.
            handed: all that the sampler is given.
        """
        self._latents, what = None, SECOND_PASS if self.in_hires else FIRST_PASS
        put_off = None if self.in_hires else running.part(PutOff)
        if put_off is not None and put_off.found is not None:
            if not put_off.found.by_this_job:
                running.job.journal.known(what)
            self._key, self._latents = put_off.found.begun.stage, put_off.take(p)
            self._note(what)
            return self._latents
        if self.not_kept.get(what) or not self.allowance or host.status.is_over():
            return make()
        key = _key_of(what, lambda: {**host.stages.sampled_from(p, self.in_hires), "handed": handed})
        if not key:
            return make()
        found = kept.stages.get(key)
        if found is None:
            latents = sampled.made(p, make, key, self.allowance)
        else:
            latents = sampled.again(p, found)
            running.job.journal.known(what)
        if kept.stages.get(key) is not None:
            self._latents, self._key = latents, key
            self._note(what)
            if put_off is not None:
                put_off.sampled(p, key)
        return latents

    def _note(self, what: str) -> None:
        """Note under which key the last pass is kept."""
        running.job.journal.stages.setdefault(what, []).append(self._key)

    def decoded(self, latents: Any, make: Callable[[], Any], asked: Any) -> Any:
        """The last pass in pixels, from an earlier job if it was decoded in the same way."""
        put_off = running.part(PutOff)
        if latents is not self._latents or latents is None:
            return make()
        found, key = None if put_off is None else put_off.pixels(), ""
        if found is None and not host.status.is_over():
            made_from = {"of": self._key, "asked": str(asked)}
            key = _key_of("decoded pass", lambda: {**made_from, **host.stages.decoded_with()})
            if put_off is not None and not self.in_hires:
                put_off.decoded(key)
            found = kept.stages.get(key) if key else None
        if found is not None:
            return host.stages.decoded_from([picture.to(device, copy=True) for picture, device in found])
        made = make()
        if key and not host.status.is_over() and all(isinstance(picture, torch.Tensor) for picture in made):
            value = [(picture.detach().to("cpu", copy=True), picture.device) for picture in made]
            size = sum(picture.nbytes for picture, _ in value)
            kept.stages.put(key, value, size, self.allowance, worth=FINISHED if self.in_hires else PICTURES)
        return made

    def enlarged(self, asked: tuple[Any, Mapping[str, Any]] | None, make: Callable[[], Any]) -> Any:
        """A picture enlarged by an upscaler, from an earlier job if it was the same picture.

        Args:
            asked: the picture, and all that it is enlarged from; None if the result is not worth keeping.
            make: enlarges it.
        """
        if asked is None or not self.allowance or host.status.is_over():
            return make()
        key = _key_of("enlarged picture", lambda: asked[1])
        found = kept.stages.get(key) if key else None
        if found is not None:
            running.job.journal.known(ENLARGED)
            return found.copy()
        made = make()
        if key and not host.status.is_over() and not host.stages.is_plain(asked[0], made):
            wide = 4 if len(made.getbands()) > 1 else 1  # so PIL stores a pixel
            kept.stages.put(key, made.copy(), wide * made.width * made.height, self.allowance, worth=PICTURES)
        return made


def _key_of(what: str, values: Callable[[], Mapping[str, Any]]) -> str:
    return key_of(what, values, f"the {what} is not kept")


def sampler_watched(original: Callable) -> Callable:
    """Lets the sampler of each of a job's two passes ask first whether its result is known."""

    def create_sampler(*args: Any, **kwargs: Any) -> Any:
        sampler = original(*args, **kwargs)
        first, stages = running.part(FirstPass), running.part(Stages)
        if stages is not None and stages.in_hires:
            sampler.sample_img2img = _asking(stages, sampler, "sample_img2img")
        elif stages is not None and first is not None and running.job_of(first.sampling) is not None:
            sampler.sample = _asking(stages, sampler, "sample")
        return sampler

    return create_sampler


def _asking(stages: Stages, sampler: Any, name: str) -> Callable:
    """Holds no sampler: it would hold itself then, and with it its job and its model."""
    known, own, method = weakref.ref(sampler), vars(sampler).get(name), getattr(type(sampler), name)

    @wraps(method)
    def sample(p: Any, *args: Any, **kwargs: Any) -> Any:
        def make() -> Any:
            return method(known(), p, *args, **kwargs) if own is None else own(p, *args, **kwargs)

        return stages.sampled(p, make, [args, kwargs])

    return sample


def decoded_once(original: Callable) -> Callable:
    """Takes a pass's pixels from an earlier job."""

    def decode_latent_batch(model: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        stages = running.part(Stages)
        if stages is None:
            return original(model, batch, *args, **kwargs)
        return stages.decoded(batch, lambda: original(model, batch, *args, **kwargs), [args, kwargs])

    return decode_latent_batch


def in_hires(original: Callable) -> Callable:
    """Is the scope of the hires pass: in it pictures are enlarged for it, and it is sampled."""

    def sample_hr_pass(self: Any, *args: Any, **kwargs: Any) -> Any:
        stages = running.part_of(self, Stages)
        if stages is None:
            return original(self, *args, **kwargs)
        stages.in_hires = True
        try:
            return original(self, *args, **kwargs)
        finally:
            stages.in_hires = False

    return sample_hr_pass


def enlarged_once(original: Callable) -> Callable:
    """Takes the first pass's enlarged picture from an earlier job."""

    @wraps(original)  # hires-fix-tweaks asks for the names of its arguments
    def resize_image(*args: Any, **kwargs: Any) -> Any:
        stages = running.part(Stages)
        if stages is None or not stages.in_hires:
            return original(*args, **kwargs)
        return stages.enlarged(_asked(original, args, kwargs), lambda: original(*args, **kwargs))

    return resize_image


def _asked(original: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    try:
        return host.stages.enlarged_from(original, args, kwargs)
    except Exception:
        log.exception("the enlarged picture is not kept")
        return None
