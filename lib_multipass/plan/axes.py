"""The axes that Multipass adds to the webui's X/Y/Z plot, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lib_multipass import NAME
from lib_multipass.plan.args import ADETAILER_MODES, PassArgs, checked, default
from lib_multipass.plan.names import Checkpoint, called, resolve
from lib_multipass.plan.second_pass import resolve_choice
from lib_multipass.words import MultipassError


class Number:
    """Stands for ``int`` or ``float`` as an axis's type. A text that is no number is left to :func:`confirm`.

    The plot (1.6.0 to 1.10.1) compares an axis's type with these two, to expand ranges such as ``2-8 (+2)``. It also
    converts all values before it asks for confirmation. With the types themselves, Python's own words would answer a
    typing error.
    """

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def __call__(self, text: Any) -> Any:
        try:
            return self._kind(text)
        except ValueError:
            return text

    def __eq__(self, other: object) -> bool:
        return other is self._kind

    __hash__ = None


@dataclass(frozen=True)
class Axis:
    """One axis."""

    field: str
    """The field of ``PassArgs`` that it sets."""
    name: str
    """What messages and the grid's legend call it."""
    cost: float
    """How slow a change of value is; the webui puts the slowest axis in the outermost loop. Its own "Checkpoint name"
    has 1.0 and its "VAE" 0.7. It does not order axes of equal cost, so only those that cost nothing have the same."""

    @property
    def label(self) -> str:
        """What the webui's list of axes shows, and what stands in a grid's infotext."""
        return f"[{NAME}] {self.name}"

    @property
    def kind(self) -> type:
        """The type of its values."""
        return type(default(self.field))

    @property
    def reader(self) -> type | Number:
        """What the webui is to make of the texts that a user gives."""
        return Number(self.kind) if self.kind in (int, float) else self.kind


AXES = (
    Axis("checkpoint", "Second-pass checkpoint", 0.95),
    Axis("adetailer", "ADetailer checkpoint", 0.85),
    Axis("vae", "Second-pass VAE", 0.65),
    Axis("cfg_scale", "Second-pass CFG", 0.0),
    Axis("clip_skip", "Second-pass clip skip", 0.0),
)


def over(args: PassArgs, values: Mapping[str, Any]) -> PassArgs:
    """The settings of a plot's cell: its axes' values win over the panel and switch Multipass on."""
    return replace(args, **{**values, "enabled": True}) if values else args


def confirm(
    axis: Axis,
    values: Sequence[Any],
    known: Iterable[Checkpoint],
    vaes: Iterable[str],
    modules: Iterable[str] | None = None,
) -> None:
    """Refuse a plot before its first cell.

    Args:
        axis: the axis.
        values: its values.
        known: the webui's checkpoints.
        vaes: the names of the webui's VAE files.
        modules: the names of its VAE and text encoder files, where they are modules.

    Raises:
        MultipassError: for no values at all, and for the first one that is not allowed, with what is.
    """
    known, vaes, modules = list(known), list(vaes), None if modules is None else list(modules)
    if not values:
        raise MultipassError(f"{axis.label}: no values are given; give at least one.")
    for value in values:
        checked(axis.field, value, axis.label)
        if axis.field == "vae":
            resolve_choice(value, vaes, modules)
        elif axis.kind is str and value not in modes(axis):
            _require_checkpoint(axis, value, known)


def modes(axis: Axis) -> tuple[str, ...]:
    """The texts besides checkpoints that an axis of checkpoints takes."""
    return ADETAILER_MODES if axis.field == "adetailer" else ()


def _require_checkpoint(axis: Axis, value: str, known: Iterable[Checkpoint]) -> None:
    try:
        resolve(value, known, axis.label)
    except MultipassError as error:
        if not modes(axis):
            raise
        texts = ", ".join(map(repr, modes(axis)))
        raise MultipassError(f"{error.detail} Besides checkpoints it can be {texts}.") from None


def legend(axis: Axis, value: Any, known: Iterable[Checkpoint]) -> str:
    """What the grid says beside a row or above a column: files without folders and extensions where that is clear."""
    if axis.kind is float:
        value = f"{round(value, 8):g}"
    elif axis.field != "vae" and axis.kind is str and value not in modes(axis):
        value = _short_name(value, list(known))
    return f"{axis.name}: {value}"


def _short_name(value: str, known: list[Checkpoint]) -> str:
    return called(resolve(value, known, ""), known)
