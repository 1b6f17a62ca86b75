"""Random orders of everything that a user does to a running webui, the same for the same seed."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.hands import Hands
from support.pictures import AUTOMATIC, CONTENTS, NONE, OTHER, SAME, Picture

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
    acts_later: bool = False
    """Whether what is selected is loaded with the next job, the VAE as a part of it (Forge Neo)."""
    may_hold: bool = False
    """Whether a Multipass job was the last one, so that its checkpoints may be kept."""


@dataclass
class User:
    """Someone in front of a webui; each method is a step, and says what must be true after it."""

    hands: Hands
    expected: Expected
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
        self._render(picture, self._overrides(base, job_vae), "", "")
        self._turn_to(first)

    def _plain_job_ran(self) -> None:
        if self.expected.may_hold or self.hands.loaded() <= 1:
            self.expected.most = self.limit
        self.expected.may_hold = False

    def multipass(
        self, base: int | None, job_vae: str | None, second: int, keep: str, upscale: bool, **about: Any
    ) -> None:
        first, hires = self.file(base), self.file(second)
        picture = self._pair("upscale" if upscale else "txt2img", first, job_vae, hires, about)
        self._render(picture, self._overrides(base, job_vae), hires.name, keep)
        self._multipass_ran(keep, {first, hires}, first)
        self.expected.lent = picture.second_vae

    def _pair(self, kind: str, first: Path, job_vae: str | None, hires: Path, about: dict[str, Any]) -> Picture:
        a, b = self.expected.files[first], self.expected.files[hires]
        copied = a == b and first != hires
        return Picture(kind, a, job_vae or self.expected.vae, b, copied=copied, hires=True, **about)

    def _multipass_ran(self, keep: str, files: set[Path], first: Path) -> None:
        expected, holds = self.expected, keep != "As the webui is set"
        # What the user's own limit keeps loaded besides stays as long as this job's checkpoints are kept.
        models = 2 if expected.acts_later else len(files)  # one file may be loaded with two VAEs
        expected.most = max(self.limit, models) if holds else self.limit
        expected.may_hold = holds
        self._turn_to(first)

    def _turn_to(self, current: Path) -> None:
        self.expected.current, self.expected.lent = current, SAME

    def plot(self, bases: list[int], seconds: list[int], keep: str) -> None:
        """X/Y/Z plot, which asks for the selected checkpoint again in the end, or lets the next job do so."""
        firsts = [self.file(base) for base in bases or [None]]
        hires = [self.file(second) for second in seconds or [0]]
        pairs = list(itertools.product(firsts, hires))
        pictures = [self._pair("txt2img", first, None, second, {}) for first, second in pairs]
        named = [path.name for path in firsts] if bases else []
        got = self.hands.plot(pictures, named, [path.name for path in hires], keep)
        self.pictures.extend(zip(pictures, got, strict=True))
        asked_last = pairs[-1][0] if self.expected.acts_later else self.expected.selected
        self._multipass_ran(keep, set(pairs[-1]), asked_last)

    def _overrides(self, base: int | None, job_vae: str | None) -> dict[str, Any]:
        named = {} if base is None else {"sd_model_checkpoint": self.file(base).name}
        return named | ({} if job_vae is None else dict([self.hands.vae_setting(job_vae)]))

    def _render(self, picture: Picture, overrides: dict[str, Any], second: str, keep: str) -> None:
        self.pictures.append((picture, self.hands.render(picture, overrides, second, keep)))

    # Settings

    @property
    def limit(self) -> int:
        """The user's own; where the webui has none, it keeps one."""
        return self.expected.options.get("sd_checkpoints_limit", 1)

    def choose_checkpoint(self, which: int) -> None:
        path = self.file(which)
        if self.hands.choose(path):
            self._turn_to(path)
        self.expected.selected = path
        self._stored()

    def choose_vae(self, name: str) -> None:
        if name != self.expected.vae:  # else the webui has nothing to do
            self.expected.lent = SAME
        self._set(*self.hands.vae_setting(name))
        self.expected.vae = name

    def choose_limit(self, limit: int) -> None:
        loaded = self.hands.loaded()
        if self.hands.narrow and not self.expected.may_hold:
            limit = max(limit, loaded)
        self._set("sd_checkpoints_limit", limit)
        self.expected.most = max(limit, loaded)

    def choose_keep_in_cpu(self, value: bool) -> None:
        self._set("sd_checkpoints_keep_in_cpu", value)

    def _set(self, name: str, value: Any) -> None:
        self.hands.set(name, value)
        self.expected.options[name] = value
        self._stored()

    def _stored(self) -> None:
        if self.hands.saves:
            self.expected.config = self.hands.config()

    def apply_settings(self) -> None:
        self.hands.save()
        self.expected.config = self.hands.config()

    # The rest of the page

    def reload_ui(self) -> None:
        self.hands.reload_ui()

    def unload_and_reload_checkpoint(self) -> None:
        self.hands.unload_and_reload()
        if self.hands.reload_selects:
            self.expected.current = self.expected.selected

    def release(self) -> None:
        self.hands.release()
        self._plain_job_ran()

    # Files

    def add_file(self, content: str, place: str) -> None:
        path = self._new_file(place)
        self.hands.add(content, path)
        self.expected.files[path] = content
        self._refresh()

    def rename_file(self, which: int, place: str) -> None:
        path, new = self.file(which), self._new_file(place)
        self.hands.rename(path, new)
        self.expected.files[new] = self.expected.files.pop(path)
        self._refresh()

    def remove_file(self, which: int) -> None:
        if len(self.expected.files) > 2:
            path = self.file(which)
            self.hands.remove(path)
            del self.expected.files[path]
        self._refresh()

    def _new_file(self, place: str) -> Path:
        """A name that was never there, before, among or behind the others: the first file stands in for a lost one."""
        self.made += 1
        return self.hands.folder / f"{place}{self.hands.series}{self.made}.safetensors"

    def _refresh(self) -> None:
        if not self.hands.refresh():
            self.expected.selected = min(self.expected.files, key=lambda path: str(path).lower())
            if self.expected.acts_later:  # somebody chose it
                self._stored()
