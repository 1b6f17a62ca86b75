"""Random orders of everything that a user does to a running webui, the same for the same seed."""

from __future__ import annotations

import copy
import json
import random
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.pictures import AUTOMATIC, CONTENTS, NONE, OTHER, SAME, SIZE, Picture, arguments, pixels, render

LENGTH = 10


def steps_of(seed: int, old: bool) -> list[tuple[str, dict[str, Any]]]:
    """The steps of a sequence: names of methods of :class:`User`, and their arguments."""
    dice = random.Random(seed)
    makers = [make for make, weight in _MAKERS.items() for _ in range(weight)]
    steps = [dice.choice(makers)(dice) for _ in range(LENGTH)]
    # Without this button up to 1.7.0.
    return [
        (name, {**about, "upscale": False}) if old and "upscale" in about else (name, about) for name, about in steps
    ]


def _which(dice: random.Random) -> int:
    """A file by its number; the list may be of any length then."""
    return dice.randrange(60)


def _job(dice: random.Random) -> dict[str, Any]:
    return {
        "base": dice.choice((None, None, _which(dice))),
        "job_vae": dice.choice((None, None, None, OTHER, NONE)),
        "faces": dice.random() < 0.2,
        "end": (dice.choice(("interrupt", "skip")), dice.randint(1, 3)) if dice.random() < 0.15 else None,
    }


def _multipass(dice: random.Random) -> dict[str, Any]:
    return {
        "second": _which(dice),
        "keep": dice.choice((AUTOMATIC, AUTOMATIC, "In RAM", "In VRAM", "As the webui is set")),
        "second_vae": dice.choice((SAME, SAME, AUTOMATIC, NONE, OTHER)),
        "cfg_scale": dice.choice((0, 0, 0, 3)),
        "upscaler": dice.choice(("Latent", "Latent", "Lanczos")),
        "count": dice.choice((1, 1, 1, 1, 2)),
    }


def _plot(dice: random.Random) -> dict[str, Any]:
    """The axes of a plot: checkpoints of the first pass and of the second."""
    return {
        "bases": [_which(dice) for _ in range(dice.randint(0, 2))],
        "seconds": [_which(dice) for _ in range(dice.randint(0, 2))],
        "keep": dice.choice((AUTOMATIC, AUTOMATIC, "As the webui is set")),
    }


_MAKERS = {
    lambda dice: ("txt2img", {**_job(dice), "hires": dice.random() < 0.3}): 2,
    lambda dice: ("img2img", _job(dice)): 1,
    lambda dice: ("multipass", {**_job(dice), **_multipass(dice), "upscale": False}): 4,
    lambda dice: ("multipass", {**_job(dice), **_multipass(dice), "upscale": True}): 1,
    lambda dice: ("plot", _plot(dice)): 1,
    lambda dice: ("choose_checkpoint", {"which": _which(dice)}): 2,
    lambda dice: ("choose_vae", {"name": dice.choice((AUTOMATIC, NONE, OTHER))}): 2,
    lambda dice: ("choose_limit", {"limit": dice.choice((1, 1, 2, 3, 4))}): 2,
    lambda dice: ("choose_keep_in_cpu", {"value": dice.random() < 0.5}): 1,
    lambda dice: ("apply_settings", {}): 1,
    lambda dice: ("reload_ui", {}): 1,
    lambda dice: ("unload_and_reload_checkpoint", {}): 1,
    lambda dice: ("add_file", {"content": dice.choice(CONTENTS), "place": dice.choice("amz")}): 1,
    lambda dice: ("rename_file", {"which": _which(dice), "place": dice.choice("amz")}): 1,
    lambda dice: ("remove_file", {"which": _which(dice)}): 1,
    lambda dice: ("release", {}): 1,
}
"""How each kind of step is made, and how often it comes."""


