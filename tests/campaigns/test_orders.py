"""After whatever a user does in whatever order, everything is as it must be: models, options, VAE, pictures.

The sequences are random and seeded; a failing one names its seed and its steps, and ``--seeds SEED`` runs it alone.
"""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest

from support import order_checks
from support.hands import Inside
from support.orders import Expected, User, steps_of
from support.pictures import AUTOMATIC, CONTENTS, OTHER, SIZE, Picture, arguments, pixels, render
from support.pretended import empty, whole_parts
from support.probe.multipass_whole import seen

pytestmark = pytest.mark.slow
PLAIN, SPLIT = (5, 150, 500), (3, 20, 50)
"""Sequences on each kind of host, which have different ones, by scale; and with ``--medvram``."""
APART = PLAIN[-1]
"""So many seeds lie between the first ones of the two."""
OPTIONS = {
    "sd_model_checkpoint": "alpha.safetensors",
    "sd_vae": AUTOMATIC,
    "sd_checkpoints_limit": 1,
    "sd_checkpoints_keep_in_cpu": True,
}


class Ground:
    """The webui in this process, put back to the same state before each sequence; and what each picture looks like."""

    def __init__(self, host, originals: Path):
        from lib_multipass.webui import wrapping

        self.host, self.originals, self.known = host, originals, {}
        self.config = Path(host.shared.config_filename)
        self.folder = Path(host.sd_models.model_path)
        originals.mkdir()
        for content in CONTENTS:
            shutil.copy(self.folder / f"{content}.safetensors", originals)
        self.configs = {path: path.read_bytes() for path in self.folder.glob("*.yaml")}
        self.options = {**host.shared.opts.data, **OPTIONS}
        self.files = order_checks.Files(originals, Path(host.sd_vae.vae_dict[OTHER]))
        host.reload_ui()  # the API is there by then, and is wrapped from then on
        self.unwrapped = dict(host.patches.originals[wrapping.KEY])

    def reset(self) -> Expected:
        """The webui as just started, and the checkpoints as they were."""
        for path in self.folder.iterdir():
            path.unlink()
        for path in self.originals.iterdir():
            (self.folder / path.name).hardlink_to(path)
        self.host.sd_models.list_models()
        self.start()
        files = {self.folder / f"{content}.safetensors": content for content in CONTENTS}
        selected = self.folder / "alpha.safetensors"
        options = order_checks.without_names(self.options)
        return Expected(options, selected, selected, self.config.read_bytes(), files)

    def start(self):
        """Nothing but the selected checkpoint is loaded, nothing is kept, the settings are the usual ones."""
        from lib_multipass.state import kept

        host = self.host
        host.run(host.job(width=SIZE, height=SIZE, enable_hr=False))
        kept.lacks.clear()
        host.shared.opts.data = copy.deepcopy(self.options)
        host.shared.opts.save(str(self.config))
        empty(host)
        host.sd_models.load_model()

    def expect(self, pictures: list[Picture]) -> list[list[str]]:
        """Their pixels, each in a webui that was just started; the miniature's do not depend on anything else."""
        pictures = [picture.plainest() for picture in pictures]
        unknown = [picture for picture in dict.fromkeys(pictures) if picture not in self.known]
        if unknown:
            self.reset()
            for content in CONTENTS:
                (self.folder / f"{content}-copy.safetensors").hardlink_to(self.originals / f"{content}.safetensors")
            self.host.sd_models.list_models()
        for picture in unknown:
            overrides = {"sd_model_checkpoint": f"{picture.first}.safetensors", "sd_vae": picture.vae}
            name = f"{picture.second}{'-copy' * picture.copied}.safetensors"
            args = arguments(picture, name, AUTOMATIC) if picture.second else []
            self.known[picture] = pixels(render(self.host, picture, overrides, args))
            self.start()
        return [self.known[picture] for picture in pictures]


@pytest.fixture
def ground(host, tmp_path):
    from lib_multipass.state import kept

    made = Ground(host, tmp_path / "originals")
    yield made
    made.reset()
    kept.vae_given.clear()  # of files that are not there any more
    for path, config in made.configs.items():
        path.write_bytes(config)


def check(ground: Ground, expected: Expected):
    """What must be true after every step."""
    from lib_multipass.state import kept

    order_checks.check(seen(), kept.decision is not None, ground.config.read_bytes(), expected, ground.files)
    for (owner, name), original in ground.unwrapped.items():
        assert ground.host.patches.original("lib_multipass", owner, name) is original
        assert getattr(owner, name) is not original


def follow(ground: Ground, seed: int, old: bool) -> int:
    """Do all the steps of a sequence, and check everything after each; the number of its jobs."""
    user = User(Inside(ground.host, ground.originals, old), ground.reset())
    try:
        for name, about in steps_of(seed, old):
            user.do(name, about)
            check(ground, user.expected)
        for (picture, got), should in zip(user.pictures, ground.expect([p for p, _ in user.pictures]), strict=True):
            assert got == should, picture
    except Exception as error:
        error.add_note("\n".join((f"--seeds {seed}", *user.story)))
        raise
    return len(user.pictures)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("old", [False, True], ids=["1.10.1", "1.6.0"])
def test_orders(ground, monkeypatch, scale, old):
    import mini

    monkeypatch.setattr(mini, "old_host", old)
    seeds = scale.seeds(APART * old, *PLAIN)
    rendered = sum(follow(ground, seed, old) for seed in seeds)
    print(f"{len(seeds)} sequences, {rendered} jobs, {len(ground.known)} of them different")


@pytest.mark.timeout(900)
@pytest.mark.in_turn
@pytest.mark.parametrize("room", [None, 2.5], ids=["enough RAM", "little RAM"])
@pytest.mark.parametrize("old", [False, True], ids=["1.10.1", "1.6.0"])
def test_orders_with_medvram(ground, monkeypatch, scale, old, room):
    """On a device that one part at a time fits onto; with little RAM, checkpoints come and go."""
    import mini
    from mini import device

    host = ground.host
    monkeypatch.setattr(mini, "old_host", old)
    monkeypatch.setattr(host.shared.cmd_opts, "multipass_ram_reserve", 0)
    size = host.shared.sd_model.size
    empty(host)
    monkeypatch.setattr(host.shared.cmd_opts, "medvram", True)
    rendered, seeds = 0, scale.seeds(APART * old, *SPLIT)
    with device.pretend(device.Device(int(1.5 * size), host=room and int(room * size))) as pretended:
        for seed in seeds:
            rendered += follow(ground, seed, old)
            assert whole_parts(host)
    assert pretended.ooms == 0
    print(f"{len(seeds)} sequences, {rendered} jobs, {len(ground.known)} of them different")
