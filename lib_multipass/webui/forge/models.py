"""Which models stay loaded in Forge Neo, which itself keeps one and decides alone what of it lies on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modules import sd_models, shared
from modules_forge import main_entry

from lib_multipass.memory.placement import Decision
from lib_multipass.plan.names import Checkpoint
from lib_multipass.state import kept, running
from lib_multipass.webui.forge import engines, pass_vae, remains
from lib_multipass.words import log

_SAME_MODULES = "Use same choices"


def users_limit() -> int:
    """How many checkpoints the user's own settings keep: the webui has none for it."""
    return 1


def users_park_in_ram() -> bool:
    """Whether they park them in RAM."""
    return True


def with_place() -> set[str]:
    """File names of the models that are to stay."""
    return set() if kept.decision is None else {*kept.decision.kept, *kept.decision.others}


def keep(decision: Decision, first: Checkpoint) -> None:
    """Keep the job's checkpoints as decided, and let go of what is in their way.

    Args:
        decision: where each goes.
        first: the one that the job needs first.
    """
    kept.decision = decision
    active = engines.active()
    if active is not None and active.file not in with_place():
        _activate(first)
    _drop_all_but(with_place())
    for file in {engine.file for engine in kept.engines}:
        engines.drop(_other_sets(file))


def let_go(first: Checkpoint | None) -> None:
    """Go back to the one model that the webui keeps.

    Args:
        first: the checkpoint that the webui needs next, which stays if it is loaded.
    """
    if kept.decision is None:
        return
    try:
        _activate(first)
    finally:
        kept.decision = None
        _drop_all_but(())


def _drop_all_but(files: Any) -> None:
    active = engines.active()
    beyond = [engine for engine in kept.engines if engine is not active and engine.file not in files]
    if beyond:
        log.info("let go of %s", ", ".join(engine.model.sd_checkpoint_info.name_for_extra for engine in beyond))
    engines.drop(beyond)


def drop_without_place(*, active_too: bool = False) -> None:
    """Let go of what has no place.

    Args:
        active_too: whether the active one is about to be replaced.
    """
    active, files = engines.active(), with_place()
    engines.drop([one for one in kept.engines if one.file not in files and (active_too or one is not active)])


def _other_sets(file: str) -> list[engines.Engine]:
    """Models of a checkpoint with modules that no pass of the running job has; the plan counts no other."""
    of_this_file = [engine for engine in kept.engines if engine.file == file]
    wanted = engines.found(_parameters(of_this_file[0].model.sd_checkpoint_info))
    of_this_file.sort(key=lambda engine: (engine is not wanted, engine is not engines.active()))
    return of_this_file[_sets_of_modules(file) :]


def make_room_for(checkpoint: Checkpoint) -> None:
    """Let go of models of a checkpoint that no pass of the running job has; another one of it is about to be made."""
    of_this_file = [engine for engine in kept.engines if engine.file == checkpoint.filename]
    engines.drop(of_this_file[_sets_of_modules(checkpoint.filename) - 1 :])


def _sets_of_modules(file: str) -> int:
    """With how many sets of modules the running job may have a checkpoint, at most.

    The hires pass may have one of its own, where ADetailer's passes have the first pass's. A job of the webui's
    own has one: the plan of the job before counted no other.
    """
    job = running.job
    if job is None:
        return 1
    own = getattr(job.owner(), "hr_additional_modules", None)
    same = own is None or _SAME_MODULES in own or file in job.plan.vaes.modules
    return 1 if same or file != job.plan.second.filename else 2


def released(original: Callable) -> Callable:
    """Lets go of all models when the user unloads the one that the webui knows."""

    def unload_model_weights(*args: Any, **kwargs: Any) -> Any:
        engines.drop(list(kept.engines))
        kept.decision = None
        return original(*args, **kwargs)

    return unload_model_weights


def mend() -> None:
    """A swap failed, or memory ran out; the webui has no model then, and the kept ones are whole."""


def loaded() -> list[Any]:
    """The loaded models, the most recently used first."""
    return [engine.model for engine in kept.engines]


def active() -> Checkpoint | None:
    """The checkpoint of the active model; None without one."""
    return getattr(sd_models.model_data.sd_model, "sd_checkpoint_info", None)


def is_in_memory(checkpoint: Checkpoint) -> bool:
    """Whether no file has to be read for this checkpoint."""
    return loaded_model(checkpoint) is not None


def loaded_model(checkpoint: Checkpoint | None) -> Any:
    """A model that has this checkpoint in it; None if none has."""
    if checkpoint is None:
        return None
    return next((engine.model for engine in kept.engines if engine.file == checkpoint.filename), None)


def activate(checkpoint: Checkpoint) -> None:
    """Make this checkpoint the active one, without a word in the webui's settings."""
    data = sd_models.model_data
    before, told = data.forge_hash, data.forge_loading_parameters
    data.forge_loading_parameters = _parameters(checkpoint)
    try:
        sd_models.forge_model_reload()
    finally:
        data.forge_loading_parameters = told
    p = running.job.owner() if running.job is not None else None
    if checkpoint is getattr(p, "hr_checkpoint_info", None) and data.forge_hash != before:
        remains.hold_schedule(data.sd_model)


def _activate(first: Checkpoint | None) -> None:
    if first is not None and engines.found(_parameters(first)) is not None:
        activate(first)


def _parameters(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the webui would load for this checkpoint (``refresh_model_loading_parameters``).

    For the second pass of the running job, with the modules that it has of its own (``modules_change``).
    """
    p = running.job.owner() if running.job is not None else None
    modules = shared.opts.forge_additional_modules
    own = getattr(p, "hr_additional_modules", None)
    if own is not None and _SAME_MODULES not in own and checkpoint is p.hr_checkpoint_info:
        modules = pass_vae.files_of(own)
    dtype, _ = main_entry.forge_unet_storage_dtype_options.get(shared.opts.forge_unet_storage_dtype, (None, False))
    told = {"checkpoint_info": checkpoint, "additional_modules": modules, "unet_storage_dtype": dtype}
    return pass_vae.fitting(told)
