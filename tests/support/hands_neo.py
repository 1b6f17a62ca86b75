"""What carries out a user's steps on a running Forge Neo, through its API."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from support.hands_http import Remote
from support.pictures import AUTOMATIC, OTHER, SAME, Picture


class RemoteNeo(Remote):
    """Hands for a webui that loads what is selected with the next job, and whose VAEs are modules of a checkpoint."""

    acts_later = True
    options: ClassVar[dict[str, Any]] = {"sd_model_checkpoint": "alpha.safetensors", "forge_additional_modules": []}

    @staticmethod
    def plainest(picture: Picture) -> Picture:
        """*Automatic* is whatever the webui would take by itself for the second pass: what the first one has."""
        automatic = picture.second_vae == AUTOMATIC
        return (replace(picture, second_vae=SAME) if automatic else picture).plainest()

    def vae_setting(self, name: str) -> tuple[str, Any]:
        file = self.server.data / "models" / "VAE" / OTHER
        return "forge_additional_modules", [str(file)] if name == OTHER else []

    def choose(self, path: Path) -> bool:
        super().choose(path)
        return False

    def unload_and_reload(self) -> None:
        self.client.post("/sdapi/v1/unload-checkpoint")  # it has no endpoint for the other half

    def refresh(self) -> bool:
        """It takes any file instead of one that is gone; a user chooses one."""
        if is_known := super().refresh():
            return is_known
        self.choose(min(map(Path, self.seen()["files"]), key=lambda path: str(path).lower()))
        return False
