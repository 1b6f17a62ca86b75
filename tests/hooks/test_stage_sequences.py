"""Jobs that keep their stages, in any order with others and after any end: each is as without keeping.

The sequences are random and seeded; ``--seeds SEED`` runs one alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.golden_cases import FACE
from support.jobs import B, C
from support.scale import Scale

pytestmark = pytest.mark.slow
SMALL, FULL, JOBS, STEPS = 1, 20, 4, 12
STAGES, ORDER, RAM_RESERVE = "multipass_stages", "multipass_order", "multipass_ram_reserve"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The seeds of the sequences."""
    scale = Scale(metafunc.config.getoption("scale"), metafunc.config.getoption("seeds"))
    metafunc.parametrize("seed", scale.seeds(1, SMALL, FULL))


class Job:
    """A random Multipass job."""

    def __init__(self, dice: random.Random) -> None:
        def rarely(**values: Any) -> dict[str, Any]:
            return values if dice.random() < 0.2 else {}

        self.own = {
            "checkpoint": dice.choice([B, B, B, C]),
            **rarely(vae=dice.choice(["other.safetensors", "None", "Automatic"])),
            **rarely(cfg_scale=4.0),
            **rarely(clip_skip=2),
            **rarely(show_first_pass=True),
        }
        self.faces = dict(FACE) if dice.random() < 0.3 else None
        if self.faces:
            self.own |= rarely(adetailer=dice.choice(["alpha", C]))
        self.overrides = {
            **rarely(sd_vae="other.safetensors"),
            **rarely(sd_model_checkpoint=dice.choice([C, "alpha"])),
            **rarely(CLIP_stop_at_last_layers=2),
            **rarely(samples_save=True, save_images_before_highres_fix=True),
        }
        batches, size = dice.choice([1, 1, 2, 3]), dice.choice([1, 1, 2])
        texts = [dice.choice(["a cat", "a dog"]) for _ in range(batches * size)]
        self.fields = {
            "hr_upscaler": dice.choice(["Lanczos", "Latent"]),
            "denoising_strength": dice.choice([0.4, 0.6]),
            "prompt": texts if dice.random() < 0.4 else texts[0],
            "n_iter": batches,
            "batch_size": size,
            **rarely(tiling=True),
            **rarely(hr_prompt="a fox"),
            **rarely(disable_extra_networks=True),
            **rarely(subseed=9, subseed_strength=0.3),
        }
        self.seed = dice.choice([5, 5, 6])

    def run(self, host: Any) -> tuple[list[bytes], list[str], list[str]]:
        """Its pictures, infotexts and comments."""
        faces, overrides = self.faces and dict(self.faces), dict(self.overrides)
        p = host.job(dict(self.own), faces=faces, override_settings=overrides, **self.fields)
        p.seed, p.outpath_samples = self.seed, "saved-in-sequences"
        done = host.run(p)
        return [picture.tobytes() for picture in done.images], done.infotexts, sorted(p.comments)


def failure_of(job: Job, host: Any) -> str:
    """What a job fails with; empty if it does not."""
    try:
        job.run(host)
    except RuntimeError as error:
        return str(error)
    return ""


@contextmanager
def ending(host: Any, monkeypatch: pytest.MonkeyPatch, how: str, number: int) -> Iterator[None]:
    """While it lasts, a pass with this number in its job is ended."""
    kind, passes = host.sd_samplers._Sampler, []

    def at(original: Any) -> Any:
        def noted(*args: Any, **kwargs: Any) -> Any:
            passes.append(how)
            if len(passes) == number and how == "fail":
                raise RuntimeError("failed on purpose")
            if len(passes) == number:
                getattr(host.shared.state, how)()
            return original(*args, **kwargs)

        return noted

    with monkeypatch.context() as patch:
        patch.setattr(kind, "sample", at(kind.sample))
        patch.setattr(kind, "sample_img2img", at(kind.sample_img2img))
        yield


def test_every_job_is_as_without_keeping(host: Any, tight: Any, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    dice, data = random.Random(seed), host.shared.opts.data
    monkeypatch.setitem(data, ORDER, dice.choice(["Automatic", "Pass by pass"]))
    monkeypatch.setitem(data, "sd_checkpoints_limit", dice.choice([1, 3, 4]))
    jobs, allowance = [Job(dice) for _ in range(JOBS)], dice.choice([0.15, 512])
    monkeypatch.setitem(data, STAGES, 0)
    for job in jobs:
        job.run(host)  # from here on the files have hashes
    expected = [job.run(host) for job in jobs]
    monkeypatch.setitem(data, STAGES, allowance)
    story: list[Any] = []
    for _ in range(STEPS):
        number = dice.randrange(JOBS)
        what = dice.choice(["job"] * 7 + ["plain", "end", "room"])
        story.append((what, number))
        if what == "plain":
            host.run(host.job(prompt="plain"))
        elif what == "room":
            monkeypatch.setitem(data, RAM_RESERVE, dice.choice([0, 9999]))
        elif what == "end":
            how, at = dice.choice(["interrupt", "skip", "fail"]), dice.randrange(1, 5)
            story.append((how, at))
            with ending(host, monkeypatch, how, at):
                assert failure_of(jobs[number], host) in ("", "failed on purpose")
        else:
            assert jobs[number].run(host) == expected[number], story
