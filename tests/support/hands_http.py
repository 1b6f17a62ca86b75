"""What carries out a user's steps on a running webui, through its API."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import time
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from support.client import Rendered
from support.jobs import adetailer, hires, multipass, script_args
from support.pictures import AUTOMATIC, Picture, arguments
from support.webuis import Server

BROKEN_EVICTION = ("1.6.0", "1.7.0", "1.8.0", "miniature-1.6.0")
RELOAD_SELECTS = ("1.6.0", "miniature-1.6.0")
SLOWEST_RELOAD = 120
"""Seconds."""


class Remote:
    """Hands that send requests; see :class:`support.hands.Hands`.

    The ✨ button has no endpoint. What a user changes in the settings is stored at once, by the API as by the page.
    """

    saves, acts_later = True, False
    options: ClassVar[dict[str, Any]] = {
        "sd_model_checkpoint": "alpha.safetensors",
        "sd_vae": AUTOMATIC,
        "sd_checkpoints_limit": 1,
        "sd_checkpoints_keep_in_cpu": True,
        "uni_pc_order": 3,  # X/Y/Z plot stores it if nobody did (1.6.0)
    }
    """What a sequence begins with."""

    def __init__(self, server: Server, originals: Path, series: str = "") -> None:
        """
        Args:
            server: a webui with Multipass.
            originals: a folder with the checkpoints as they were at first, and with their configs.
            series: as in ``Hands``.
        """
        self.server, self.client, self.originals, self.series = server, server.client, originals, series
        self.folder = server.data / "models" / "Stable-diffusion"
        self.narrow = server.webui.name in BROKEN_EVICTION
        self.reload_selects = server.webui.name in RELOAD_SELECTS

    # Jobs

    def render(self, picture: Picture, overrides: dict[str, Any], second: str, keep: str) -> list[str]:
        body = self._body(picture) | {"override_settings": overrides}
        scripts = adetailer(self.server) if picture.faces else {}
        if second:
            scripts |= multipass(*arguments(picture, second, keep))
        end = picture.end and {"action": picture.end[0], "step": 1, "nth": picture.end[1]}
        self.client.post("/probe/arm", end or {})
        try:
            return pixels(self._send(picture.kind, {**body, "alwayson_scripts": scripts}))
        finally:
            self.client.post("/probe/arm", {})

    def _body(self, picture: Picture) -> dict[str, Any]:
        body = {"steps": 3, "n_iter": picture.count}
        return body | (hires(picture.upscaler, hr_second_pass_steps=2) if picture.hires else {})

    def _send(self, kind: str, body: dict[str, Any]) -> Rendered:
        return self.client.img2img(given_picture(), **body) if kind == "img2img" else self.client.txt2img(**body)

    def plot(self, pictures: list[Picture], bases: list[str], seconds: list[str], keep: str) -> list[list[str]]:
        axes = {"y_type": "[Multipass] Second-pass checkpoint", "y_values": ", ".join(seconds)}
        # Without a choice the first axis is that of seeds.
        axes |= {"x_type": "Checkpoint name" if bases else "Nothing", "x_values": ", ".join(bases)}
        fixed = {"include_sub_images": True, "draw_legend": False, "use_text_inputs_instead_of_dropdowns": True}
        scripts = multipass(*arguments(pictures[0], seconds[0], keep))
        body = {**self._body(pictures[0]), **script_args(self.server, "X/Y/Z plot", **axes, **fixed)}
        cells = pixels(self._send("txt2img", {**body, "alwayson_scripts": scripts}))[-len(pictures) :]
        across = len(bases or [None])
        # The grid's rows are the second checkpoints.
        return [[cells[y * across + x]] for x in range(across) for y in range(len(seconds))]

    # Settings

    def choose(self, path: Path) -> bool:
        title = self.seen()["files"][str(path)]
        changed = self.seen()["options"]["sd_model_checkpoint"] != title
        self.set("sd_model_checkpoint", title)
        return changed

    def set(self, name: str, value: Any) -> None:
        self.client.post("/sdapi/v1/options", {name: value})

    @staticmethod
    def plainest(picture: Picture) -> Picture:
        """See :meth:`support.pictures.Picture.plainest`."""
        return picture.plainest()

    def vae_setting(self, name: str) -> tuple[str, Any]:
        return "sd_vae", name

    def save(self) -> None:
        self.client.post("/sdapi/v1/options", {})

    def config(self) -> bytes:
        return self.server.config

    # The rest of the page

    def reload_ui(self) -> None:
        starts = self.server.log.count("Startup time")
        self.client.post("/probe/reload_ui")
        until = time.monotonic() + SLOWEST_RELOAD
        while self.server.log.count("Startup time") == starts:
            assert time.monotonic() < until, "the page did not come back"
            time.sleep(0.05)

    def unload_and_reload(self) -> None:
        self.client.post("/sdapi/v1/unload-checkpoint")
        self.client.post("/sdapi/v1/reload-checkpoint")

    def release(self) -> None:
        self.client.post("/multipass/v1/release")

    # Files

    def add(self, content: str, path: Path) -> None:
        path.hardlink_to(self.originals / f"{content}.safetensors")
        if (config := self.originals / f"{content}.yaml").exists():
            shutil.copy(config, path.with_suffix(".yaml"))

    def rename(self, path: Path, new: Path) -> None:
        path.rename(new)
        if (config := path.with_suffix(".yaml")).exists():
            config.rename(new.with_suffix(".yaml"))

    def remove(self, path: Path) -> None:
        path.unlink()
        path.with_suffix(".yaml").unlink(missing_ok=True)

    def refresh(self) -> bool:
        self.client.post("/sdapi/v1/refresh-checkpoints")
        return self.seen()["selected is known"]

    # What there is

    def loaded(self) -> int:
        return len(self.seen()["loaded"])

    def seen(self) -> dict[str, Any]:
        """All that the probe sees, see :mod:`multipass_whole`."""
        return self.client.get("/probe/seen")

    def holding(self) -> bool:
        """Whether Multipass keeps checkpoints."""
        return self.client.get("/multipass/v1/state")["keeping"]

    def begin(self, **options: Any) -> None:
        """Let nothing be as an earlier step left it, but for the files.

        Args:
            options: settings that differ from the usual ones.
        """
        self.client.txt2img(steps=1)  # a job without Multipass, after which it keeps nothing
        self.client.post("/probe/begin", options)


def pixels(rendered: Rendered) -> list[str]:
    """Of all pictures of a job, each as a hash."""
    return [hashlib.sha256(picture.tobytes()).hexdigest() for picture in rendered.pictures]


def given_picture() -> str:
    """What img2img begins with."""
    data = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((64, 64)).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()
