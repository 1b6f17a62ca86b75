"""What a user can set: one list of fields behind the panel, the API and the infotext; X/Y/Z axes name some of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from lib_multipass.memory.placement import AUTOMATIC, WISHES
from lib_multipass.words import MultipassError

SAME_AS_SECOND = "Same as second pass"
SAME_AS_FIRST = "Same as first pass"
AS_IN_ADETAILER = "As set in ADetailer"
ADETAILER_MODES = (SAME_AS_SECOND, SAME_AS_FIRST, AS_IN_ADETAILER)

SAME_VAE = "Use same VAE"
AUTOMATIC_VAE, NO_VAE = "Automatic", "None"
VAE_MODES = (SAME_VAE, AUTOMATIC_VAE, NO_VAE)
SAME_MODULES = "Use same choices"
"""What Forge Neo shows where the hires pass has the first pass's VAE and text encoders, and says so in its requests."""

LONGEST_NAME = 1000
"""Characters; the longest path that Windows or Linux checkpoints have in practice is well below."""

MOST_NAMES = 20
"""In a list; no model is made of as many files."""


def _entry(default: Any, label: str, tooltip: str = "", **more: Any) -> Any:
    """A field.

    ``more`` may hold its infotext key, the texts that it allows, or the range: lowest, highest, step. ``lists`` says
    that it takes a list of texts, too.
    """
    more = {"infotext": None, "choices": None, "range": None, "lists": False, **more}
    metadata = {"label": label, "tooltip": tooltip, **more}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class PassArgs:
    """The settings of one job, in the order of the panel and of the API's positional list.

    New fields go to the end: the positions are public.
    """

    enabled: bool = _entry(False, "Multipass")
    checkpoint: str = _entry(
        "",
        "Second-pass checkpoint",
        "The checkpoint that makes the hires pass.",
        infotext="Multipass checkpoint",
    )
    adetailer: str = _entry(
        SAME_AS_SECOND,
        "ADetailer checkpoint",
        "The checkpoint that repaints what ADetailer finds.",
        infotext="Multipass ADetailer",
    )
    vae: str = _entry(
        SAME_VAE,
        "Second-pass VAE",
        "The VAE of the hires pass, and of ADetailer's passes on its checkpoint.",
        infotext="Multipass VAE",
        lists=True,
    )
    """A list, which Forge Neo takes, as :func:`written` writes it."""
    cfg_scale: float = _entry(
        0.0,
        "Second-pass CFG scale",
        "How closely the hires pass follows the prompt; 0 is the first pass's or the webui's own Hires CFG Scale.",
        infotext="Multipass CFG scale",
        range=(0.0, 30.0, 0.5),
    )
    clip_skip: int = _entry(
        0,
        "Second-pass clip skip",
        "Which of the text encoder's last layers the hires pass stops at; 0 is the first pass's.",
        infotext="Multipass clip skip",
        range=(0, 12, 1),
    )
    adetailer_follows: bool = _entry(
        True,
        "ADetailer follows second-pass settings",
        "An ADetailer tab on the second-pass checkpoint takes what it leaves open from the hires pass.",
        infotext="Multipass ADetailer follows",
    )
    keep: str = _entry(
        AUTOMATIC,
        "Keep checkpoints",
        "Where the checkpoints of a job stay between its passes and pictures; Automatic goes by the free memory.",
        choices=WISHES,
    )
    show_first_pass: bool = _entry(
        False, "Show the first pass", "Adds each picture's first pass, made with the first checkpoint, to the results."
    )

    @classmethod
    def parse(cls, values: Sequence[Any]) -> PassArgs:
        """Read a job's arguments: the panel's values, an API's positional list, or a list that starts with one object.

        A missing or ``null`` value means the default. In the object form ``enabled`` is on unless it says otherwise,
        since a client that names a checkpoint means to use it.

        Raises:
            MultipassError: for an unknown key, a wrong type, a number out of range or an over-long string, naming key,
                value and what is allowed.
        """
        if values and isinstance(values[0], Mapping):
            given, named = {"enabled": True, **values[0]}, {name: f"{name} ({label(name)})" for name in FIELDS}
        else:
            given, named = dict(zip(FIELDS, values, strict=False)), {name: label(name) for name in FIELDS}
        unknown = [key for key in given if key not in FIELDS]
        if unknown:
            raise MultipassError(
                f"Multipass does not know the argument {short(unknown[0])}; it knows {', '.join(FIELDS)}."
            )
        return cls(**{key: checked(key, value, named[key]) for key, value in given.items() if value is not None})


