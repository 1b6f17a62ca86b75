"""Everything that a decision about a job needs, read once from the webui and handed over as plain values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib_multipass.memory.headers import Facts
from lib_multipass.memory.placement import AUTOMATIC, Lack, Model
from lib_multipass.plan.crossing import PIXEL_UPSCALER
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.vae_choice import VaeSettings


@dataclass(frozen=True)
class Hires:
    """The job's hires pass as it was asked for, and what this webui offers for it."""

    given: Mapping[str, Any] = field(default_factory=dict)
    """The fields of the webui's job by name."""
    page: Mapping[str, Any] = field(default_factory=dict)
    """What the page shows at first, by name of the field; empty without a page."""
    same: Mapping[str, str] = field(default_factory=dict)
    """Fields, and what the page shows for "as in the first pass"."""
    stock: Checkpoint | None = None
    """What the webui's own Hires checkpoint leads to; None if it leads nowhere."""
    latent_upscalers: Collection[str] = ()
    pixel_upscalers: Sequence[str] = ()
    crossing_upscaler: str = ""
    """The setting: what takes the place of a latent upscaler."""
    plain_upscaler: str = PIXEL_UPSCALER
    """The one on pixels that is always there."""
    defaults_to_latent: bool = True
    """Whether a job without an upscaler gets a latent one; Forge Neo has none, and fails."""
    cfg_left_out: Any = None
    """What the webui's own field for the hires pass's CFG scale has where nobody has chosen it."""
    cfg_of_first: float = 0.0
    """What it has for the first pass's."""
    modules: Sequence[str] = ()
    """Where VAE and text encoders are modules, the names of those of the first pass."""
    mask_weight: Any = 1
    """*Inpainting conditioning mask strength* of the job."""
    refined: Any = ""
    """The setting in which pass the refiner takes over."""
    frozen: bool = False
    """Whether the command line forbids what the webui does for a pass on another checkpoint: Forge Neo changes its
    settings for it (``checkpoint_change``)."""


@dataclass(frozen=True)
class Faces:
    """ADetailer in this job."""

    args: Sequence[Any] = ()
    """Its arguments: two bools and a dict for each tab."""
    checkpoints: Sequence[Checkpoint] = ()
    """Of each tab that runs, the one that its own fields lead to; the first pass's where they lead nowhere."""
    known: Collection[str] = ()
    """The fields of the installed ADetailer; empty without one that can have a checkpoint of its own."""
    lost: Collection[str] = ()
    """Names of tabs' checkpoints that lead nowhere."""
    in_job: bool = True
    """Whether its arguments can be replaced; False for a request that is not run."""
    alias: str = ""
    """A name of the planned checkpoint that leads to it in the webui."""
    frozen: bool = False
    """Whether the command line forbids the override by which it changes the checkpoint."""
    can_override: Collection[str] = ()
    """The settings ``sd_vae`` and ``CLIP_stop_at_last_layers``, if an override of them can be taken back."""
    clip_skip: int = 1
    """The first pass's."""


@dataclass(frozen=True)
class Machine:
    """The memory of this computer, and what may be done with it."""

    vram: tuple[int, int] | None = None
    """Free and total bytes of the device; None if it has no memory of its own, or does not tell."""
    ram: int | None = None
    """Bytes that are free; None if that cannot be told."""
    vram_reserve: int = 0
    """Bytes, the user's."""
    ram_reserve: int = 0
    half: bool = True
    """Whether the webui computes in half precision."""
    half_vae: bool = True
    """Whether its VAEs do."""
    setting: str = AUTOMATIC
    """The wish on the Settings page."""
    flag: str = AUTOMATIC
    """The most that the command line allows."""
    limit: int = 1
    """How many checkpoints the user's own settings keep."""
    keeps_in_ram: bool = True
    """Whether they park them in RAM."""
    moves_fast: bool = False
    """Whether what waits in RAM is moved by us: *Fast swaps*."""
    measured: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    """What earlier jobs needed on the device besides the checkpoints: bytes by their estimate, by architecture."""
    lacks: Mapping[frozenset[str], Lack] = field(default_factory=dict)
    """What ran out of memory, by the file names of the checkpoints."""


@dataclass(frozen=True)
class Situation:
    """What stands when a job is decided on. Mappings are by the checkpoints' file names."""

    facts: Mapping[str, Facts]
    """Of each checkpoint in use, and of each that may be asked for a part."""
    vaes: VaeSettings
    machine: Machine = field(default_factory=Machine)
    hires: Hires = field(default_factory=Hires)
    faces: Faces = field(default_factory=Faces)
    refiner: Checkpoint | None = None
    """The refiner that is chosen, though it may be set to take over at the very end."""
    no_refiner: str | None = None
    """A refiner's name that leads nowhere."""
    idle_refiner: Checkpoint | None = None
    """One that is chosen in a webui that uses none together with a hires pass."""
    alias: str = ""
    """A name that the webui resolves to the second pass's very checkpoint."""
    known: Sequence[Checkpoint] = ()
    """The webui's checkpoints."""
    beyond: Collection[str] = ()
    """Architectures that this webui cannot load."""
    models: Mapping[str, Model] = field(default_factory=dict)
    """Each checkpoint in use as the placement sees it, used once."""
    others: Sequence[Model] = ()
    """The other loaded checkpoints, the most recently used first."""
    asks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of checkpoints in use, the parts that they may not hold, each as the beginning of its tensors' names."""
    loaded: Sequence[Checkpoint] = ()
    hollow: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Of loaded checkpoints, the parts that they have nothing in, of those that somebody asks for."""
    recent: Sequence[Checkpoint] = ()
    """Checkpoints that were active in this run, the last one first."""
    not_kept: str = ""
    """What of the webui forbids that passes are kept for later jobs; empty if nothing does."""
    order: str = AUTOMATIC
    """The order of the passes that is wished for."""
    early_scripts: Sequence[str] | None = ()
    """Scripts that may look at the active checkpoint before a first pass is there, by their names."""
    again: Collection[str] = ()
    """Passes that the last job has made from the same, as far as a request tells, and that are kept."""
    is_sent: bool = False
    """Whether other webuis were sent their shares of the job already."""
