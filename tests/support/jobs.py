"""Parts of requests that the scenarios put together."""

from __future__ import annotations

import pytest

from support.client import Client, Rendered
from support.webuis import Server, Webui

A, B, C = "alpha", "beta", "gamma"
"""The checkpoints of every webui under test; A is the selected one."""


def hires(upscaler="Latent", **more):
    return {
        "enable_hr": True,
        "hr_scale": 2,
        "hr_upscaler": upscaler,
        "hr_second_pass_steps": 3,
        "denoising_strength": 0.6,
        "hr_cfg": 0,  # as in the first pass, where the webui has this field; others do not look at it
        **more,
    }


def cfg_by_hand(server: Server, cfg_scale=0, **_own):
    """What a request has to say where the webui has a field for the hires pass's CFG scale."""
    return {"hr_cfg": cfg_scale} if server.webui.kind.hires_cfg else {}


def vae_override(server: Server, name: str = "other.safetensors") -> dict[str, str]:
    """The override of the VAE: by its name, in Forge Neo by its path."""
    path = server.data / "models" / "VAE" / name
    return {"sd_vae": str(path) if server.webui.kind.vaes_are_modules else name}


def vae_setting(server: Server, name: str) -> dict[str, str | list[str]]:
    """The override of the setting that chooses the VAE, which in Forge Neo is a module of every checkpoint."""
    if not server.webui.kind.vaes_are_modules:
        return {"sd_vae": name}
    path = server.data / "models" / "VAE" / name
    return {"forge_additional_modules": [] if name == "Automatic" else [str(path)]}


def multipass(*args):
    return {"Multipass": {"args": list(args)}}


def adetailer(server: Server, *checkpoints, **more):
    """A tab for each checkpoint; without any, one without a checkpoint of its own."""
    model = "always.pt" if server.webui.real else "face_yolov8n.pt"
    tab = {"ad_model": model, **more}
    if server.webui.real:
        tab |= {"ad_inpaint_width": 64, "ad_inpaint_height": 64, **server.webui.kind.adetailer}
    tabs = [tab | ({"ad_use_checkpoint": True, "ad_checkpoint": one} if one else {}) for one in checkpoints or [None]]
    return {"ADetailer": {"args": [True, False, *tabs]}}


def script_args(server, title: str, **values) -> dict:
    """A request's script part: the script's defaults, with values by label (blanks as underscores)."""
    controls = server.client.get(f"/probe/script?title={title}")
    args = [control["value"] for control in controls]
    for label, value in values.items():
        place = next(n for n, c in enumerate(controls) if (c["label"] or "").lower().replace(" ", "_") == label)
        choices = controls[place]["choices"]
        args[place] = choices.index(value) if value in choices else value
    return {"script_name": title, "script_args": args}


def need_adetailer(pair):
    if not pair.ours.webui.adetailer:
        pytest.skip("this webui has no ADetailer; put it into its extensions folder or name it in MULTIPASS_ADETAILER")


def need_limits(webui: Webui) -> None:
    if not webui.kind.limits:
        pytest.skip("this webui has no setting for how many checkpoints stay loaded (sd_checkpoints_limit)")


def limit(server: Server, number: int) -> int | None:
    """What the probe says of that setting where it reads as this number; None without one."""
    return number if server.webui.kind.limits else None


def need_clip_skip_in_tabs(webui: Webui) -> None:
    if not webui.kind.clip_skip_in_tabs:
        pytest.skip("this webui's ADetailer has no clip skip of its own")


def warm(server: Server, **body) -> Rendered:
    """A picture made when every model exists: building one shifts the VAE's noise a little."""
    if not server.client.afresh:
        server.client.txt2img(**body)
        server.client.probe()
    return server.client.txt2img(**body)


def without(infotext: str, *keys: str) -> list[str]:
    """The infotext's entries but for those keys and the hashes, which the first picture of a file does not have."""
    entries = [entry.split(" [")[0] for entry in infotext.replace("\n", ", ").split(", ")]
    return sorted(entry for entry in entries if not entry.startswith(keys))


def differences(before: dict, after: dict) -> dict:
    """The entries that are not equal, with both values."""
    keys = {*before, *after}
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def replayed(client: Client, infotext: str) -> Rendered:
    """A job that is made of nothing but the infotext."""
    prompt, negative, entries = infotext.split("\n")
    known = dict(entry.split(": ", 1) for entry in entries.split(", "))
    width, height = known["Size"].split("x")
    job = {"seed": int(known["Seed"]), "steps": int(known["Steps"]), "sampler_name": known["Sampler"]}
    return client.txt2img(
        **job,
        prompt=prompt,
        negative_prompt=negative.removeprefix("Negative prompt: "),
        cfg_scale=float(known["CFG scale"]),
        width=int(width),
        height=int(height),
        override_settings={"sd_model_checkpoint": known["Model"]},
    )
