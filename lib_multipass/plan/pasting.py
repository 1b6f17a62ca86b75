"""A picture's infotext, read back into settings as far as they are understood here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lib_multipass import NAME, __version__
from lib_multipass.plan import args as fields
from lib_multipass.plan.names import Checkpoint, called, meant, resolve, some
from lib_multipass.plan.second_pass import resolve_choice
from lib_multipass.words import MultipassError

PREFIX = f"{NAME} "
VERSION_KEY = f"{NAME} version"


@dataclass(frozen=True)
class Pasted:
    """What an infotext says about Multipass."""

    values: Mapping[str, Any]
    """The settings by field name. A name that leads nowhere stays as it is, so that a job says so too."""
    found: Mapping[str, Checkpoint]
    """The checkpoints that names lead to, by field name."""
    notes: tuple[str, ...] = ()
    """Sentences for the user: what is missing, what was not understood."""
    missing: int = 0
    """How many of them, the first ones, say what is missing."""


def read(
    params: Mapping[str, Any], known: Iterable[Checkpoint], vaes: Iterable[str], modules: Iterable[str] | None = None
) -> Pasted:
    """The settings that an infotext asks for.

    An infotext without our keys was made without Multipass, so it turns Multipass off and the rest back to default:
    a second checkpoint left over from another picture would spoil the replay.

    Args:
        params: the infotext as the webui has parsed it, by key.
        known: the webui's checkpoints.
        vaes: the names of the webui's VAE files.
        modules: the names of its VAE and text encoder files, where they are modules.
    """
    keys = {entry.metadata["infotext"]: name for name, entry in fields.FIELDS.items() if entry.metadata["infotext"]}
    values: dict[str, Any] = {name: fields.default(name) for name in keys.values()}
    found: dict[str, Checkpoint] = {}
    notes, strange = [], [key for key in params if key.startswith(PREFIX) and key not in (*keys, VERSION_KEY)]
    for key, name in keys.items():
        if params.get(key) is not None:
            try:
                values[name] = fields.checked(name, _READERS[type(fields.default(name))](str(params[key])), name)
            except (KeyError, ValueError, MultipassError):
                strange.append(key)
    values = {"enabled": bool(values["checkpoint"]), **values}
    known = list(known)
    for name, modes in (("checkpoint", ("",)), ("adetailer", fields.ADETAILER_MODES)):
        if values[name] not in modes:
            with _noting(notes):
                found[name] = resolve(values[name], known, fields.label(name))
    with _noting(notes):
        values["vae"] = resolve_choice(values["vae"], vaes, modules)
    missing = len(notes)
    if strange:
        notes.append(_about_strange({key: str(params[key]) for key in strange}, params.get(VERSION_KEY)))
    return Pasted(values, found, tuple(notes), missing)


_READERS: Mapping[type, Callable[[str], Any]] = {
    bool: {"True": True, "False": False}.__getitem__,
    str: str,
    int: int,
    float: float,
}


@contextmanager
def _noting(notes: list[str]) -> Iterator[None]:
    """Makes a note of a MultipassError instead of letting it through."""
    try:
        yield
    except MultipassError as error:
        notes.append(error.detail)


_MOST_STRANGE = 5
"""Entries that a note names."""


def _about_strange(entries: Mapping[str, str], version: str | None) -> str:
    named = list(entries.items())[:_MOST_STRANGE]
    listed = ", ".join(f"{_cut(key)}: {_cut(value)}" for key, value in named)
    more = f" and {len(entries) - len(named)} more" if len(entries) > len(named) else ""
    maker = f" of {NAME} {_cut(str(version))}" if version else ""
    return f"{NAME} {__version__} left out what it does not understand{maker}: {listed}{more}."


def _cut(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def base_of(params: Mapping[str, Any]) -> str:
    """The checkpoint of the first pass as the webui's own keys name it; empty if they do not."""
    name, digest = (params.get(key) for key in ("Model", "Model hash"))
    return f"{name} [{digest}]" if name and digest else name or digest or ""


@dataclass(frozen=True)
class Offer:
    """What to say where a picture's first pass was made with another checkpoint than the selected one."""

    text: str
    checkpoint: Checkpoint | None
    """The one to offer; None if it is not here."""


def offer_of(base: str, selected: Checkpoint | None, known: Iterable[Checkpoint]) -> Offer | None:
    """The offer of the first pass's checkpoint; None if it is selected.

    Args:
        base: what :func:`base_of` gave; empty for no picture at all.
        selected: the webui's selected checkpoint.
        known: the webui's checkpoints.
    """
    if not base.strip():
        return None
    found, told = meant(base.strip(), known), "The first pass of the pasted picture was made with"
    if len(found) != 1:
        where = f"may be one of {len(found)} files here ({some(found)})" if found else "is not here"
        return Offer(f"{told} {_cut(base, 300)}, which {where}.", None)
    made_with = found[0]
    if selected and made_with.filename == selected.filename:
        return None
    both = [made_with, *[selected] * (selected is not None)]
    chosen = f", not with {called(selected, both)}, which is selected" if selected else ""
    return Offer(f"{told} {called(made_with, both)}{chosen}.", made_with)


def choices_with(value: str | list[str], choices: Collection[str]) -> list[str]:
    """The choices of a dropdown, and what of its value is not among them, so that it stays visible."""
    values = [value] if isinstance(value, str) else value
    return [*choices, *(one for one in values if one and one not in choices)]
