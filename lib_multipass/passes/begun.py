"""A batch's first pass as it can be found in memory before its checkpoint is active."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import InitVar, dataclass, field, replace
from typing import Any

import torch

from lib_multipass.passes import sampled
from lib_multipass.plan.alike import DERIVED_FIELDS, UnlikeError, changed, fingerprint, is_plain
from lib_multipass.state import kept
from lib_multipass.webui import host
from lib_multipass.words import log


class Texts:
    """What encoding a batch's texts has written into the job itself."""

    def __init__(self) -> None:
        self.written: dict[str, dict[str, Any]] = {}
        """By the field of ``p``, in order."""

    @contextmanager
    def noted(self, p: Any) -> Iterator[None]:
        """While it lasts, note what is written."""
        before = {name: dict(getattr(p, name)) for name in sampled.WRITTEN}
        yield
        self.written = {name: changed(before[name], getattr(p, name)) for name in sampled.WRITTEN}

    def repeat(self, p: Any) -> None:
        """Write the same."""
        for name, values in self.written.items():
            getattr(p, name).update(values)


@dataclass
class Begun:
    """What is noted of it."""

    stage: str
    """The key of its latents."""
    fields: Mapping[str, Any]
    """Fields of ``p`` that the webui has set between the texts and the sampler."""
    notes: tuple[Mapping[str, Any], Mapping[str, Any], Sequence[str]]
    """What the job notes of the checkpoint, and what encoding the texts has noted for the infotext and as comments."""
    texts: Texts
    pixels: str = ""
    """The key of its decoded pictures; empty if it was not decoded."""


@dataclass
class Found:
    """A first pass that is taken from memory without its checkpoint."""

    begun: Begun
    stage: sampled.Sampled
    pixels: Sequence[tuple[torch.Tensor, torch.device]] | None
    """Its decoded pictures, where the hires pass begins with them."""
    by_this_job: bool = False
    """Whether it was made ahead, and not in an earlier job."""

    @property
    def bytes(self) -> int:
        """What it takes."""
        return self.stage.bytes + sum(picture.nbytes for picture, _ in self.pixels or ())


@dataclass
class Batch:
    """What is known of a batch before its sampler begins, to find its first pass later."""

    key: str
    """Of everything that the first pass is made from."""
    given: InitVar[Mapping[str, Any]]
    """Of ``p``, before its texts were encoded."""
    notes: tuple[dict[str, Any], dict[str, Any], list[str]] = ({}, {}, [])
    """As they were then."""
    texts: Texts = field(default_factory=Texts)
    begun: Begun | None = None
    """Once it was made."""

    def __post_init__(self, given: Mapping[str, Any]) -> None:
        self.fields = {name: value for name, value in given.items() if name not in DERIVED_FIELDS}

    def made(self, p: Any, stage: str) -> Begun | None:
        """Note that its first pass is kept under this key; None if what was noted besides cannot be kept."""
        names, params, comments = host.beginnings.notes(p)
        written = {name: value for name, value in params.items() if self.notes[1].get(name, self) != value}
        fields = {name: value for name, value in changed(self.fields, vars(p)).items() if is_plain(value)}
        for name in sampled.WRITTEN:
            fields.pop(name, None)
        texts = (value for values in self.texts.written.values() for value in values.values())
        if all(map(is_plain, (*written.values(), *texts))):
            self.begun = Begun(stage, deepcopy(fields), (names, written, comments[len(self.notes[2]) :]), self.texts)
        return self.begun


def found(begun: Begun | None, in_pixels: bool, by_this_job: bool = False) -> Found | None:
    """What is kept of a first pass; None if anything is missing.

    Args:
        begun: what is noted of it.
        in_pixels: whether the hires pass begins with its pictures.
        by_this_job: whether it was made ahead.
    """
    stage = None if begun is None else kept.stages.get(begun.stage)
    pixels = kept.stages.get(begun.pixels) if stage is not None and in_pixels and begun.pixels else None
    if stage is None or (in_pixels and pixels is None):
        return None
    return Found(replace(begun, fields=deepcopy(begun.fields)), stage, pixels, by_this_job)


def key_of(what: str, values: Callable[[], Mapping[str, Any]], otherwise: str) -> str:
    """A key for what something is made from; empty if that cannot be told.

    Args:
        what: what it is.
        values: tells what it is made from.
        otherwise: what the log says then.
    """
    try:
        return fingerprint({"what": what, **values()}, host.stages.raw)
    except UnlikeError as error:
        log.debug("%s: %s cannot be compared with that of another job", otherwise, error)
    except Exception:
        log.exception(otherwise)
    return ""
