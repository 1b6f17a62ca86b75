"""Kinds of real webui: how each is recognised by what lies in its folder, and what it takes to start it on the CPU."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS = ("--api", "--skip-torch-cuda-test", "--skip-install", "--skip-prepare-environment")
FLAGS += ("--skip-python-version-check", "--disable-console-progressbars")


@dataclass(frozen=True, eq=False)
class Kind:
    """What differs between the webuis as far as a start goes."""

    name: str
    has: tuple[str, ...]
    """Folders that it has and the kinds after it have not."""
    flags: tuple[str, ...]
    on_cpu: tuple[str, ...]
    ready: tuple[str, ...]
    """Regular expressions, all of which its log fits once it can be asked something."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Options besides those of every webui; None for one that is not stored."""

    hires_cfg: bool = False
    """Whether the hires pass has a CFG scale of its own, ``hr_cfg``."""

    def is_ready(self, log: str) -> bool:
        """Whether it is up."""
        return all(re.search(line, log) for line in self.ready)


_OF_A1111 = (*FLAGS, "--no-download-sd-model", "--do-not-download-clip")
_CPU_OF_A1111 = ("--use-cpu", "all", "--no-half")
_STARTED = "Startup time"
REFORGE = Kind(
    "reForge",
    has=("ldm_patched", "modules_forge"),
    flags=_OF_A1111,
    on_cpu=("--always-cpu", *_CPU_OF_A1111),
    ready=(_STARTED, r"(?m)^Model .+ loaded in "),
    hires_cfg=True,
)
A1111 = Kind("A1111", has=("modules",), flags=_OF_A1111, on_cpu=_CPU_OF_A1111, ready=(_STARTED, r"Model loaded in "))
KINDS = (REFORGE, A1111)
"""In the order in which they are asked."""


def kind_of(root: Path) -> Kind:
    """The kind of webui that a folder holds.

    Raises:
        ValueError: for a folder with none that is known.
    """
    for kind in KINDS:
        if all((root / folder).is_dir() for folder in kind.has):
            return kind
    raise ValueError(f"{root} holds none of the webuis that the tests can start ({', '.join(k.name for k in KINDS)})")


def one_each(variable: str, count: int) -> list[str]:
    """The values of a variable of the environment, one for each webui: it holds one for all, or as many as there are.

    Raises:
        ValueError: for another number of values.
    """
    values = os.environ.get(variable, "").split(os.pathsep)
    if len(values) not in (1, count):
        raise ValueError(f"{variable} holds {len(values)} values; give one, or one for each of the {count} webuis")
    return values * count if len(values) == 1 else values
