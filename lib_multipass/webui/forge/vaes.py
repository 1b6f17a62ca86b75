"""What differs with Forge Neo's VAE files, which are modules there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from modules import sd_vae, shared
from modules_forge import main_entry

from lib_multipass.memory.headers import DIFFUSION_ALONE, UNKNOWN, Facts, remembered
from lib_multipass.plan.names import Checkpoint


def names() -> list[str]:
    """The names of all VAE files that can be chosen: of modules, which those beside the checkpoints are not."""
    modules = module_names()
    return [name for name in files() if name in modules]


def files() -> dict[str, str]:
    """By name, all VAE files: the webui takes text encoders from their folder, too."""
    return {name: file for name, file in sd_vae.vae_dict.items() if not _is_text_encoder(remembered(file))}


def _is_text_encoder(facts: Facts) -> bool:
    """Whether a header is one of a text encoder; the names of some are as those of a diffusion model."""
    strange = facts.kind == UNKNOWN or (facts.kind == DIFFUSION_ALONE and facts.architecture == UNKNOWN)
    return bool(facts.parameters) and strange and facts.latent_channels is None


def module_names() -> list[str]:
    """The names of all VAE and text encoder files; the webui finds no other as a module.

    Its API refreshes the VAE files alone (``/sdapi/v1/refresh-vae``).
    """
    known = main_entry.module_list
    new = {name for name, file in sd_vae.vae_dict.items() if name not in known and _lies_among_vaes(file)} - _looked_for
    if new or not known:
        _looked_for.update(new)
        main_entry.refresh_models()  # as its page does
    return list(known)


_looked_for: set[str] = set()
"""VAE files that were no modules yet; those of a folder that is a link never are."""


def _lies_among_vaes(file: str) -> bool:
    return Path(sd_vae.vae_path) in Path(file).parents


def refresh() -> None:
    """Read the folders again."""
    sd_vae.refresh_vae_list()
    main_entry.refresh_models()


def named(choice: Any) -> Any:
    """What an override says for a VAE, which is a path here, as a name."""
    return os.path.basename(choice) if isinstance(choice, str) else choice  # noqa: PTH119


def modules(p: Any) -> list[str]:
    """The names of the modules of the job's first pass."""
    chosen = (p.override_settings or {}).get("forge_additional_modules", shared.opts.forge_additional_modules)
    return [os.path.basename(one) for one in chosen or () if isinstance(one, str)]  # noqa: PTH119


def automatic(checkpoint_file: str) -> str | None:
    """The VAE in the checkpoint itself; none is looked for beside it."""
    return None


def takes_another(checkpoint: Checkpoint, model: Any) -> bool:
    """A module takes the place of the checkpoint's own VAE, which is not kept beside it."""
    return False
