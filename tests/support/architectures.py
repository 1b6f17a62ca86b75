"""Forge Neo with tiny checkpoints of architectures that it alone knows, and what a job says to use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.jobs import hires, multipass
from support.webuis import Server, Webui, made, running

FOLDERS = {
    "--ckpt-dirs": "Stable-diffusion",
    "--vae-dirs": "VAE",
    "--text-encoder-dirs": "text_encoder",
    "--lora-dirs": "Lora",
}
"""Neo's flags for further folders of files, and those that ``neo_files.py`` makes."""
QUICK = {"steps": 2}  # and no scheduler: Neo chooses one of Klein's own for it
ENLARGED = hires("Lanczos", hr_second_pass_steps=2, denoising_strength=0.5)


@dataclass(frozen=True)
class Choice:
    """A checkpoint with the modules that it needs."""

    checkpoint: str
    modules: tuple[str, ...] = ()
    ending: str = ".safetensors"

    @property
    def as_first(self) -> dict[str, Any]:
        """What a request says for the first pass, which may be its only one."""
        modules = [f"{module}.safetensors" for module in self.modules]
        chosen = {"sd_model_checkpoint": f"{self.checkpoint}{self.ending}", "forge_additional_modules": modules}
        return {**QUICK, "override_settings": chosen}

    @property
    def by_hand(self) -> dict[str, Any]:
        """What it says in Neo's own fields for the hires pass."""
        modules = [f"{module}.safetensors" for module in self.modules]
        return {**ENLARGED, "hr_checkpoint_name": f"{self.checkpoint}{self.ending}", "hr_additional_modules": modules}

    @property
    def with_multipass(self) -> dict[str, Any]:
        """The same with Multipass."""
        return {
            **ENLARGED,
            "alwayson_scripts": multipass({"checkpoint": self.checkpoint, "vae": [*self.modules]}),
        }


@contextmanager
def running_with_newer(webui: Webui, data: Path, **more: Any) -> Iterator[Server]:
    """Start a Forge Neo that knows the tiny checkpoints, see ``running``.

    Prompts are encoded for every job: by hand Neo takes those of one job's hires pass for the next one's, and fails
    where they are of another architecture.
    """
    files = _files(webui)
    flags = [part for flag, folder in FOLDERS.items() for part in (flag, str(files / folder))]
    environment = {"PROBE_ARCHITECTURES": str(files / "configs")}
    config = {"persistent_cond_cache": False}
    with running(webui, data, *flags, config=config, environment=environment, **more) as server:
        yield server


def _files(webui: Webui) -> Path:
    maker = Path(__file__).with_name("neo_files.py")
    probe = maker.parent / "probe" / "scripts" / "multipass_probe_architectures.py"
    sources = (maker, probe, maker.with_name("real_files.py"), webui.root / "backend" / "loader.py")
    return made("neo", [webui.python, str(maker), "--webui", str(webui.root)], webui.root, sources)
