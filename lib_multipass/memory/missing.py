"""Whole parts of a checkpoint that its file may lack, and which other checkpoint can lend them.

The webui loads a file over the model that is there, so that a part without tensors in the file stays as it was. A model
that it builds for the file has zeros there instead (``LoadStateDictOnMeta``, 1.6.0 to 1.10.1): without a VAE every
picture is flat grey.

Single tensors are missing from good files too; only what is absent as a whole counts here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lib_multipass.memory.architectures import REFINER, SD1, SD2, SD3, SDXL, UNKNOWN

if TYPE_CHECKING:
    from lib_multipass.memory.headers import Facts

_VAE = "first_stage_model."
_IN_VAE = tuple(f"{_VAE}{part}." for part in ("encoder", "decoder", "quant_conv", "post_quant_conv"))
_TEXT, _FIRST_TEXT, _SECOND_TEXT = "cond_stage_model.", "conditioner.embedders.0.", "conditioner.embedders.1."
_NEEDED = {
    SD1: (*_IN_VAE, _TEXT),
    SD2: (*_IN_VAE, _TEXT),
    SDXL: (*_IN_VAE, _FIRST_TEXT, _SECOND_TEXT),
    REFINER: (*_IN_VAE, _FIRST_TEXT),
    SD3: (_VAE,),  # its text encoders have files of their own
    UNKNOWN: (_VAE, _TEXT),
}
"""How the names of a part's tensors begin, in a file that the webui can load."""
DIFFUSION_MODEL = "model.diffusion_model."
_WRAPPER = ".wrapped."
"""What the webui puts into the names below its own wrappers of text encoders (``modules/sd_hijack.py``)."""


def needed(architecture: str) -> tuple[str, ...]:
    """The parts of a checkpoint besides its diffusion model; empty for those that this webui cannot load."""
    return _NEEDED.get(architecture, ())


def lacking(names: Iterable[str], architecture: str) -> tuple[str, ...]:
    """The parts that are absent as a whole, each as the beginning of its tensors' names.

    Without a diffusion model under the name that the webui reads, that alone is said: no other part helps then.

    Args:
        names: of all tensors in a file or a state dict.
        architecture: what it is a checkpoint of.
    """
    missing, diffusion = set(needed(architecture)), False
    for name in names:
        if name.startswith(DIFFUSION_MODEL):
            diffusion = True
        elif missing:
            missing -= {part for part in missing if name.startswith(part)}
            # SD 2.1 Turbo's text encoder has SDXL's name; the webui renames it on loading.
            if architecture == SD2 and name.startswith(_FIRST_TEXT):
                missing.discard(_TEXT)
    if diffusion:
        return tuple(part for part in needed(architecture) if part in missing)
    # What is of no known kind may be no checkpoint at all, unless it has some of a checkpoint's parts.
    claims = architecture != UNKNOWN or missing != set(needed(UNKNOWN))
    return (DIFFUSION_MODEL,) if claims and needed(architecture) else ()


def is_vae(part: str) -> bool:
    """Whether it belongs to the VAE."""
    return part.startswith(_VAE)


def is_diffusion(part: str) -> bool:
    """Whether it is the diffusion model, which nobody can lend."""
    return part == DIFFUSION_MODEL


def plain(name: str) -> str:
    """The name that a tensor of a loaded model has in a file."""
    return name.replace(_WRAPPER, ".")


def word(part: str) -> str:
    """The part as people call it: ``VAE``, ``text encoder`` or ``diffusion model``."""
    return "VAE" if is_vae(part) else "diffusion model" if is_diffusion(part) else "text encoder"


def can_lend(part: str, lender: Facts, borrower: Facts) -> bool:
    """Whether this part of one checkpoint means the same in another.

    A VAE does within one latent space, a text encoder within one architecture; where the architecture is not known,
    between diffusion models that are built alike.
    """
    if is_diffusion(part):
        return False
    if borrower.architecture == UNKNOWN:
        return lender.layout == borrower.layout
    return lender.latent == borrower.latent if is_vae(part) else lender.architecture == borrower.architecture


def file_has(path: str, part: str, facts: Facts) -> bool:
    """Whether a part can be taken from a checkpoint's file: pickles are never opened for that."""
    return path.endswith(".safetensors") and not facts.problem and part not in facts.lacks