@dataclass
class Expected:
    """What must be true of the webui, as far as the user has any say in it."""

    options: dict[str, Any]
    """But for the two that name the checkpoint."""
    selected: Path
    """The file that the settings select."""
    current: Path
    """The file that made the first pass of the last job, or was selected since."""
    config: bytes
    """The settings as they were stored last."""
    files: dict[Path, str]
    """The checkpoints and what they contain."""
    vae: str = AUTOMATIC
    lent: str = SAME
    """What a Multipass job may have left on its second checkpoint, until the webui looks at it again."""
    most: int = 1
    """Models that may be loaded."""
    may_hold: bool = False
    """Whether a Multipass job was the last one, so that its checkpoints may be kept."""


@dataclass
class User:
    """Someone in front of the webui in this process; each method is a step, and says what must be true after it."""

    host: Any
    old: bool
    expected: Expected
    originals: Path
    """A folder with the checkpoints as they were at first."""
    pictures: list[tuple[Picture, list[str]]] = field(default_factory=list)
    """What was rendered, and the pixels."""
    story: list[str] = field(default_factory=list)
    made: int = 0

    def do(self, name: str, about: dict[str, Any]) -> None:
        """Take one step."""
        self.story.append(f"{name} {json.dumps(about)}")
        getattr(self, name)(**about)

    def file(self, number: int | None) -> Path:
        """A checkpoint by its number; None for the selected one."""
        files = sorted(self.expected.files)
        return self.expected.selected if number is None else files[number % len(files)]

    # Jobs

    def txt2img(self, base: int | None, job_vae: str | None, **about: Any) -> None:
        self._plain("txt2img", base, job_vae, about)
        self._plain_job_ran()

    def img2img(self, base: int | None, job_vae: str | None, **about: Any) -> None:
        self._plain("img2img", base, job_vae, about)

    def _plain(self, kind: str, base: int | None, job_vae: str | None, about: dict[str, Any]) -> None:
        first = self.file(base)
        picture = Picture(kind, self.expected.files[first], job_vae or self.expected.vae, **about)
        self._render(picture, self._overrides(base, job_vae), [])
        self._turn_to(first)

    def _plain_job_ran(self) -> None:
        if self.expected.may_hold or self.host.sd_models.model_data.loaded_sd_models[1:] == []:
            self.expected.most = self.limit
        self.expected.may_hold = False

    def multipass(
        self, base: int | None, job_vae: str | None, second: int, keep: str, upscale: bool, **about: Any
    ) -> None:
        first, hires = self.file(base), self.file(second)
        picture = self._pair("upscale" if upscale else "txt2img", first, job_vae, hires, about)
        self._render(picture, self._overrides(base, job_vae), arguments(picture, hires.name, keep))
        self._multipass_ran(keep, {first, hires}, first)
        self.expected.lent = picture.second_vae

    def _pair(self, kind: str, first: Path, job_vae: str | None, hires: Path, about: dict[str, Any]) -> Picture:
        a, b = self.expected.files[first], self.expected.files[hires]
        copied = a == b and first != hires
        return Picture(kind, a, job_vae or self.expected.vae, b, copied=copied, hires=True, **about)

    def _multipass_ran(self, keep: str, files: set[Path], first: Path) -> None:
        expected, holds = self.expected, keep != "As the webui is set"
        # What the user's own limit keeps loaded besides stays as long as this job's checkpoints are kept.
        expected.most = max(self.limit, len(files)) if holds else self.limit
        expected.may_hold = holds
        self._turn_to(first)

    def _turn_to(self, current: Path) -> None:
        self.expected.current, self.expected.lent = current, SAME

    def plot(self, bases: list[int], seconds: list[int], keep: str) -> None:
        """Cells as shallow copies of one job, as X/Y/Z plot makes them, and what it does in the end."""
        whole = self.host.job(True, self.file(0).name, width=SIZE, height=SIZE)
        last = None
        self.host.shared.state.begin(job="plot")
        with closing(whole):
            for base in bases or [None]:
                for second in seconds or [0]:
                    first, hires = self.file(base), self.file(second)
                    picture = self._pair("txt2img", first, None, hires, {})
                    cell, args = copy.copy(whole), list(whole.script_args)
                    cell.override_settings = self._overrides(base, None)
                    ours = arguments(picture, hires.name, keep)
                    start = self.host.script().args_from
                    args[start : start + len(ours)] = ours
                    cell.script_args = tuple(args)
                    self._note(picture, self.host.processing.process_images(cell))
                    last = first, hires
            self.host.sd_models.reload_model_weights()
            self.host.sd_vae.reload_vae_weights()
        self.host.shared.state.end()
        self._multipass_ran(keep, set(last), self.expected.selected)

    def _overrides(self, base: int | None, job_vae: str | None) -> dict[str, Any]:
        named = {} if base is None else {"sd_model_checkpoint": self.file(base).name}
        return named | ({} if job_vae is None else {"sd_vae": job_vae})

    def _render(self, picture: Picture, overrides: dict[str, Any], args: list[Any]) -> None:
        self._note(picture, render(self.host, picture, overrides, args))

    def _note(self, picture: Picture, processed: Any) -> None:
        self.pictures.append((picture, pixels(processed)))

    # Settings

    @property
    def limit(self) -> int:
        """The user's own."""
        return self.expected.options["sd_checkpoints_limit"]

    def choose_checkpoint(self, which: int) -> None:
        path = self.file(which)
        title = next(t for t, info in self.host.sd_models.checkpoints_list.items() if Path(info.filename) == path)
        if self.host.shared.opts.data["sd_model_checkpoint"] != title:  # else the webui has nothing to do
            self._turn_to(path)
        self.host.shared.opts.set("sd_model_checkpoint", title)
        self.expected.selected = path

    def choose_vae(self, name: str) -> None:
        if name != self.expected.vae:  # else the webui has nothing to do
            self.expected.lent = SAME
        self._set("sd_vae", name)
        self.expected.vae = name

    def choose_limit(self, limit: int) -> None:
        loaded = len(self.host.sd_models.model_data.loaded_sd_models)
        if self.old and not self.expected.may_hold:
            # Up to 1.8.0 the webui itself breaks with more models than that, and nobody holds them here.
            limit = max(limit, loaded)
        self._set("sd_checkpoints_limit", limit)
        self.expected.most = max(limit, loaded)

    def choose_keep_in_cpu(self, value: bool) -> None:
        self._set("sd_checkpoints_keep_in_cpu", value)

    def _set(self, name: str, value: Any) -> None:
        self.host.shared.opts.set(name, value)
        self.expected.options[name] = value

    def apply_settings(self) -> None:
        path = Path(self.host.shared.config_filename)
        self.host.shared.opts.save(str(path))
        self.expected.config = path.read_bytes()

    # The rest of the page

    def reload_ui(self) -> None:
        self.host.reload_ui()

    def unload_and_reload_checkpoint(self) -> None:
        models = self.host.sd_models
        models.unload_model_weights()
        if self.old:
            models.reload_model_weights()
            self.expected.current = self.expected.selected
        else:
            models.send_model_to_device(self.host.shared.sd_model)

    def release(self) -> None:
        from lib_multipass.host import release

        release.release()
        self._plain_job_ran()

    # Files

    def add_file(self, content: str, place: str) -> None:
        path = self._new_file(place)
        path.hardlink_to(self.originals / f"{content}.safetensors")
        self.expected.files[path] = content
        self._refresh()

    def rename_file(self, which: int, place: str) -> None:
        path, new = self.file(which), self._new_file(place)
        path.rename(new)
        self.expected.files[new] = self.expected.files.pop(path)
        self._refresh()

    def remove_file(self, which: int) -> None:
        if len(self.expected.files) > 2:
            path = self.file(which)
            path.unlink()
            del self.expected.files[path]
        self._refresh()

    def _new_file(self, place: str) -> Path:
        """A name that was never there, before, among or behind the others: the first file stands in for a lost one."""
        self.made += 1
        return Path(self.host.sd_models.model_path) / f"{place}{self.made}.safetensors"

    def _refresh(self) -> None:
        self.host.sd_models.list_models()
        if self.host.shared.opts.sd_model_checkpoint not in self.host.sd_models.checkpoint_aliases:
            self.expected.selected = min(self.expected.files, key=lambda path: str(path).lower())
