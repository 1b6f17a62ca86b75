"""Which checkpoints can follow each other: what a file must be, and what may be handed from one to the next."""

from __future__ import annotations

from collections.abc import Collection

from lib_multipass.memory.headers import CHECKPOINT, DECODER, DIFFUSION_ALONE, LORA, REFINER, VAE_ALONE, Facts
from lib_multipass.words import MultipassError

BASE = "First-pass checkpoint"
"""What messages call the one that is selected in the webui."""
PIXEL_UPSCALER = "Lanczos"
"""Needs no model; WebUI 1.6.0 to 1.10.1 have it."""


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


def require_architecture(field: str, name: str, facts: Facts, beyond: Collection[str]) -> None:
    """Refuse a checkpoint of an architecture that this webui cannot load.

    Args:
        field: what the user calls the setting.
        name: the checkpoint's name.
        facts: what its header says.
        beyond: the architectures that this webui does not know.

    Raises:
        MultipassError: when the checkpoint is one of them.
    """
    if facts.architecture in beyond:
        raise MultipassError(
            f"{field}: the architecture of {name} is {facts.architecture}, which this webui cannot load; "
            "choose another checkpoint."
        )


def require_beginner(field: str, name: str, facts: Facts) -> None:
    """Refuse SDXL's refiner for the first pass: it was trained on the last steps alone and cannot begin a picture.

    The hires pass and ADetailer's passes begin with a picture, so it is taken there, as the webui does.

    Raises:
        MultipassError: when the checkpoint is a refiner.
    """
    if facts.architecture == REFINER:
        raise MultipassError(
            f"{field}: {name} is an {REFINER}, which finishes pictures but cannot begin one; select another checkpoint "
            "for the first pass. As second-pass checkpoint it can be used."
        )


def require_same_latents(refiner: str, refined: str, facts: Facts, before: Facts) -> None:
    """Refuse a refiner that would take over in the middle of a pass whose latent pictures it cannot read.

    Args:
        refiner: its name.
        refined: name of the checkpoint that it takes over from.
        facts: what the refiner's header says.
        before: what the other's header says.

    Raises:
        MultipassError: when their latent spaces are known and differ.
    """
    if not latents_fit(facts, before):
        raise MultipassError(
            f"Refiner: {refiner} is {facts.architecture} and cannot go on with a picture that {refined} "
            f"({before.architecture}) began; switch the refiner off, or choose the pass that it belongs to in "
            "Settings, Hires fix: which pass to enable refiner for."
        )


def replacement(wanted: str, known: Collection[str], plain: str = PIXEL_UPSCALER) -> str:
    """The upscaler between architectures: the one that is set, or the plain one if the webui no longer has it."""
    return wanted if wanted in known else plain


FIRST, SECOND = "first pass", "second pass"
REFINED_PASSES = {FIRST: (FIRST,), SECOND: (SECOND,), "both passes": (FIRST, SECOND)}
"""The passes in which the refiner takes over, by the webui's setting ``hires_fix_refiner_pass``."""


def latents_fit(first: Facts, second: Facts) -> bool:
    """Whether a latent picture of ``first`` means the same to ``second``, as far as their headers tell."""
    return None in (first.latent, second.latent) or first.latent == second.latent


_CHANNELS = {"SD": 4, "SDXL": 4, "SD 3": 16, "Flux": 16, "Flux.2": 32}
"""Channels of a latent picture by latent space."""


def require_vae(field: str, name: str, vae: Facts, checkpoint: str, facts: Facts) -> None:
    """Refuse a VAE file that cannot be one, or not one of this checkpoint, before anything is loaded.

    It cannot tell a VAE of SD 1.x, 2.x and SDXL from one another: they have the same tensors in the same shapes. That
    is left to the user.

    Args:
        field: what the user calls the setting.
        name: the VAE's name.
        vae: what its header says; a file whose header says nothing is taken.
        checkpoint: the checkpoint's name.
        facts: what its header says.

    Raises:
        MultipassError: for a broken file, for a file of another kind, and for other latent channels.
    """
    if vae.problem:
        raise MultipassError(f"{field}: {name} cannot be used. {vae.problem}")
    if vae.kind in (CHECKPOINT, DIFFUSION_ALONE, LORA):
        raise MultipassError(f"{field}: {name} is no VAE but a {vae.kind}; choose a VAE.")
    takes = channels_of(facts)
    if None not in (vae.latent_channels, takes) and vae.latent_channels != takes:
        raise MultipassError(
            f"{field}: {name} has {vae.latent_channels} latent channels and {checkpoint} has {takes}; "
            f"choose a VAE for {facts.architecture}."
        )


def require_decoder(field: str, name: str, vae: Facts, checkpoint: str, facts: Facts) -> None:
    """Refuse a VAE file that Forge Neo would leave out without a word.

    Neo knows a VAE by the first convolution of its decoder (``replace_state_dict``). Other webuis load a file without
    it and say what it lacks. A VAE of an architecture that is not told apart here is let through, since it may have
    that tensor under another name.

    Raises:
        MultipassError: for a VAE without one.
    """
    if vae.kind == VAE_ALONE and vae.latent_channels is None and channels_of(facts) is not None:
        raise MultipassError(
            f"{field}: {name} could not be put on {checkpoint}, since it lacks {DECODER}; choose another VAE."
        )


def channels_of(facts: Facts) -> int | None:
    """Channels of the latent pictures of a checkpoint, if they are known."""
    return facts.latent_channels or _CHANNELS.get(facts.latent)
