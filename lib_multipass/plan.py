"""What a ticked job will do, decided once from plain values before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lib_multipass import args as fields
from lib_multipass.args import PassArgs
from lib_multipass.checkpoints import Checkpoint, resolve
from lib_multipass.second_pass import SecondPass, second_pass


@dataclass(frozen=True)
class Plan:
    """The checkpoints of a job; equal files are the same checkpoint."""

    base: Checkpoint
    """Makes the first pass."""
    second: Checkpoint
    """Makes the hires pass."""
    faces: Checkpoint | None
    """Makes ADetailer's passes; None leaves ADetailer as it is set."""
    infotext: Mapping[str, Any]
    """Keys for the picture's infotext that neither the webui nor ADetailer writes; defaults are left out."""
    own: SecondPass = field(default_factory=SecondPass)
    """What the hires pass has of its own besides the checkpoint."""

    @property
    def swaps(self) -> bool:
        """Whether the two passes have different checkpoints."""
        return self.base.filename != self.second.filename


def make_plan(args: PassArgs, base: Checkpoint, known: Iterable[Checkpoint], vaes: Iterable[str] = ()) -> Plan:
    """Resolve the names of a job.

    Args:
        args: the user's settings; ``enabled`` is not looked at.
        base: the checkpoint of the first pass.
        known: the webui's checkpoints.
        vaes: the names of the webui's VAE files.

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
    own = second_pass(args, vaes)
    plain = second.filename == base.filename and own == SecondPass()
    infotext = {} if plain else _infotext(args, second, faces, own)
    return Plan(base, second, faces, infotext, own)


def _infotext(args: PassArgs, second: Checkpoint, faces: Checkpoint | None, own: SecondPass) -> dict[str, Any]:
    values = {**asdict(args), "checkpoint": second.title, "vae": own.vae}
    if faces is not None and args.adetailer not in fields.ADETAILER_MODES:
        values["adetailer"] = faces.title
    keys = {name: entry.metadata["infotext"] for name, entry in fields.FIELDS.items()}
    return {keys[name]: value for name, value in values.items() if keys[name] and value != fields.default(name)}


def pasted_values(params: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a picture's infotext asks for, by field name.

    An infotext without our keys was made without Multipass, so it turns Multipass off and the rest back to default:
    a second checkpoint left over from another picture would spoil the replay.
    """
    found = {
        name: _from_text(name, params.get(entry.metadata["infotext"]))
        for name, entry in fields.FIELDS.items()
        if entry.metadata["infotext"]
    }
    return {"enabled": bool(found["checkpoint"]), **found}


def _from_text(name: str, text: Any) -> Any:
    """A field's value from its text in the infotext; what cannot be understood counts as not there."""
    usual = fields.default(name)
    readers = {bool: {"True": True, "False": False}.__getitem__, str: str, int: int, float: float}
    try:
        return usual if text is None else readers[type(usual)](text)
    except (KeyError, ValueError):
        return usual


HIRES_DEFAULTS = {"denoising_strength": 0.7, "hr_scale": 2.0, "hr_upscaler": "Latent"}
"""What the webui's page shows at first (``modules/ui.py``, 1.6.0 to 1.10.1), for a webui that runs without a page."""


def missing_hires_values(job: Mapping[str, Any], page: Mapping[str, Any], switched_on: bool) -> dict[str, Any]:
    """Values that an API request left empty and without which the hires pass fails.

    An empty upscaler means "Latent" to the webui; it is filled only where the request did not ask for a hires pass
    itself, so that such a request goes on giving the same picture.
    """
    wanted = HIRES_DEFAULTS if switched_on else ("denoising_strength", "hr_scale")
    return {name: page.get(name, HIRES_DEFAULTS[name]) for name in wanted if job.get(name) is None}
