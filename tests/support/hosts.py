"""Kinds of real webui: how each is recognised by what lies in its folder, and what it takes to start it on the CPU."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS = ("--api", "--skip-torch-cuda-test", "--skip-install", "--skip-prepare-environment")
FLAGS += ("--skip-python-version-check", "--disable-console-progressbars")


@dataclass(frozen=True, eq=False)
class Kind:
    """What differs between the webuis as far as a start goes."""

    name: str
    has: tuple[str, ...]
    """Folders that it has and the kinds after it have not."""
    flags: tuple[str, ...]
    on_cpu: tuple[str, ...]
    ready: tuple[str, ...]
    """Regular expressions, all of which its log fits once it can be asked something."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Options besides those of every webui; None for one that is not stored."""

    hires_cfg: bool = False
    """Whether the hires pass has a CFG scale of its own, ``hr_cfg``."""
    denoising: float = 0.7
    """What the page shows at first for the hires pass's denoising strength."""
    latent_upscalers: bool = True
    limits: bool = True
    """Whether a setting says how many checkpoints stay loaded (``sd_checkpoints_limit``)."""
    vaes_are_modules: bool = False
    """Whether a VAE is chosen as a module, with which its checkpoint is built: what has another one is loaded anew."""
    refines_hires_jobs: bool = True
    """Whether a refiner works in a job with a hires pass."""
    makes_files: bool = True
    """Whether it comes with the model code that the tests' files are made with (``support/real_files.py``)."""
    serves_its_folder: bool = True
    """Whether its page gets the webui's own scripts where the data folder lies elsewhere."""
    embeddings: str = "embeddings"
    """Their folder in its data folder."""
    clip_skip_in_tabs: bool = True
    """Whether ADetailer's tabs have a clip skip of their own."""
    adetailer: Mapping[str, Any] = field(default_factory=dict)
    """What a tab says besides, so that the tests' detector finds one face."""

    def fitted(self, body: dict, by_hand: bool) -> dict:
        """A request as it has to be here.

        Args:
            body: as for the others.
            by_hand: whether it goes to a webui without Multipass.
        """
        if self is not NEO:
            return body
        fitted = dict(body)
        if fitted.get("hr_upscaler") in ("Latent", "Lanczos"):
            fitted["hr_upscaler"] = "None"  # the one that is always there, which resizes as Lanczos
        if fitted.get("hr_cfg") == 0:
            fitted["hr_cfg"] = fitted.get("cfg_scale", 7)
        if fitted.get("enable_hr") and (by_hand or not _is_ticked(body)):
            fitted.setdefault("hr_additional_modules", ["Use same choices"])
        return fitted

    def is_ready(self, log: str) -> bool:
        """Whether it is up."""
        return all(re.search(line, log) for line in self.ready)


_OF_A1111 = (*FLAGS, "--no-download-sd-model", "--do-not-download-clip")
_CPU_OF_A1111 = ("--use-cpu", "all", "--no-half")
_STARTED = "Startup time"
REFORGE = Kind(
    "reForge",
    has=("ldm_patched", "modules_forge"),
    flags=_OF_A1111,
    on_cpu=("--always-cpu", *_CPU_OF_A1111),
    ready=(_STARTED, r"(?m)^Model .+ loaded in "),
    hires_cfg=True,
)
A1111 = Kind("A1111", has=("modules",), flags=_OF_A1111, on_cpu=_CPU_OF_A1111, ready=(_STARTED, r"Model loaded in "))
NEO = Kind(
    "Forge Neo",
    has=("backend", "modules_forge"),
    flags=(*FLAGS, "--use-pytorch-cross-attention"),
    on_cpu=("--cpu",),
    ready=(_STARTED,),  # it loads its first model for the first job
    config={
        "VERSION_UID": "PY313",  # else it waits for a key
        "forge_unet_storage_dtype": "Automatic",  # overrides of what is not stored stay for good
        "forge_additional_modules": [],
        "sd_noise_schedule": "Default",
        "tiling": False,
        "ad_match_inpaint_bbox_size": "Off",  # else each face is painted in about 1024 x 1024
    },
    hires_cfg=True,
    denoising=0.6,
    latent_upscalers=False,
    limits=False,
    vaes_are_modules=True,
    refines_hires_jobs=False,
    makes_files=False,
    serves_its_folder=False,
    embeddings="models/embeddings",
    clip_skip_in_tabs=False,
    # It looks at pictures of 640 pixels, where this detector finds hundreds of faces, 3 pixels wide in ours. Without
    # the dilation nothing of one would be left in a mask of latents, and nothing be painted.
    adetailer={"ad_mask_k": 1, "ad_dilate_erode": 64},
)
KINDS = (REFORGE, NEO, A1111)
"""In the order in which they are asked."""


def _is_ticked(body: dict) -> bool:
    """Whether a request wants Multipass."""
    scripts = {name.lower(): part for name, part in (body.get("alwayson_scripts") or {}).items()}
    args = scripts.get("multipass", {}).get("args")
    first = args[0] if isinstance(args, list) and args else args
    return first.get("enabled", True) if isinstance(first, dict) else first is not None and first not in ([], False)


def kind_of(root: Path) -> Kind:
    """The kind of webui that a folder holds.

    Raises:
        ValueError: for a folder with none that is known.
    """
    for kind in KINDS:
        if all((root / folder).is_dir() for folder in kind.has):
            return kind
    raise ValueError(f"{root} holds none of the webuis that the tests can start ({', '.join(k.name for k in KINDS)})")


def one_each(variable: str, count: int) -> list[str]:
    """The values of a variable of the environment, one for each webui: it holds one for all, or as many as there are.

    Raises:
        ValueError: for another number of values.
    """
    values = os.environ.get(variable, "").split(os.pathsep)
    if len(values) not in (1, count):
        raise ValueError(f"{variable} holds {len(values)} values; give one, or one for each of the {count} webuis")
    return values * count if len(values) == 1 else values
