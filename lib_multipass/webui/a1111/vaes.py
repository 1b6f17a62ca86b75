"""The webui's VAE files, and which of them the webui would choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules import sd_vae, shared

from lib_multipass.plan.args import AUTOMATIC_VAE, NO_VAE
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.second_pass import resolve_vae
from lib_multipass.webui.base import host
from lib_multipass.words import MultipassError


def names() -> list[str]:
    """The names of all VAE files that the webui lists."""
    return list(host.vaes.files())


def files() -> Mapping[str, str]:
    """By name, these files."""
    return sd_vae.vae_dict


def module_names() -> list[str] | None:
    """VAE and text encoder are no modules here."""
    return None


def refresh() -> None:
    """Read the folders again."""
    sd_vae.refresh_vae_list()


def shown(name: str) -> str:
    """The name in a dropdown for any name of a VAE; itself if it means none or several."""
    try:
        return resolve_vae(name, names())
    except MultipassError:
        return name


def named(choice: Any) -> Any:
    """What a setting or an override says for a VAE, as a name."""
    return choice


def modules(p: Any) -> list[str]:
    """VAE and text encoders are no modules here."""
    return []


def automatic(checkpoint_file: str) -> str | None:
    """The file that ``Automatic`` means for a checkpoint; None is the VAE in the checkpoint itself.

    It is the webui's own (``resolve_vae``, 1.6.0 to 1.10.1) but for ``--vae-path``, which is for all checkpoints: what
    the user noted for this one, else a file named like it.
    """
    noted = sd_vae.resolve_vae_from_user_metadata(checkpoint_file)
    return noted.vae if noted.resolved else sd_vae.find_vae_near_checkpoint(checkpoint_file)


def file_for(name: str, checkpoint_file: str) -> str | None:
    """The file that a choice means for a checkpoint; None is the VAE in the checkpoint itself."""
    if name == AUTOMATIC_VAE:
        return host.vaes.automatic(checkpoint_file)
    return None if name == NO_VAE else sd_vae.vae_dict[name]


def takes_another(checkpoint: Checkpoint, model: Any) -> bool:
    """Whether another VAE than its own is in a checkpoint, or will be once the webui has loaded it.

    ``resolve_vae`` of the webui would know better, but writes to the console about a name that it does not know.

    Args:
        checkpoint: the checkpoint.
        model: what was loaded from it; None if nothing is. The webui keeps a copy of its own VAE on it (``load_vae``,
            1.6.0 to 1.10.1).
    """
    if model is not None:
        return getattr(model, "base_vae", None) is not None
    if shared.cmd_opts.vae_path is not None or shared.opts.sd_vae in sd_vae.vae_dict:
        return True
    return shared.opts.sd_vae != NO_VAE and automatic(checkpoint.filename) is not None
