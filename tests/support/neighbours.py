"""Other extensions beside Multipass: those whose folders are given in ``MULTIPASS_NEIGHBOURS``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import webuis

GIVEN = "MULTIPASS_NEIGHBOURS"
HOW_TO_GIVE = f"set {GIVEN} to the folders of other extensions, separated by {os.pathsep!r}, to run this beside them"

CONTROLNET, TWEAKS, DYNAMIC, WILDCARDS, SCHEDULER = (
    "ControlNet",
    "hires-fix-tweaks",
    "Dynamic Prompts",
    "wildcards",
    "agent-scheduler",
)
KNOWN_BY = {
    CONTROLNET: "internal_controlnet/external_code.py",
    TWEAKS: "hires_fix_tweaks/ui.py",
    DYNAMIC: "sd_dynamic_prompts/dynamic_prompting.py",
    WILDCARDS: "scripts/wildcards.py",
    SCHEDULER: "agent_scheduler/task_runner.py",
}
"""A file of each, since their folders may be called anything."""
COLOURS = ("red", "green", "blue", "amber", "violet", "grey", "white")
"""What the wildcard ``__colour__`` stands for."""

# Until the first *Reload UI* Dynamic Prompts has none of its settings (2.17.1), and then does nothing.
DYNAMIC_SETTINGS = {
    "dp_ignore_whitespace": False,
    "dp_write_raw_template": False,
    "dp_write_prompts_to_file": False,
    "dp_parser_variant_start": "{",
    "dp_parser_variant_end": "}",
    "dp_parser_wildcard_wrap": "__",
    "dp_limit_jinja_prompts": False,
    "dp_auto_purge_cache": False,
    "dp_wildcard_manager_no_dedupe": False,
    "dp_wildcard_manager_no_sort": False,
    "dp_wildcard_manager_shuffle": False,
    "dp_magicprompt_batch_size": 1,
}


@dataclass(frozen=True)
class Beside:
    """One webui twice, both with the other extensions: ``ours`` with Multipass, ``stock`` without it."""

    ours: webuis.Server
    stock: webuis.Server
    folders: dict[str, Path]

    def need(self, *names: str) -> None:
        """Skip the test unless these extensions were given."""
        missing = [name for name in names if name not in self.folders]
        if missing:
            pytest.skip(f"{' and '.join(missing)} not given: {HOW_TO_GIVE}")


def given() -> dict[str, Path]:
    """The folders that the environment names, by what they are; an unknown one is taken under its own name."""
    folders = [Path(folder) for folder in os.environ.get(GIVEN, "").split(os.pathsep) if folder]
    return {_name_of(folder): folder for folder in folders}


def _name_of(folder: Path) -> str:
    if not folder.is_dir():
        raise ValueError(f"{GIVEN} names {folder}, which is no folder.")
    return next((name for name, file in KNOWN_BY.items() if (folder / file).exists()), folder.name)


@contextmanager
def running_both(webui: webuis.Webui, data: Path, folders: dict[str, Path]) -> Iterator[Beside]:
    """Start both, at the webui's default limit: ControlNet's pictures by hand depend on it."""
    with (
        _running(webui, data / "ours", folders) as ours,
        _running(webui, data / "stock", folders, multipass=False) as stock,
    ):
        yield Beside(ours, stock, folders)


def _running(webui: webuis.Webui, data: Path, folders: dict[str, Path], **more: Any) -> Any:
    """All that these extensions write, and the wildcard that they read, lies below the data folder."""
    words = data.parent / "wildcards"
    words.mkdir(exist_ok=True)
    (words / "colour.txt").write_text("\n".join(COLOURS), encoding="utf-8")
    saved = str(data / "saved")
    settings = {"wildcard_dir": str(words), "outdir_txt2img_samples": saved, "outdir_txt2img_grids": saved}
    flags = ["--wildcards-dir", str(words)] if WILDCARDS in folders else []
    if SCHEDULER in folders:
        flags += ["--agent-scheduler-sqlite-file", str(data / "queue.sqlite3")]
    settings |= DYNAMIC_SETTINGS
    return webuis.running(webui, data, *flags, config=settings, neighbours=folders.values(), **more)
