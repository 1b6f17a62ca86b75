"""The webui's VAE files."""

from __future__ import annotations

from modules import sd_vae


def names() -> list[str]:
    """The names of all VAE files that the webui lists."""
    return list(sd_vae.vae_dict)
