"""Random jobs and orders of jobs, the same for the same seed, as plain requests that can be sent again by hand."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from support.client import RefusedError
from support.jobs import A, B, C, adetailer, hires, multipass
from support.webuis import Server

XL, XL2 = "epsilon", "upsilon"
OTHER = "other.safetensors"
ONE_ARCHITECTURE = (A, B, C)
ALL_ARCHITECTURES = (A, B, C, XL, XL2)


@dataclass(frozen=True)
class Job:
    """One txt2img request, and where it is to be ended before its time."""

    body: dict[str, Any]
    end: dict[str, Any] = field(default_factory=dict)
    """What the probe is told: ``action``, and the ``nth`` time of which sampling ``step``."""

    def run(self, server: Server) -> Any:
        """Send it; None if it is refused, as some have to be: a VAE or a refiner that fits nothing."""
        server.client.post("/probe/arm", self.end)
        try:
            return server.client.txt2img(**self.body)
        except RefusedError as refused:
            if refused.status != 422:
                raise
            return None
        finally:
            server.client.post("/probe/arm", {})


def checkpoints_of(server: Server) -> tuple[str, ...]:
    """The checkpoints to choose from: the miniature's have one architecture."""
    return ALL_ARCHITECTURES if server.webui.real else ONE_ARCHITECTURE


def multipass_job(dice: random.Random, server: Server) -> Job:
    """Any Multipass job, sensible or not."""
    names = checkpoints_of(server)
    own = {
        "checkpoint": dice.choice(names),
        "adetailer": dice.choice(("Same as second pass", "Same as first pass", "As set in ADetailer", C)),
        "vae": dice.choice(("Use same VAE", "Use same VAE", "Automatic", "None", OTHER)),
        "cfg_scale": dice.choice((0, 0, 2, 11.5)),
        "clip_skip": dice.choice((0, 0, 1, 3)),
        "adetailer_follows": dice.random() < 0.7,
        "keep": dice.choice(("Automatic", "Automatic", "In RAM", "As the webui is set")),
        "show_first_pass": dice.random() < 0.2,
    }
    scripts = multipass(own)
    if server.webui.adetailer and dice.random() < 0.5:
        scripts |= adetailer(server, dice.choice((None, None, *names)))
    body = {
        **hires(dice.choice(("Latent", "Lanczos", "None")), hr_second_pass_steps=dice.choice((0, 2))),
        "seed": dice.randrange(1000),
        "steps": 3,
        "prompt": _prompt(dice, server),
        "hr_prompt": dice.choice(("", "", "a dog, night")),
        "n_iter": dice.choice((1, 1, 2)),
        "batch_size": dice.choice((1, 1, 2)),
        "override_settings": _overrides(dice, server, names),
        "alwayson_scripts": scripts,
    }
    body["override_settings"]["multipass_stages"] = dice.choice((0, 512))
    return Job(body, _end(dice))


def _prompt(dice: random.Random, server: Server) -> str:
    if not server.webui.real:
        return "a cat, sunny"
    return dice.choice(
        ("a cat, sunny", "a cat, <lora:style-sd1:0.9> sunny", "<lora:style-sdxl:0.7> mood-sd1, mood-sdxl")
    )


def vae_for_a_job(server: Server, name: str) -> dict[str, Any]:
    """The overrides that give a plain job this VAE."""
    if not server.webui.kind.vaes_are_modules:
        return {"sd_vae": name}
    return {"forge_additional_modules": [name] if name == OTHER else []}


def _overrides(dice: random.Random, server: Server, names: tuple[str, ...]) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    if dice.random() < 0.5:
        overrides["sd_model_checkpoint"] = f"{dice.choice(names)}.safetensors"
    if dice.random() < 0.2:
        overrides |= vae_for_a_job(server, dice.choice((OTHER, "None", "Automatic")))
    if dice.random() < 0.2:
        overrides["CLIP_stop_at_last_layers"] = dice.choice((1, 2, 4))
    return overrides


def _end(dice: random.Random) -> dict[str, Any]:
    if dice.random() > 0.25:
        return {}
    return {"action": dice.choice(("interrupt", "skip")), "step": dice.choice((1, 2)), "nth": dice.randrange(1, 5)}
