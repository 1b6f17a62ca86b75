"""The swap to the first pass's checkpoint is put off until it is known that the pass has to be made.

The webui makes that checkpoint active when a job and each of its batches begin. Where a job asks for what an earlier
one has asked for, it works on with the checkpoint that is active meanwhile. When the batch's texts are final it is
looked up whether its first pass is kept. If so, the webui goes on with what is kept; if not, the swap is made up for.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from lib_multipass.memory.store import LATENTS
from lib_multipass.passes import sampled
from lib_multipass.plan.alike import UnlikeError, changed, fingerprint, is_plain
from lib_multipass.plan.decide import Plan
from lib_multipass.plan.names import Checkpoint
from lib_multipass.state import Part, kept, running
from lib_multipass.webui import host
from lib_multipass.words import log

_BYTES = 4096
"""What a note takes in the store, about."""
_NOT_OF_THE_BATCH = ("extra_generation_params", "comments")


@dataclass
class Begun:
    """A batch's first pass as it can be found before its checkpoint is active."""

    stage: str
    """The key of its latents."""
    fields: Mapping[str, Any]
    """Fields of ``p`` that the webui has set between the texts and the sampler."""
    notes: tuple[Mapping[str, Any], Mapping[str, Any], Sequence[str]]
    """What the job notes of the checkpoint, and what encoding the texts has noted for the infotext and as comments."""
    pixels: str = ""
    """The key of its decoded pictures; empty if it was not decoded."""


@dataclass
class Found:
    """A first pass that is taken from memory without its checkpoint."""

    begun: Begun
    stage: sampled.Sampled
    pixels: Sequence[tuple[torch.Tensor, torch.device]] | None
    """Its decoded pictures, where the hires pass begins with them."""


@dataclass
class _Batch:
    """What is known of the running batch, to find it in a later job."""

    key: str
    fields: dict[str, Any] = field(default_factory=dict)
    before: tuple[dict[str, Any], dict[str, Any], list[str]] = ({}, {}, [])
    begun: Begun | None = None


