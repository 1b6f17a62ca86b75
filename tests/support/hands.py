"""What carries out a user's steps: on any webui, and on the miniature in this process."""

from __future__ import annotations

import copy
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from support.pictures import SIZE, Picture, arguments, pixels, render


class Hands(Protocol):
    """How the steps are carried out on a webui."""

    folder: Path
    """Where its checkpoints are."""
    series: str
    """Stands in the names of new files, where the webui might remember those of an earlier sequence."""
    saves: bool
    """Whether every change of a setting is stored at once."""
    narrow: bool
    """Whether it breaks when its limit falls below the number of its models and nobody holds them, as up to 1.8.0."""
    acts_later: bool
    """Whether what is selected is loaded with the next job, the VAE as a part of it (Forge Neo)."""
    reload_selects: bool
    """Whether a checkpoint that was unloaded and reloaded is the selected one, as up to 1.6.0."""

    def render(self, picture: Picture, overrides: dict[str, Any], second: str, keep: str) -> list[str]:
        """The pixels of a job's pictures; no ``second`` for one without Multipass."""

    def plot(self, pictures: list[Picture], bases: list[str], seconds: list[str], keep: str) -> list[list[str]]:
        """The pixels of each cell; no ``bases`` for the selected checkpoint."""

    def loaded(self) -> int:
        """How many models."""

    def choose(self, path: Path) -> bool:
        """Select a checkpoint; whether that was a change to the webui."""

    def set(self, name: str, value: Any) -> None:
        """Change a setting."""

    def vae_setting(self, name: str) -> tuple[str, Any]:
        """The setting that says which VAE to use, and its value for this one."""

    def save(self) -> None:
        """Store the settings."""

    def config(self) -> bytes:
        """The stored settings."""

    def reload_ui(self) -> None: ...

    def unload_and_reload(self) -> None: ...

    def release(self) -> None: ...

    def add(self, content: str, path: Path) -> None: ...

    def rename(self, path: Path, new: Path) -> None: ...

    def remove(self, path: Path) -> None: ...

    def refresh(self) -> bool:
        """Read the folder again; whether the selected checkpoint is still there."""


class Inside:
    """Hands that call the webui's own functions."""

    series, saves, acts_later = "", False, False

    def __init__(self, host: Any, originals: Path, old: bool) -> None:
        """
        Args:
            host: the webui.
            originals: a folder with the checkpoints as they were at first.
            old: whether it behaves like 1.6.0.
        """
        self.host, self.originals = host, originals
        self.narrow = self.reload_selects = old
        self.folder = Path(host.sd_models.model_path)
        self._config = Path(host.shared.config_filename)

    def render(self, picture: Picture, overrides: dict[str, Any], second: str, keep: str) -> list[str]:
        """See :class:`support.orders.Hands`, as for all that follows."""
        args = arguments(picture, second, keep) if second else []
        return pixels(render(self.host, picture, overrides, args))

    def plot(self, pictures: list[Picture], bases: list[str], seconds: list[str], keep: str) -> list[list[str]]:
        """Cells as shallow copies of one job, as X/Y/Z plot makes them, and what it does in the end."""
        whole = self.host.job(True, seconds[0], width=SIZE, height=SIZE)
        cells = [(base, second) for base in bases or [None] for second in seconds]
        got = []
        self.host.shared.state.begin(job="plot")
        with closing(whole):
            for picture, (base, second) in zip(pictures, cells, strict=True):
                cell, args = copy.copy(whole), list(whole.script_args)
                cell.override_settings = {} if base is None else {"sd_model_checkpoint": base}
                ours = arguments(picture, second, keep)
                start = self.host.script().args_from
                args[start : start + len(ours)] = ours
                cell.script_args = tuple(args)
                got.append(pixels(self.host.processing.process_images(cell)))
            self.host.sd_models.reload_model_weights()
            self.host.sd_vae.reload_vae_weights()
        self.host.shared.state.end()
        return got

    def loaded(self) -> int:
        return len(self.host.sd_models.model_data.loaded_sd_models)

    def choose(self, path: Path) -> bool:
        known = self.host.sd_models.checkpoints_list
        title = next(title for title, info in known.items() if Path(info.filename) == path)
        changed = self.host.shared.opts.data["sd_model_checkpoint"] != title
        self.set("sd_model_checkpoint", title)
        return changed

    def set(self, name: str, value: Any) -> None:
        self.host.shared.opts.set(name, value)

    def vae_setting(self, name: str) -> tuple[str, Any]:
        return "sd_vae", name

    def save(self) -> None:
        self.host.shared.opts.save(str(self._config))

    def config(self) -> bytes:
        return self._config.read_bytes()

    def reload_ui(self) -> None:
        self.host.reload_ui()

    def unload_and_reload(self) -> None:
        models = self.host.sd_models
        models.unload_model_weights()
        if self.reload_selects:
            models.reload_model_weights()
        else:
            models.send_model_to_device(self.host.shared.sd_model)

    def release(self) -> None:
        from lib_multipass.api import release

        release.release()

    def add(self, content: str, path: Path) -> None:
        path.hardlink_to(self.originals / f"{content}.safetensors")

    def rename(self, path: Path, new: Path) -> None:
        path.rename(new)

    def remove(self, path: Path) -> None:
        path.unlink()

    def refresh(self) -> bool:
        self.host.sd_models.list_models()
        return self.host.shared.opts.sd_model_checkpoint in self.host.sd_models.checkpoint_aliases
