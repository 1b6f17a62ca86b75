"""The webui's VAE files, and which of them the webui would choose."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from modules import sd_vae, shared

from lib_multipass.args import AUTOMATIC_VAE, NO_VAE, SAME_VAE, VAE_MODES, label, short
from lib_multipass.checkpoints import Checkpoint
from lib_multipass.crossing import latents_fit, require_vae
from lib_multipass.headers import remembered
from lib_multipass.host import files
from lib_multipass.messages import MultipassError
from lib_multipass.plan import Plan
from lib_multipass.second_pass import resolve_vae

SETTING = "sd_vae"


def names() -> list[str]:
    """The names of all VAE files that the webui lists."""
    return list(sd_vae.vae_dict)


def shown(name: str) -> str:
    """The name in a dropdown for any name of a VAE; itself if it means none or several."""
    try:
        return resolve_vae(name, names())
    except MultipassError:
        return name


def setting_of(p: Any) -> str:
    """The *SD VAE* of a job: its override, else what is set.

    Raises:
        MultipassError: for a list or an object, over which the webui would fail when it looks for the file.
    """
    setting = (p.override_settings or {}).get(SETTING, shared.opts.sd_vae)
    if isinstance(setting, list | dict):
        raise MultipassError(f"override_settings.{SETTING}: {short(setting)} is not allowed here; it has to be a text.")
    return setting


def second_pass_vae(p: Any, plan: Plan) -> str:
    """The VAE of the job's hires pass: a file's name or a text of ``VAE_MODES``."""
    if plan.own.vae == SAME_VAE and is_foreign(p, plan.base, plan.second):
        return AUTOMATIC_VAE
    return plan.own.vae


def given(p: Any, plan: Plan, checkpoint: Checkpoint) -> str | None:
    """The VAE file that the job puts on a checkpoint by its settings; None if it uses the checkpoint's own."""
    name = second_pass_vae(p, plan) if checkpoint.filename == plan.second.filename else SAME_VAE
    if name != SAME_VAE:
        return file_for(name, checkpoint.filename)
    if is_foreign(p, plan.base, checkpoint):
        return file_for(AUTOMATIC_VAE, checkpoint.filename)
    setting, own = setting_of(p), file_for(AUTOMATIC_VAE, checkpoint.filename)
    fixed = shared.cmd_opts.vae_path or sd_vae.vae_dict.get(setting)
    if shared.opts.sd_vae_overrides_per_model_preferences and setting != AUTOMATIC_VAE:
        own = None
    return fixed if shared.cmd_opts.vae_path else own or fixed


def is_foreign(p: Any, base: Checkpoint, other: Checkpoint) -> bool:
    """Whether the job would force a VAE of another latent space on ``other``.

    No header tells a VAE of SD 1.x from one of SDXL. A file that is fixed for all checkpoints was fixed for the one
    that is selected, and with a wrong one its pictures would be noise already; so it counts as the first pass's.
    """
    fixed = shared.cmd_opts.vae_path is not None or setting_of(p) in sd_vae.vae_dict
    return fixed and not latents_fit(files.facts_of(base), files.facts_of(other))


def fixed_name(p: Any) -> str:
    """The file that is fixed for all checkpoints of the job, if :func:`is_foreign` says that one is."""
    return PurePath(shared.cmd_opts.vae_path or setting_of(p)).name


def require(name: str, second: Checkpoint) -> None:
    """Refuse a second-pass VAE that cannot be used with this checkpoint.

    Raises:
        MultipassError: see :func:`lib_multipass.crossing.require_vae`.
    """
    if name not in VAE_MODES:
        require_vae(label("vae"), name, remembered(sd_vae.vae_dict[name]), second.name, files.facts_of(second))


def file_for(name: str, checkpoint_file: str) -> str | None:
    """The file that a choice means for a checkpoint; None is the VAE in the checkpoint itself.

    ``Automatic`` is the webui's own (``resolve_vae``, 1.6.0 to 1.10.1) but for ``--vae-path``, which is for all
    checkpoints: what the user noted for this one, else a file named like it.
    """
    if name == AUTOMATIC_VAE:
        noted = sd_vae.resolve_vae_from_user_metadata(checkpoint_file)
        return noted.vae if noted.resolved else sd_vae.find_vae_near_checkpoint(checkpoint_file)
    return None if name == NO_VAE else sd_vae.vae_dict[name]


def name_for_override(name: str, checkpoint_file: str) -> str | None:
    """What an override of the setting has to say for this choice in ADetailer; None if there is nothing to say.

    ADetailer takes "None" for no choice at all.
    """
    if name == NO_VAE:
        return AUTOMATIC_VAE if file_for(AUTOMATIC_VAE, checkpoint_file) is None else None
    return None if name == SAME_VAE else name


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
    return shared.opts.sd_vae != NO_VAE and file_for(AUTOMATIC_VAE, checkpoint.filename) is not None