class PutOff(Part):
    """The swaps to the first pass's checkpoint in the running job."""

    def __init__(self, p: Any, plan: Plan, allowance: int) -> None:
        """
        Args:
            p: the job.
            plan: what is decided for it.
            allowance: bytes of RAM that all kept stages may take.
        """
        self._owner: Callable[[], Any] = weakref.ref(p)
        self.base = plan.base
        self._allowance = allowance if plan.puts_off else 0
        self._asked = ""
        """The key of what the job asks for."""
        self._expected: Begun | None = None
        """What an earlier job that has asked for the same began with; None if swaps are not put off."""
        self._decided = -1
        """The number of the last batch for which it is known."""
        self.found: Found | None = None
        """The running batch's first pass, until it is decoded."""
        self._batch: _Batch | None = None

    def begin(self) -> None:
        """See whether an earlier job has asked for the same."""
        p = self._owner()
        if self._allowance:
            self._asked = _key("asked", lambda: host.beginnings.asked_from(p, self.base))
            self._expected = kept.stages.get(self._asked) if self._asked else None

    @property
    def _is_open(self) -> bool:
        """Whether it is not known yet if the batch needs its checkpoint."""
        p = self._owner()
        return self._expected is not None and p is not None and p.iteration > self._decided

    def puts_off(self, info: Checkpoint | None) -> bool:
        """Whether a swap that the webui asks for is put off.

        Args:
            info: the checkpoint that it was told; None for the selected one, as at the beginning of a job or batch.
        """
        if info is not None or not self._is_open or not _is_other(self.base):
            return False
        to = host.checkpoints.selected()
        return to is not None and to.filename == self.base.filename

    def spares(self, checkpoint: Checkpoint) -> bool:
        """Whether this is the first pass's checkpoint, and the job does without it as far as is known."""
        return checkpoint.filename == self.base.filename and self._expected is not None

    def name(self, p: Any) -> None:
        """Let the job note the first pass's checkpoint, although another one is active."""
        if self._is_open and _is_other(self.base):
            vars(p).update(self._expected.notes[0])

    def texts_are_final(self, p: Any, encode: Callable[[], Any]) -> Any:
        """Find the batch's first pass, or make its checkpoint active and encode its texts.

        Args:
            p: the job.
            encode: encodes the texts.
        """
        self.found, self._batch = None, None
        key = self._begun(p)
        if self._is_open and _is_other(self.base):
            self.found = self._find(p, key)
            if self.found is None:
                self._make_up_for(p)
                key = key or self._begun(p)  # a file that was never loaded is known now
        self._decided = p.iteration
        if self.found is not None:
            self._take(p, self.found.begun)
            return None
        if not key:
            return encode()
        self._batch = _Batch(key, dict(vars(p)), host.beginnings.notes(p))
        return encode()

    def _begun(self, p: Any) -> str:
        """The key of what the batch's first pass is made from; empty if that cannot be told."""
        return _key("begun", lambda: host.beginnings.made_from(p, self.base)) if self._allowance else ""

    def _find(self, p: Any, key: str) -> Found | None:
        begun = kept.stages.get(key) if key else None
        stage = None if begun is None else kept.stages.get(begun.stage)
        if stage is None or host.pictures.wants_copies(p):
            return None
        if p.latent_scale_mode is not None:
            return Found(begun, stage, None)
        pixels = kept.stages.get(begun.pixels) if begun.pixels else None
        return None if pixels is None else Found(begun, stage, pixels)

    def _make_up_for(self, p: Any) -> None:
        """From here on the job's swaps are made: what it makes now cannot be had without them."""
        self._expected = None
        host.models.activate(self.base)
        host.beginnings.catch_up(p)

    def _take(self, p: Any, begun: Begun) -> None:
        vars(p).update(dict.fromkeys(("c", "uc", "hr_c", "hr_uc")))
        host.beginnings.add_notes(p, *begun.notes)

    def sampled(self, p: Any, key: str) -> None:
        """The batch's first pass was sampled or found with its checkpoint, and is kept under this key."""
        batch = self._batch
        if batch is None or batch.begun is not None:
            return
        names, params, comments = host.beginnings.notes(p)
        written = {name: value for name, value in params.items() if batch.before[1].get(name, batch) != value}
        fields = changed(batch.fields, vars(p))
        batch.begun = Begun(
            key,
            {name: it for name, it in fields.items() if is_plain(it) and name not in _NOT_OF_THE_BATCH},
            (names, written, comments[len(batch.before[2]) :]),
        )
        if all(map(is_plain, written.values())):
            for one in (batch.key, self._asked):
                if one:
                    kept.stages.put(one, batch.begun, _BYTES, self._allowance, worth=LATENTS)

    def decoded(self, key: str) -> None:
        """Its pictures are kept under this key."""
        if self._batch is not None and self._batch.begun is not None:
            self._batch.begun.pixels = key

    def take(self, p: Any) -> torch.Tensor:
        """The latents of the batch's first pass that was found."""
        vars(p).update(self.found.begun.fields)
        return sampled.again(p, self.found.stage)

    def pixels(self) -> Sequence[tuple[torch.Tensor, torch.device]] | None:
        """Its decoded pictures, for the one time that the webui asks for them; None if they have to be made."""
        found, self.found = self.found, None
        return None if found is None else found.pixels

    def end_between_passes(self) -> None:
        """The job ends there: let the webui decode what it has with the first pass's own VAE."""
        if _is_other(self.base):
            host.models.activate(self.base)


def _is_other(base: Checkpoint) -> bool:
    active = host.models.active()
    return active is not None and active.filename != base.filename


def _key(what: str, values: Callable[[], Mapping[str, Any]]) -> str:
    """A key for what a first pass is made from; empty if that cannot be told."""
    try:
        return fingerprint({"what": what, **values()}, host.stages.raw)
    except UnlikeError as error:
        log.debug("the swap before the first pass is not put off: %s cannot be compared", error)
    except Exception:
        log.exception("the swap before the first pass is not put off")
    return ""


def decided(original: Callable) -> Callable:
    """Decides whether a batch needs the first pass's checkpoint when the webui is about to encode its texts."""

    def setup_conds(self: Any, *args: Any, **kwargs: Any) -> Any:
        part = running.part(PutOff) if running.job_of(self) is not None else None
        if part is None or getattr(self, "is_hr_pass", False):
            return original(self, *args, **kwargs)
        return part.texts_are_final(self, lambda: original(self, *args, **kwargs))

    return setup_conds


def named(original: Callable) -> Callable:
    """Lets a job whose swap is put off note its first pass's checkpoint before its first infotext is made."""

    def init(self: Any, *args: Any, **kwargs: Any) -> Any:
        part = running.part(PutOff) if running.job_of(self) is not None else None
        if part is not None:
            part.name(self)
        return original(self, *args, **kwargs)

    return init
