"""From a job to the decision where its checkpoints are kept: sizes, places and free memory as this webui has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modules import sd_models, shared

from lib_multipass import args as fields
from lib_multipass.checkpoints import Checkpoint
from lib_multipass.host import cache, files, memory
from lib_multipass.host.lora_memory import backup_bytes
from lib_multipass.messages import log
from lib_multipass.placement import DISK, VRAM, Cap, Decision, Memory, Model, decide
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


_measured: dict[str, dict[int, int]] = {}
"""What earlier jobs of this run needed on the device besides the checkpoints: bytes by pixels, by architecture."""
_caps: dict[frozenset[str], Cap] = {}
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
    place = DISK if loaded is None else memory.place_of(loaded)
    name, size = checkpoint.name_for_extra, files.loaded_size(facts)
    return Model(checkpoint.filename, name, size, uses, place, copies, memory.is_split(facts))


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


def decision_for(models: Sequence[Model], free: Memory, wished: str) -> Decision | None:
    """Where the job's checkpoints go; None if the user's own settings decide.

    Args:
        models: the job's checkpoints, as :func:`models_of` gives them.
        free: what is free, as :func:`free_memory` gives it.
        wished: the wish, as :func:`wish` gives it.
    """
    if wished == fields.AS_SET:
        return None
    needed = {model.file for model in models}
    others = [m.sd_checkpoint_info for m in sd_models.model_data.loaded_sd_models]
    return decide(
        models,
        free,
        wished,
        cap=_caps.get(frozenset(needed), Cap()),
        others=models_of([checkpoint for checkpoint in others if checkpoint.filename not in needed], None),
        most_others=max(0, cache.users_own(shared.opts, cache.LIMIT) - len(needed)),
    )


def ran_out(files_in_use: Iterable[str], decision: Decision) -> None:
    """Keep one level less in later jobs with these checkpoints: RAM instead of VRAM, then one fewer each time."""
    key = frozenset(files_in_use)
    if decision.at(VRAM):
        _caps[key], change = Cap(vram=False), "park them in RAM"
    else:
        count = max(0, len(decision.kept) - 1)
        _caps[key], change = Cap(vram=False, count=count), f"keep at most {count} of them loaded"
    names = ", ".join(sorted(decision.names.values()))
    log.warning("memory ran out in a job with %s; later jobs with them %s", names, change)


def learned(second: Checkpoint, pixels: int, needed: int) -> None:
    """Remember what a job needed on the device besides the checkpoints, in bytes."""
    known = _measured.setdefault(files.facts_of(second).architecture, {})
    known[pixels] = max(needed, known.get(pixels, 0))


def forget() -> None:
    """Forget what ran out of memory: the user has made room."""
    _caps.clear()
