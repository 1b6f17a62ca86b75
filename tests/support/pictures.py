"""Jobs by what their pixels depend on, small enough to render thousands of them in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

CONTENTS = ("alpha", "beta", "gamma")
"""The checkpoints that there are; a further file has the content of one of them."""
OTHER, AUTOMATIC, NONE, SAME = "other.safetensors", "Automatic", "None", "Use same VAE"
FACE = {"ad_model": "face_yolov8n.pt"}
SIZE = 16


@dataclass(frozen=True)
class Picture:
    """A job as far as its pixels go: the same job in any webui, at any time, has the same."""

    kind: str
    """``txt2img``, ``img2img`` or ``upscale``, which is the ✨ button."""
    first: str
    """What the checkpoint of the first pass contains: one of :data:`CONTENTS`."""
    vae: str = AUTOMATIC
    second: str | None = None
    """The same of the second pass; None for a job without Multipass."""
    copied: bool = False
    """Whether the second checkpoint is another file with the content of the first."""
    hires: bool = False
    faces: bool = False
    second_vae: str = SAME
    cfg_scale: float = 0
    upscaler: str = "Latent"
    count: int = 1
    end: tuple[str, int] | None = None
    """``interrupt`` or ``skip``, and during which step of sampling."""

    def plainest(self) -> Picture:
        """A picture that must have the same pixels: no checkpoint here has a VAE beside it, so its own is automatic."""
        vae = self.vae if self.vae == OTHER else AUTOMATIC
        return replace(self, vae=vae, second_vae=NONE if self.second_vae == AUTOMATIC else self.second_vae)


def arguments(picture: Picture, second: str, keep: str) -> list[Any]:
    """Multipass's arguments for a picture, in the panel's order.

    Args:
        picture: what is wanted.
        second: the name of a checkpoint with that content.
        keep: where the checkpoints are to be kept, which is not to be seen in the picture.
    """
    return [True, second, "Same as second pass", picture.second_vae, picture.cfg_scale, 0, True, keep, False]


def render(host: Any, picture: Picture, overrides: dict[str, Any], args: list[Any]) -> Any:
    """Run the job.

    Args:
        host: the webui in this process.
        picture: what is wanted.
        overrides: the job's settings, which lead to its first checkpoint and its VAE.
        args: Multipass's arguments; none for a job without it.
    """
    faces = dict(FACE) if picture.faces else None
    fields = {"width": SIZE, "height": SIZE, "override_settings": overrides, "n_iter": picture.count}
    if picture.kind == "img2img":
        p = _img2img(host, faces, fields)
    else:
        p = host.job(*args, faces=faces, enable_hr=picture.hires, hr_upscaler=picture.upscaler, **fields)
    p.seed, p.steps = 5, 2
    if picture.kind == "upscale":
        p.firstpass_image, p.txt2img_upscale = _given_picture(), True
    with ended(host, picture.end):
        return host.run(p)


def _img2img(host: Any, faces: dict[str, Any] | None, fields: dict[str, Any]) -> Any:
    runner = host.scripts.scripts_img2img
    p = host.processing.StableDiffusionProcessingImg2Img(prompt="a cat", init_images=[_given_picture()], **fields)
    values = [0, *(component.value for component in runner.inputs[1:])]
    if faces is not None:
        start = next(s.args_from for s in runner.alwayson_scripts if s.title() == "ADetailer")
        values[start], values[start + 2] = True, faces
    p.scripts, p.script_args = runner, tuple(values)
    return p


def _given_picture() -> Image.Image:
    return Image.linear_gradient("L").convert("RGB").resize((SIZE, SIZE))


@contextmanager
def ended(host: Any, end: tuple[str, int] | None) -> Iterator[None]:
    """Presses a button of the page during a step of sampling, counted over the whole job."""
    from mini.painter import Painter

    original, steps = Painter.predict, 0

    def predict(*args: Any) -> Any:
        nonlocal steps
        steps += 1
        if end is not None and steps == end[1]:
            getattr(host.shared.state, end[0])()
        return original(*args)

    Painter.predict = predict
    try:
        yield
    finally:
        Painter.predict = original


def pixels(processed: Any) -> list[str]:
    """Of all pictures of a job, each as a hash."""
    return [hashlib.sha256(picture.tobytes()).hexdigest() for picture in processed.images]
