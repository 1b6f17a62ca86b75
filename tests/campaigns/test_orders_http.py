"""After whatever a user does in whatever order on a running webui, everything is as it must be.

The steps are those of ``test_orders``, but for the ✨ button, which has no endpoint, and for what :func:`possible`
leaves out. All checkpoints are of one architecture, so that every VAE fits every one of them. The sequences are random
and seeded; a failing one names its seed and its steps, and ``--seeds SEED`` runs it alone.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support import webuis
from support.hands_http import Remote
from support.hands_neo import RemoteNeo
from support.hosts import NEO
from support.order_checks import Files, check, without_names
from support.orders import Expected, User, steps_of
from support.pictures import AUTOMATIC, CONTENTS, OTHER, Picture
from support.scale import Scale

SMALL, ON_A_MINIATURE, ON_A_REAL_WEBUI = 2, 5, 100


def wanted(webui: webuis.Webui, scale: Scale) -> range:
    """The seeds to run."""
    return scale.seeds(0, *((ON_A_REAL_WEBUI, ON_A_REAL_WEBUI) if webui.real else (SMALL, ON_A_MINIATURE)))


def possible(webui: webuis.Webui, step: str) -> bool:
    """Whether this webui can take the step."""
    if step == "plot":
        return webui.real  # the miniature makes none
    if step in ("choose_limit", "choose_keep_in_cpu"):
        return webui.kind.limits
    # 1.6.0 unhijacks the active model to unload it, keeps it in its list, and reloads it from there as it is. From then
    # on, with Multipass or without, pictures differ by 1 of 255, and on CPU a job with a new prompt fails ("Found no
    # NVIDIA driver").
    return step != "unload_and_reload_checkpoint" or webui.name != "1.6.0"


class Ground:
    """A webui that is put back to the same state before each sequence."""

    def __init__(self, server: webuis.Server, originals: Path):
        self.server, self.originals = server, originals
        self.folder = self._hands().folder
        originals.mkdir()
        for content in CONTENTS:
            for path in self.folder.glob(f"{content}.*"):
                shutil.copy2(path, originals)
        self.files = Files(
            originals, server.data / "models" / "VAE" / OTHER, named=not server.webui.kind.vaes_are_modules
        )
        self.known: dict[Picture, list[str]] = {}

    def _hands(self, series: str = "") -> Remote:
        kind = RemoteNeo if self.server.webui.kind is NEO else Remote
        return kind(self.server, self.originals, series)

    def hands(self, series: str = "", copies: bool = False) -> Remote:
        """For the webui, which has but the usual checkpoints now, or two files of each."""
        hands = self._hands(series)
        for path in self.folder.glob("*.*"):
            path.unlink()
        for content in CONTENTS:
            for name in (content, *([f"{content}-copy"] if copies else [])):
                hands.add(content, self.folder / f"{name}.safetensors")
        hands.refresh()
        return hands

    def user(self, seed: int) -> User:
        """Someone before a webui that was just started."""
        hands = self.hands(f"{seed}-")
        hands.begin(**hands.options)
        files = {self.folder / f"{content}.safetensors": content for content in CONTENTS}
        selected = self.folder / "alpha.safetensors"
        options = without_names(hands.seen()["options"])
        return User(hands, Expected(options, selected, selected, hands.config(), files, acts_later=hands.acts_later))


def expect(fresh: Ground, hands: Remote, picture: Picture) -> list[str]:
    """A picture's pixels in another webui, in which nothing was loaded before but its first checkpoint."""
    picture = hands.plainest(picture)
    if picture not in fresh.known:
        own = dict([hands.vae_setting(picture.vae)]) | {"sd_model_checkpoint": f"{picture.first}.safetensors"}
        hands.begin(**hands.options | own)
        second = picture.second and f"{picture.second}{'-copy' * picture.copied}.safetensors"
        fresh.known[picture] = hands.render(picture, {}, second or "", AUTOMATIC)
    return fresh.known[picture]


@pytest.mark.both
@pytest.mark.timeout(7000)
def test_orders(webui, start, scale, tmp_path):
    with start() as server, start() as other:
        ours, fresh = Ground(server, tmp_path / "ours"), Ground(other, tmp_path / "fresh")
        elsewhere, rendered, seeds = fresh.hands(copies=True), 0, wanted(webui, scale)
        for seed in seeds:
            user = ours.user(seed)
            try:
                for name, about in steps_of(seed, old=True):  # without ✨
                    if possible(webui, name):
                        user.do(name, about)
                        hands = user.hands
                        check(hands.seen(), hands.holding(), hands.config(), user.expected, ours.files)
                for number, (picture, got) in enumerate(user.pictures, 1):
                    assert got == expect(fresh, elsewhere, picture), f"job {number}: {picture}"
            except Exception as error:
                error.add_note("\n".join((f"--seeds {seed}", *user.story)))
                raise
            rendered += len(user.pictures)
        print(f"{len(seeds)} sequences, {rendered} pictures, {len(fresh.known)} of them different")
