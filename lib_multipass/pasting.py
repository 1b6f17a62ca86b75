"""A picture's infotext, read back into settings as far as they are understood here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lib_multipass import NAME, __version__
from lib_multipass import args as fields
from lib_multipass.checkpoints import Checkpoint, resolve
from lib_multipass.messages import MultipassError
from lib_multipass.second_pass import resolve_vae

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


def read(params: Mapping[str, Any], known: Iterable[Checkpoint], vaes: Iterable[str]) -> Pasted:
    """The settings that an infotext asks for.

    An infotext without our keys was made without Multipass, so it turns Multipass off and the rest back to default:
    a second checkpoint left over from another picture would spoil the replay.

    Args:
        params: the infotext as the webui has parsed it, by key.
        known: the webui's checkpoints.
        vaes: the names of the webui's VAE files.
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
        values["vae"] = resolve_vae(values["vae"], vaes)
    if strange:
        notes.append(_about_strange({key: str(params[key]) for key in strange}, params.get(VERSION_KEY)))
    return Pasted(values, found, tuple(notes))


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


def _about_strange(entries: Mapping[str, str], version: str | None) -> str:
    listed = ", ".join(f"{key}: {value if len(value) <= 80 else value[:77] + '...'}" for key, value in entries.items())
    maker = f" of {NAME} {version}" if version else ""
    return f"{NAME} {__version__} left out what it does not understand{maker}: {listed}."


@dataclass(frozen=True)
class Origin:
    """The checkpoint that made a picture's first pass."""

    name: str
    """As the infotext has it."""
    checkpoint: Checkpoint | None
    """The same here; None if it is not here."""


def origin_of(params: Mapping[str, Any], known: Iterable[Checkpoint]) -> Origin | None:
    """The checkpoint of the first pass, from the webui's own keys; None if the infotext does not name it."""
    name, digest = (params.get(key) for key in ("Model", "Model hash"))
    text = f"{name} [{digest}]" if name and digest else name or digest
    if not text:
        return None
    try:
        return Origin(text, resolve(text, known, "Model"))
    except MultipassError:
        return Origin(text, None)


def about_origin(origin: Origin | None, selected: Checkpoint | None) -> str | None:
    """A sentence where a picture's first pass was made with another checkpoint than the selected one."""
    if origin is None or (origin.checkpoint and selected and origin.checkpoint.filename == selected.filename):
        return None
    if origin.checkpoint is None:
        return f"The first pass of this picture was made with {origin.name}, which is not here."
    name = origin.checkpoint.name_for_extra
    chosen = f", not with {selected.name_for_extra}, which is selected" if selected else ""
    return f"The first pass of this picture was made with {name}{chosen}."


def choices_with(value: str, choices: Collection[str]) -> list[str]:
    """The choices of a dropdown, and a value that is not among them, so that it stays visible."""
    return [*choices, *([] if value in choices or not value else [value])]
