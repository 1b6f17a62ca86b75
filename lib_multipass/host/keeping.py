"""From a job to the decision where its checkpoints are kept: sizes, places and free memory as this webui has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modules import devices, sd_models, shared

from lib_multipass import args as fields
from lib_multipass.checkpoints import Checkpoint
from lib_multipass.host import cache, files, memory, parts, vaes
from lib_multipass.host.lora_memory import backup_bytes
from lib_multipass.messages import log
from lib_multipass.placement import DISK, MOST, RAM, VRAM, Cap, Decision, Memory, Model, decide
from lib_multipass.shortage import DEVICE
from lib_multipass.working import reserve

KEEP, VRAM_RESERVE, RAM_RESERVE = "multipass_keep", "multipass_vram_reserve", "multipass_ram_reserve"
"""Settings; the command-line flags have the same names."""
DEFAULTS = {KEEP: fields.AUTOMATIC, VRAM_RESERVE: 0.5, RAM_RESERVE: 2.0}
"""Reserves are in GB of 1000³ bytes."""
FLAGS = {"automatic": fields.AUTOMATIC, "vram": fields.IN_VRAM, "ram": fields.IN_RAM, "webui": fields.AS_SET}
"""The wishes as the flag ``--multipass-keep`` has them."""


@dataclass(frozen=True)
class Work:
    """What a job computes, as far as its memory goes."""

    pixels: int
    """Of the second pass, times the batch size."""
    loras: bool
    """Whether its prompts name LoRAs."""


@dataclass(frozen=True)
class Lack:
    """What earlier jobs with the same checkpoints ran out of."""

    pixels: int | None = None
    """From so many on, nothing may be parked in VRAM; None if the device's memory was enough."""
    count: int = MOST
    """How many may be kept in RAM."""

    def cap(self, pixels: int) -> Cap:
        """What it means for a job of so many pixels."""
        return Cap(vram=self.pixels is None or pixels < self.pixels, count=self.count)


_measured: dict[str, dict[int, int]] = {}
"""What earlier jobs of this run needed on the device besides the checkpoints: bytes by pixels, by architecture."""
_lacks: dict[frozenset[str], Lack] = {}
"""What ran out of memory in this run, by the file names of the checkpoints."""


def wish(chosen: str) -> str:
    """What is wished for: the job's choice, else the setting; the flag is the most that anybody may ask for.

    Args:
        chosen: the job's choice; ``Automatic`` leaves it to the setting.
    """
    setting = getattr(shared.opts, KEEP, fields.AUTOMATIC)
    asked = chosen if chosen != fields.AUTOMATIC else setting
    flag = FLAGS[getattr(shared.cmd_opts, KEEP, None) or "automatic"]
    return max(asked, flag, key=fields.WISHES.index)


def _gigabytes(name: str) -> int:
    flag = getattr(shared.cmd_opts, name, None)
    return int(1e9 * (getattr(shared.opts, name, DEFAULTS[name]) if flag is None else flag))


def models_of(in_use: Sequence[Checkpoint], work: Work | None) -> list[Model]:
    """The checkpoints as the decision sees them, each once, in the order of use.

    Args:
        in_use: who makes each pass, in order.
        work: what the job computes; None for checkpoints that wait for another job.
    """
    turns = [file for n, file in enumerate(_files(in_use)) if n == 0 or file != in_use[n - 1].filename]
    uses, unique = Counter(turns), {checkpoint.filename: checkpoint for checkpoint in in_use}
    return [_model(checkpoint, uses[file], work) for file, checkpoint in unique.items()]


def _files(checkpoints: Iterable[Checkpoint]) -> list[str]:
    return [checkpoint.filename for checkpoint in checkpoints]


def _model(checkpoint: Checkpoint, uses: int, work: Work | None) -> Model:
    facts, loaded = files.facts_of(checkpoint), _loaded_by_file().get(checkpoint.filename)
    copies = files.most_copies(facts) if work is not None and work.loras else 0
    if loaded is not None and copies:
        copies = max(0, copies - backup_bytes(loaded))
    split = memory.is_split(facts) if loaded is None else parts.is_split(loaded)
    foreign = vaes.takes_another(checkpoint, loaded)
    size = files.loaded_size(facts, foreign)
    # The webui copies it where the model lies at that moment: a new one on the device, others in RAM.
    beside = 0 if split or not foreign else size - files.loaded_size(facts)
    place = DISK if loaded is None else memory.place_of(loaded)
    return Model(
        checkpoint.filename,
        checkpoint.name_for_extra,
        size,
        uses,
        place,
        copies,
        split,
        resident=files.resident_size(facts) if split else None,
        beside=beside,
        held=_held(loaded, place, beside),
        reading=files.read_bytes(checkpoint),
        reading_vram=facts.file_bytes if memory.files_go_to_the_device() else 0,
    )


