"""The webui's settings and flags: what is in force for a job, what the user set, and what may be overridden."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modules import shared

from lib_multipass.webui.a1111 import features


def get(name: str, usual: Any = None) -> Any:
    """The setting as the webui reads it now."""
    return getattr(shared.opts, name, usual)


def in_force(p: Any, name: str, usual: Any = None) -> Any:
    """The setting in a job; when a job is prepared its own overrides are not applied yet."""
    return (p.override_settings or {}).get(name, getattr(shared.opts, name, usual))


def users_own(name: str) -> Any:
    """What the user set: the stored value, or the default while nothing is stored (a fresh install, 1.8 and later)."""
    return shared.opts.data.get(name, shared.opts.get_default(name))


def flag(name: str) -> Any:
    """A flag of the command line; None if this webui does not have it."""
    return getattr(shared.cmd_opts, name, None)


def is_frozen(name: str) -> bool:
    """Whether the command line freezes this setting."""
    sections, settings = features.frozen()
    section = shared.opts.data_labels[name].section[0]
    return bool(shared.cmd_opts.freeze_settings or section in sections or name in settings)


def can_override(name: str) -> bool:
    """Whether an override of this setting can be taken back.

    One of a setting that is not stored is an error in 1.6.0 and stays for good in later versions.
    """
    return name in shared.opts.data and not is_frozen(name)


def disables(extension: str) -> bool:
    """Whether the user has disabled an extension, or all."""
    return shared.opts.disable_all_extensions != "none" or extension in shared.opts.disabled_extensions


@contextmanager
def read_as(name: str, value: Any) -> Iterator[None]:
    """Let ``shared.opts`` show another value of a setting to those who read it as an attribute.

    A property on the class of ``shared.opts``: the stored data, and with it ``config.json`` and
    ``/sdapi/v1/options``, stay as they are.
    """
    options_class = type(shared.opts)
    setattr(options_class, name, property(lambda _options: value))
    try:
        yield
    finally:
        delattr(options_class, name)
