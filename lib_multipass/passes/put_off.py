"""The swap to the first pass's checkpoint is put off until it is known that the pass has to be made.

The webui makes that checkpoint active when a job and each of its batches begin. Where a job asks for what an earlier
one has asked for, it works on with the checkpoint that is active meanwhile. When the batch's texts are final it is
looked up whether its first pass is kept. If so, the webui goes on with what is kept; if not, the swap is made up for.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from lib_multipass.memory.store import LATENTS, PICTURES
from lib_multipass.passes import sampled
from lib_multipass.passes.begun import Batch, Begun, Found, found, key_of
from lib_multipass.plan.decide import Plan
from lib_multipass.plan.names import Checkpoint
from lib_multipass.state import Part, kept, running
from lib_multipass.webui import host

_BYTES = 4096
"""What a note takes in the store, about."""
_NOT = "the swap before the first pass is not put off"


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
        self._allowance = allowance if plan.order.puts_off else 0
        self._pass_by_pass = plan.order.pass_by_pass
        self._asked = ""
        """The key of what the job asks for."""
        self._expected: Begun | None = None
        """What a first pass begins with that needs no swap; None if swaps are not put off."""
        self._decided = -1
        """The number of the last batch for which it is known."""
        self.found: Found | None = None
        """The running batch's first pass, until it is decoded."""
        self._batch: Batch | None = None
        self._waiting: dict[int, tuple[str, Begun]] = {}
        """First passes that were made ahead: by the number of the batch, what they were made from, and what is noted of
        them. The store alone holds them."""
        self.makes_ahead = False
        """Whether first passes are made that wait for their batches."""

    def begin(self) -> None:
        """See whether an earlier job has asked for the same."""
        p = self._owner()
        if self._allowance:
            self._asked = key_of("asked", lambda: host.beginnings.asked_from(p, self.base), _NOT)
            self._expected = kept.stages.get(self._asked) if self._asked else None

    def end(self) -> None:
        """Nothing waits any more."""
        for number in list(self._waiting):
            self._waited(number)

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
        if not self.makes_ahead:
            self._find(p, key)
            key = key or self._begun(p)  # a file that was never loaded is known now
        if self.found is not None:
            vars(p).update(dict.fromkeys(("c", "uc", "hr_c", "hr_uc")))
            host.beginnings.add_notes(p, *self.found.begun.notes)
            self.found.begun.texts.repeat(p)
            host.beginnings.stay(p)
            return None
        host.beginnings.merge_tokens(p, self.base)
        if not key:
            return encode()
        self._batch = Batch(key, vars(p), host.beginnings.notes(p))
        with self._batch.texts.noted(p):
            return encode()

    def _find(self, p: Any, key: str) -> None:
        """Find the batch's first pass if its swap was put off, or make up for the swap."""
        was_open, self._decided = self._is_open and _is_other(self.base), p.iteration
        if not was_open:
            self._waited(p.iteration)
            return
        self.found = self._kept(p, key)
        if self.found is None:
            self._expected = None  # what the job makes from here on cannot be had without its swaps
            self.end()
            host.models.activate(self.base)
            host.beginnings.catch_up(p)

    def _kept(self, p: Any, key: str) -> Found | None:
        if not key or host.pictures.wants_copies(p):
            return None
        made_from, ahead = self._waited(p.iteration)
        is_it = made_from == key
        return found(ahead if is_it else kept.stages.get(key), p.latent_scale_mode is None, by_this_job=is_it)

    def _waited(self, number: int) -> tuple[str, Begun | None]:
        """What was made ahead for a batch; its pictures make room for others from now on."""
        made_from, ahead = self._waiting.pop(number, ("", None))
        if ahead is not None:
            kept.stages.rate(ahead.pixels, PICTURES)
        return made_from, ahead

    def _begun(self, p: Any) -> str:
        """The key of what the batch's first pass is made from; empty if that cannot be told."""
        return key_of("begun", lambda: host.beginnings.made_from(p, self.base), _NOT) if self._allowance else ""

    def sampled(self, p: Any, key: str) -> None:
        """The batch's first pass was sampled or found with its checkpoint, and is kept under this key."""
        batch = self._batch
        if batch is None or batch.begun is not None or batch.made(p, key) is None:
            return
        for one in (batch.key, "" if self.makes_ahead else self._asked):
            if one:
                kept.stages.put(one, batch.begun, _BYTES, self._allowance, worth=LATENTS)

    def decoded(self, key: str) -> None:
        """Its pictures are kept under this key."""
        if self._batch is not None and self._batch.begun is not None:
            self._batch.begun.pixels = key

    def take(self, p: Any) -> torch.Tensor:
        """The latents of the batch's first pass that was found."""
        vars(p).update(self.found.begun.fields)
        return sampled.again(p, self.found.stage, tell=not self.found.by_this_job)

    def pixels(self) -> Sequence[tuple[torch.Tensor, torch.device]] | None:
        """Its decoded pictures, for the one time that the webui asks for them; None if they have to be made."""
        found, self.found = self.found, None
        return None if found is None else found.pixels

    def ahead(self, p: Any) -> range:
        """The batches whose first passes are to be made now, before the running batch's second pass.

        As many as fit into half of what kept stages may take, by what the running one's takes.
        """
        if not self._pass_by_pass or self._waiting or self._batch is None or host.pictures.wants_copies(p):
            return range(0)
        if self._writes_in_turn(p):
            return range(0)
        running_one = found(self._batch.begun, p.latent_scale_mode is None)
        count = 0 if running_one is None else self._allowance // (2 * running_one.bytes)
        batches = min(p.n_iter, math.ceil(len(p.all_prompts) / p.batch_size))
        return range(p.iteration + 1, min(batches, p.iteration + 1 + count))

    @contextmanager
    def making_ahead(self) -> Iterator[None]:
        """While it lasts, what is made waits for its own batch."""
        self.makes_ahead = True
        try:
            yield
        finally:
            self.makes_ahead, self._batch = False, None

    def wait(self, p: Any) -> bool:
        """Let the first pass that was just made wait for its batch; False if it was not kept."""
        made = found(self._batch and self._batch.begun, p.latent_scale_mode is None)
        if made is None or self._writes_in_turn(p):
            return False
        self._waiting[p.iteration] = self._batch.key, made.begun
        kept.stages.rate(made.begun.pixels, LATENTS)
        self._expected = made.begun
        return True

    def _writes_in_turn(self, p: Any) -> bool:
        """Whether what encoding a batch's texts notes for the infotext goes by what the batch before has noted.

        The webui puts names of textual inversions before those that it has noted already (1.6.0 to 1.10.1).
        """
        return len({*p.all_prompts}) > 1 and bool(host.beginnings.notes(p)[1])

    def end_between_passes(self) -> None:
        """The job ends there: let the webui decode what it has with the first pass's own VAE."""
        if _is_other(self.base):
            host.models.activate(self.base)


def _is_other(base: Checkpoint) -> bool:
    active = host.models.active()
    return active is not None and active.filename != base.filename


def decided(original: Callable) -> Callable:
    """Decides whether a batch needs the first pass's checkpoint when the webui is about to encode its texts."""

    def setup_conds(self: Any, *args: Any, **kwargs: Any) -> Any:
        part = running.part_of(self, PutOff)
        if part is None or getattr(self, "is_hr_pass", False):
            return original(self, *args, **kwargs)
        return part.texts_are_final(self, lambda: original(self, *args, **kwargs))

    return setup_conds


def named(original: Callable) -> Callable:
    """Lets a job whose swap is put off note its first pass's checkpoint before its first infotext is made."""

    def init(self: Any, *args: Any, **kwargs: Any) -> Any:
        part = running.part_of(self, PutOff)
        if part is not None:
            part.name(self)
        return original(self, *args, **kwargs)

    return init
