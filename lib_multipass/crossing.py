"""Which checkpoints can follow each other: what a file must be, and what may be handed from one to the next."""

from __future__ import annotations

from lib_multipass.headers import LORA, VAE_ALONE, Facts
from lib_multipass.messages import MultipassError

PIXEL_UPSCALER = "Lanczos"
"""Every webui has it, and it needs no model."""


def require_checkpoint(field: str, name: str, facts: Facts) -> None:
    """Refuse a file that cannot be a checkpoint, before anything is loaded.

    Args:
        field: what the user calls the setting.
        name: the checkpoint's name.
        facts: what its header says; a file whose header says nothing is taken.

    Raises:
        MultipassError: for a broken file, and for a VAE or LoRA among the checkpoints.
    """
    if facts.problem:
        raise MultipassError(f"{field}: {name} cannot be used. {facts.problem}")
    if facts.kind in (VAE_ALONE, LORA):
        raise MultipassError(f"{field}: {name} is no checkpoint but a {facts.kind}; choose a checkpoint.")


def latents_fit(first: Facts, second: Facts) -> bool:
    """Whether a latent picture of ``first`` means the same to ``second``, as far as their headers tell."""
    return None in (first.latent, second.latent) or first.latent == second.latent
