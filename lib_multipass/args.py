"""What a user can set: one list of fields behind the panel, the API, the infotext and the grid axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from lib_multipass.messages import MultipassError

SAME_AS_SECOND = "Same as second pass"
SAME_AS_FIRST = "Same as first pass"
AS_IN_ADETAILER = "As set in ADetailer"
ADETAILER_MODES = (SAME_AS_SECOND, SAME_AS_FIRST, AS_IN_ADETAILER)

LONGEST_NAME = 1000
"""Characters; the longest path that Windows or Linux checkpoints have in practice is well below."""


def _entry(default: Any, label: str, *, infotext: str | None = None) -> Any:
    return field(default=default, metadata={"label": label, "infotext": infotext})


@dataclass(frozen=True)
class PassArgs:
    """The settings of one job, in the order of the panel and of the API's positional list.

    New fields go to the end: the positions are public.
    """

    enabled: bool = _entry(False, "Multipass")
    checkpoint: str = _entry("", "Second-pass checkpoint", infotext="Multipass checkpoint")
    adetailer: str = _entry(SAME_AS_SECOND, "ADetailer checkpoint", infotext="Multipass ADetailer")

    @classmethod
    def parse(cls, values: Sequence[Any]) -> PassArgs:
        """Read a job's arguments: the panel's values, an API's positional list, or a list that starts with one object.

        A missing or ``null`` value means the default. In the object form ``enabled`` is on unless it says otherwise,
        since a client that names a checkpoint means to use it.

        Raises:
            MultipassError: for an unknown key, a wrong type or an over-long string, naming key, value and what is
                allowed.
        """
        if values and isinstance(values[0], Mapping):
            given = {"enabled": True, **values[0]}
        else:
            given = dict(zip(FIELDS, values, strict=False))
        unknown = [key for key in given if key not in FIELDS]
        if unknown:
            raise MultipassError(f"Multipass does not know the argument {unknown[0]!r}; it knows {', '.join(FIELDS)}.")
        return cls(**{key: _checked(key, value) for key, value in given.items() if value is not None})


FIELDS = {entry.name: entry for entry in fields(PassArgs)}


def label(name: str) -> str:
    """The label of a field in the panel, which is also its name in messages and in ``ui-config.json``."""
    return FIELDS[name].metadata["label"]


def default(name: str) -> Any:
    """The value that a field has when nobody sets it."""
    value = FIELDS[name].default
    assert value is not MISSING
    return value


def _checked(name: str, value: Any) -> Any:
    expected = type(default(name))
    if type(value) is not expected:
        allowed = {bool: "true or false", str: "a text"}[expected]
        raise MultipassError(f"{label(name)}: {_short(value)} is not allowed here; it has to be {allowed}.")
    if expected is str and len(value) > LONGEST_NAME:
        raise MultipassError(f"{label(name)}: {_short(value)} is longer than {LONGEST_NAME} characters.")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