FIELDS = {entry.name: entry for entry in fields(PassArgs)}


def label(name: str) -> str:
    """The label of a field in the panel, which is also its name in messages and in ``ui-config.json``."""
    return FIELDS[name].metadata["label"]


def default(name: str) -> Any:
    """The value that a field has when nobody sets it."""
    value = FIELDS[name].default
    assert value is not MISSING
    return value


def checked(name: str, value: Any, called: str) -> Any:
    """The value in its field's type, if the field allows it.

    Args:
        name: the field's.
        value: what was given.
        called: what the message is to call the field.

    Raises:
        MultipassError: if it does not.
    """
    expected, limits = type(default(name)), FIELDS[name].metadata
    names = _listed(value) if limits["lists"] else None
    if names is not None:
        return _checked_list(names, called)
    kinds = (int, float) if expected is float else (expected,)
    whole = expected is int and type(value) is float and value.is_integer()  # what a slider of gradio may send
    if type(value) not in kinds and not whole:
        kind = _LISTS if limits["lists"] else _KINDS[expected]
        raise MultipassError(f"{called}: {short(value)} is not allowed here; it has to be {kind}.")
    if expected is str and len(value) > LONGEST_NAME:
        raise MultipassError(f"{called}: {short(value)} is longer than {LONGEST_NAME} characters.")
    if limits["choices"] and value not in limits["choices"]:
        choices = ", ".join(map(repr, limits["choices"]))
        raise MultipassError(f"{called}: {short(value)} is not allowed here; it has to be one of {choices}.")
    if limits["range"]:
        lowest, highest, _ = limits["range"]
        if not lowest <= value <= highest:  # not a number is neither
            raise MultipassError(
                f"{called}: {short(value)} is not allowed here; it has to be from {lowest:g} to {highest:g}."
            )
    return expected(value)


def _checked_list(names: list, called: str) -> str:
    if len(names) > MOST_NAMES:
        raise MultipassError(f"{called}: {short(names)} has {len(names)} entries; {MOST_NAMES} are allowed.")
    for name in names:
        if not isinstance(name, str):
            raise MultipassError(f"{called}: {short(name)} is not allowed here; it has to be {_LISTS}.")
        if len(name) > LONGEST_NAME:
            raise MultipassError(f"{called}: {short(name)} is longer than {LONGEST_NAME} characters.")
    return written(names)


def written(names: Iterable[str]) -> str:
    """A list of names as one text, which is how an infotext has it."""
    names = [*names]
    return SAME_VAE if names == [SAME_MODULES] else json.dumps(names, ensure_ascii=False)


def listed(text: str) -> list[str] | None:
    """The names of a list that :func:`written` has written; None for a name."""
    names = _listed(text)
    return names if names is not None and all(isinstance(name, str) for name in names) else None


def _listed(value: Any) -> list | None:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):  # a file may be called so
            return None
    return list(value) if isinstance(value, list | tuple) else None


_LISTS = "a text, or a list of texts"
_KINDS = {bool: "true or false", str: "a text", float: "a number", int: "a whole number"}


def short(value: Any) -> str:
    """A value as a message shows it; how large or how deeply nested it is does not matter."""
    try:
        text = repr(value[:80] if isinstance(value, str) else value)
    except (RecursionError, ValueError):  # lists in lists in lists; more digits than Python writes
        text = f"this {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
