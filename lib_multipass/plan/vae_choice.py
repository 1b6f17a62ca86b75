"""Which VAE a pass has: the user's choice for the second pass, and what the webui's own settings say besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from lib_multipass.memory.headers import Facts
from lib_multipass.plan.args import AUTOMATIC_VAE, NO_VAE, SAME_VAE, VAE_MODES, label, short
from lib_multipass.plan.crossing import channels_of, latents_fit, require_decoder, require_vae
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.roles import Roles
from lib_multipass.words import MultipassError

SETTING = "sd_vae"
_NO_FILE = (AUTOMATIC_VAE, "auto", NO_VAE)
"""Values of the setting *SD VAE* that name no file (1.6.0 to 1.10.1)."""


@dataclass(frozen=True)
class VaeSettings:
    """What this webui says about VAEs in one job."""

    setting: Any = AUTOMATIC_VAE
    """The *SD VAE* of the job: its override, else what is set."""
    override: Any = None
    """The override alone."""
    path: str | None = None
    """``--vae-path``, which takes the place of every name."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The VAE files by name."""
    automatic: Mapping[str, str | None] = field(default_factory=dict)
    """By checkpoint file, what ``Automatic`` means for it; None is its own."""
    over_own: bool = False
    """The webui's setting that *SD VAE* wins over what is noted for a checkpoint."""
    facts: Facts | None = None
    """What the header of the chosen second-pass VAE says; None if no file is chosen."""
    are_modules: bool = False
    """Whether they are modules, as in Forge Neo; an override can name a file there and nothing else."""
    module: str | None = None
    """The one among the first pass's modules, where the hires pass has the same."""
    module_facts: Facts | None = None
    """What its header says."""

    def require_text(self) -> str:
        """The job's *SD VAE*.

        Raises:
            MultipassError: for a list or an object, over which the webui would fail when it looks for the file.
        """
        if isinstance(self.setting, list | dict):
            raise MultipassError(
                f"override_settings.{SETTING}: {short(self.setting)} is not allowed here; it has to be a text."
            )
        return self.setting

    def file_for(self, name: str, checkpoint_file: str) -> str | None:
        """The file that a choice means for a checkpoint of the job; None is the VAE in the checkpoint itself."""
        if name == AUTOMATIC_VAE:
            return self.automatic.get(checkpoint_file)
        return None if name == NO_VAE else self.files[name]

    def is_foreign(self, base: Facts, other: Facts) -> bool:
        """Whether the job would force a VAE of another latent space on ``other``.

        No header tells a VAE of SD 1.x from one of SDXL. So a file that is fixed for all checkpoints counts as one of
        the first pass's kind: with a wrong one, the pictures of the selected checkpoint would be noise already. Of a
        module the channels count too, which its header tells where the first pass's architecture is unknown.
        """
        fixed = self.path is not None or self.module is not None or self.require_text() in self.files
        return fixed and (not latents_fit(base, other) or (base != other and self._has_other_channels(other)))

    def _has_other_channels(self, other: Facts) -> bool:
        known = {None if self.module_facts is None else self.module_facts.latent_channels, channels_of(other)}
        return len(known - {None}) > 1

    @property
    def fixed_name(self) -> str:
        """The file that is fixed for all checkpoints of the job, if :meth:`is_foreign` says that one is."""
        return PurePath(self.path or self.module or self.require_text()).name

    def given(self, name: str, checkpoint_file: str) -> str | None:
        """The VAE file that the job puts on a checkpoint; None if it uses the checkpoint's own.

        Args:
            name: what is chosen for it; ``SAME_VAE`` leaves it to the webui's settings.
            checkpoint_file: the checkpoint's file.
        """
        if name != SAME_VAE:
            return self.file_for(name, checkpoint_file)
        setting, own = self.require_text(), self.file_for(AUTOMATIC_VAE, checkpoint_file)
        if self.path:
            return self.path
        if self.over_own and setting != AUTOMATIC_VAE:
            own = None
        return own or self.files.get(setting)

    def is_absent(self, vae: Any) -> bool:
        """Whether this names a VAE file that is not there, and counts."""
        named = isinstance(vae, str) and vae not in _NO_FILE
        return named and self.path is None and vae not in self.files

    def name_for_override(self, name: str, checkpoint_file: str) -> str | None:
        """What an override of the setting has to say for this choice in ADetailer; None if there is nothing to say.

        ADetailer takes "None" for no choice at all.
        """
        if self.are_modules:
            return name if name in self.files else None
        if name == NO_VAE:
            return AUTOMATIC_VAE if self.file_for(AUTOMATIC_VAE, checkpoint_file) is None else None
        return None if name == SAME_VAE else name


def require(vaes: VaeSettings, name: str, second: Checkpoint, facts: Facts) -> None:
    """Refuse a second-pass VAE that cannot be used with this checkpoint.

    Raises:
        MultipassError: see :func:`lib_multipass.plan.crossing.require_vae`, and ``require_decoder`` there.
    """
    if name in VAE_MODES:
        return
    require_vae(label("vae"), name, vaes.facts, second.name, facts)
    if vaes.are_modules:
        require_decoder(label("vae"), name, vaes.facts, second.name, facts)


def is_apart(vaes: VaeSettings, roles: Roles, facts: Mapping[str, Facts]) -> bool:
    """Whether the first pass's VAE is not put on the second checkpoint, which has another latent space."""
    base, second = facts[roles.base.filename], facts[roles.second.filename]
    return roles.own.vae == SAME_VAE and vaes.is_foreign(base, second)


def second_pass_vae(vaes: VaeSettings, roles: Roles, facts: Mapping[str, Facts]) -> str:
    """The VAE of the hires pass: a file's name or a text of ``VAE_MODES``.

    Args:
        vaes: the webui's settings.
        roles: the job's checkpoints.
        facts: of each, by file name.
    """
    return AUTOMATIC_VAE if is_apart(vaes, roles, facts) else roles.own.vae