def _held(loaded: Any, place: str, beside: int) -> int:
    """Bytes of a loaded model on the device although it lies in RAM."""
    if place != RAM:
        return 0
    vae = next(iter((getattr(loaded, "base_vae", None) or {}).values()), None)
    on_device = vae is not None and vae.device.type == devices.device.type != "cpu"
    return parts.held_bytes(loaded) + (beside if on_device else 0)


def _loaded_by_file() -> dict[str, object]:
    return {model.sd_checkpoint_info.filename: model for model in sd_models.model_data.loaded_sd_models}


def free_memory(second: Checkpoint, work: Work, wished: str) -> Memory:
    """What is free now, and how much of it the job's pictures and the user's reserves take."""
    device, architecture = memory.vram(), files.facts_of(second).architecture
    measured = _measured.get(architecture, {})
    # Who asks for VRAM says that the pictures fit beside it; what was measured is known better.
    estimated = wished != fields.IN_VRAM or measured
    pictures = reserve(work.pixels, measured, half=not shared.cmd_opts.no_half) if estimated else 0
    return Memory(
        vram=None if device is None else device[0],
        ram=memory.ram_free(),
        vram_reserve=pictures + _gigabytes(VRAM_RESERVE),
        ram_reserve=_gigabytes(RAM_RESERVE),
    )


def decision_for(models: Sequence[Model], free: Memory, wished: str, work: Work) -> Decision | None:
    """Where the job's checkpoints go; None if the user's own settings decide.

    Args:
        models: the job's checkpoints, as :func:`models_of` gives them.
        free: what is free, as :func:`free_memory` gives it.
        wished: the wish, as :func:`wish` gives it.
        work: what the job computes.
    """
    if wished == fields.AS_SET:
        return None
    needed = {model.file for model in models}
    others = [m.sd_checkpoint_info for m in sd_models.model_data.loaded_sd_models]
    return decide(
        models,
        free,
        wished,
        cap=_lacks.get(frozenset(needed), Lack()).cap(work.pixels),
        others=models_of([checkpoint for checkpoint in others if checkpoint.filename not in needed], None),
        most_others=max(0, cache.users_own(shared.opts, cache.LIMIT) - len(needed)),
    )


def ran_out(files_in_use: Iterable[str], decision: Decision, work: Work, lack: str) -> None:
    """Keep less in later jobs with these checkpoints, if that leaves more of the memory that ran out.

    Copies in RAM take nothing from the device. So its lack takes VRAM away from jobs of as many pixels or more, and
    only the computer's own lack lowers how many are kept in RAM, by one each time.

    Args:
        files_in_use: the job's checkpoints.
        decision: where they were kept.
        work: what the job computed.
        lack: whose memory ran out, see :mod:`lib_multipass.shortage`.
    """
    key = frozenset(files_in_use)
    known = _lacks.get(key, Lack())
    if lack == DEVICE and not (decision.at(VRAM) or decision.others):
        change = "nothing was parked there that could make room: smaller pictures or a smaller batch would fit"
    elif lack == DEVICE:
        _lacks[key] = replace(known, pixels=min(work.pixels, known.pixels or work.pixels))
        change = "later jobs with them, and with pictures as large or larger, park them in RAM"
    else:
        count = max(0, len(decision.at(RAM)) - 1)
        _lacks[key] = replace(known, count=count)
        change = f"later jobs with them keep {'none' if not count else f'at most {count}'} of them in RAM"
    log.warning("%s ran out in a job with %s; %s", lack, ", ".join(sorted(decision.names.values())), change)


def learned(second: Checkpoint, pixels: int, needed: int) -> None:
    """Remember what a job needed on the device besides the checkpoints, in bytes."""
    known = _measured.setdefault(files.facts_of(second).architecture, {})
    known[pixels] = max(needed, known.get(pixels, 0))


def forget() -> None:
    """Forget what ran out of memory: the user has made room."""
    _lacks.clear()
