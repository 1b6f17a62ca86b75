"""The settings of Forge Neo: an override of the VAE is none."""

from __future__ import annotations

from lib_multipass.plan.vae_choice import SETTING
from lib_multipass.webui.a1111 import options


def can_override(name: str) -> bool:
    """Whether an override of this setting can be taken back.

    One of ``sd_vae`` never gets to the settings: the webui puts the file over the active model's VAE, and takes it off
    at the end of the job (``process_images``).
    """
    return name == SETTING or options.can_override(name)
