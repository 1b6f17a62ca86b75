"""Names to checkpoints: who makes which pass of a job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from lib_multipass import __version__
from lib_multipass.plan import args as fields
from lib_multipass.plan.args import PassArgs
from lib_multipass.plan.names import Checkpoint, resolve
from lib_multipass.plan.pasting import VERSION_KEY
from lib_multipass.plan.second_pass import SecondPass, second_pass


@dataclass(frozen=True)
class Roles:
    """The checkpoints of a job; equal files are the same checkpoint."""

    base: Checkpoint
    """Makes the first pass."""
    second: Checkpoint
    """Makes the hires pass."""
    faces: Checkpoint | None
    """Makes ADetailer's passes; None leaves ADetailer as it is set."""
    own: SecondPass = field(default_factory=SecondPass)
    """What the hires pass has of its own besides the checkpoint."""
    args: PassArgs = field(default_factory=PassArgs, compare=False)
    """What was asked for."""

    @property
    def swaps(self) -> bool:
        """Whether the two passes have different checkpoints."""
        return self.base.filename != self.second.filename

    @property
    def infotext(self) -> dict[str, Any]:
        """Keys for the picture's infotext that neither the webui nor ADetailer writes; defaults are left out.

        A checkpoint's title has its hash from when the webui first loads the file; until then it is the name alone.
        """
        if not self.swaps and self.own == SecondPass():
            return {}
        values = {**asdict(self.args), "checkpoint": self.second.title, "vae": self.own.choice}
        if self.faces is not None and self.args.adetailer not in fields.ADETAILER_MODES:
            values["adetailer"] = self.faces.title
        keys = {name: entry.metadata["infotext"] for name, entry in fields.FIELDS.items()}
        found = {keys[name]: value for name, value in values.items() if keys[name] and value != fields.default(name)}
        return found | {VERSION_KEY: __version__}


def roles_of(
    args: PassArgs,
    base: Checkpoint,
    known: Iterable[Checkpoint],
    vaes: Iterable[str] = (),
    modules: Iterable[str] | None = None,
) -> Roles:
    """Resolve the names of a job.

    Args:
        args: the user's settings; ``enabled`` is not looked at.
        base: the checkpoint of the first pass.
        known: the webui's checkpoints.
        vaes: the names of the webui's VAE files.
        modules: the names of its VAE and text encoder files, where they are modules.

    Raises:
        MultipassError: when a name means no checkpoint or VAE, or several.
    """
    known = list(known)
    second = resolve(args.checkpoint, known, fields.label("checkpoint"))
    modes = {fields.SAME_AS_SECOND: second, fields.SAME_AS_FIRST: base, fields.AS_IN_ADETAILER: None}
    if args.adetailer in modes:
        faces = modes[args.adetailer]
    else:
        faces = resolve(args.adetailer, known, fields.label("adetailer"))
    return Roles(base, second, faces, second_pass(args, vaes, modules), args)
