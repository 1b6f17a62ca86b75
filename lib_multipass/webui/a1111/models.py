"""The loaded checkpoints: kept as a job decided, made room for before a swap, and let go of."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from modules import devices, sd_models

from lib_multipass.memory.placement import DISK, RAM, VRAM, Decision
from lib_multipass.plan.names import Checkpoint
from lib_multipass.state import kept
from lib_multipass.webui.a1111 import fast_swaps, follow, forge_models, hardware, limits, options, parts
from lib_multipass.words import log


def users_limit() -> int:
    """How many checkpoints the user's own settings keep."""
    return options.users_own(limits.LIMIT)


def users_park_in_ram() -> bool:
    """Whether they park them in RAM."""
    return bool(options.users_own(limits.KEEP_IN_CPU))


def keep(decision: Decision, first: Checkpoint) -> None:
    """Keep the job's checkpoints as decided, once they are loaded, and let go of what is in their way, at once.

    Args:
        decision: where each goes.
        first: the one that the job needs first.
    """
    kept.decision = decision
    gone = DISK in decision.places.values()
    slots = len(decision.kept) + len(decision.others) + gone
    beyond = _settle(slots if gone else max(options.users_own(limits.LIMIT), slots), _with_place(), first)
    others = (model for model in _parked() if _file(model) not in _with_place() and model not in beyond)
    beyond += [model for model in others if hardware.place_of(model) == VRAM]
    _throw_away(beyond)
    fast_swaps.follow()
    for model in _parked():
        if decision.places.get(_file(model)) == RAM or parts.held_bytes(model):
            _to_ram(model)


def let_go(first: Checkpoint | None) -> None:
    """Give the memory back to the user's own settings, at once, on the device too.

    Args:
        first: the checkpoint that the webui needs next, which stays if it is loaded.
    """
    if kept.decision is None:
        return
    try:
        _activate(first)
        _throw_away(_settle(options.users_own(limits.LIMIT), {first.filename} if first else set(), first))
        follow.leave()
    finally:
        kept.decision = None
        fast_swaps.leave()
    if options.users_own(limits.KEEP_IN_CPU):
        for model in _parked():
            _to_ram(model)


@contextmanager
def swapping(info: Checkpoint | None) -> Iterator[None]:
    """Around a swap: the model without a place makes room first, or its place is what the webui overwrites.

    What is not loaded yet goes into the last model of the webui's list, unless the limit has room for a further one.

    Args:
        info: the checkpoint that the webui was told to swap to; None for the selected one.
    """
    active = sd_models.model_data.sd_model
    to = None if kept.decision is None else info or sd_models.select_checkpoint()
    if to is None or (active is not None and _file(active) == to.filename):
        yield
        return
    spare = [model for model in _loaded() if _file(model) not in _with_place()]
    if active in spare and loaded_model(to) is not None:
        # Emptied before the swap it never lies in RAM beside the others; the webui takes it for a failed load.
        sd_models.model_data.sd_model = None
        spare.remove(active)
        leaving, active = [active], None
        _throw_away(leaving)
    _loaded().sort(key=lambda model: model in spare)
    kept.room = int(to.filename in kept.decision.places and not spare)
    try:
        yield
    finally:
        kept.room = 0


def _with_place() -> set[str]:
    """File names of the models that are to stay."""
    return {*kept.decision.kept, *kept.decision.others}


def mend() -> None:
    """After a swap that failed, let every loaded model lie where it belongs, whole.

    A move that fails half way leaves tensors on both sides. And the model that was active may have been moved to RAM
    already, which the webui does not notice: the next job takes it as it is (``reload_model_weights``, 1.6.0 to
    1.10.1).
    """
    active = sd_models.model_data.sd_model
    for model in _parked():
        _move(model, sd_models.send_model_to_cpu)
    if active is None:
        pass
    elif active not in _loaded():
        # Taken out of the list to be overwritten, and that failed: neither the old checkpoint nor the new one.
        sd_models.model_data.sd_model = None
        _empty(active)
    elif not _move(active, sd_models.send_model_to_device):
        sd_models.model_data.sd_model = None
    devices.torch_gc()


def _move(model: Any, send: Callable[[Any], None]) -> bool:
    try:
        parts.gather(model)
        send(model)
    except Exception:
        log.exception("%s could not be moved back and is let go of", model.sd_checkpoint_info.name_for_extra)
        _throw_away([model])
        return False
    return True


def _settle(most: int, needed: Collection[str], first: Checkpoint | None) -> list[Any]:
    """The models that are too many for ``most``, the least recently used first and the needed ones last."""
    models = _loaded()
    if 0 < most < len(models):
        # The active model cannot be emptied: the webui still moves it to the CPU before it activates another.
        _activate(first)
    # What is not loaded yet goes into the last model of the webui's list: let that be one that nobody needs.
    models.sort(key=lambda model: _file(model) not in needed)
    beyond = _parked()[::-1][: max(0, len(models) - most)] if most > 0 else []
    if beyond:
        log.info("let go of %s", ", ".join(model.sd_checkpoint_info.name_for_extra for model in beyond))
    return beyond


def _throw_away(models: list[Any]) -> None:
    """Empty these models and this list of them.

    What still holds one then, as a circle of references in it may, takes Python's collector, which looks through all
    that a webui has imported.
    """
    gone = []
    while models:
        model = models.pop(0)
        _loaded().remove(model)
        _empty(model)
        gone.append(weakref.ref(model))
        del model
    if any(reference() is not None for reference in gone):
        gc.collect()


def read_anew(model: Any) -> None:
    """Let a loaded checkpoint be read again at the next swap to it."""
    _throw_away([model])


def _empty(model: Any) -> None:
    """Throw its tensors away. What the webui would move off the device later is moved off first."""
    if forge_models.is_taken_apart(model):
        return
    try:
        parts.gather(model)
    except Exception:
        log.exception("the parts of %s could not be moved off the device", model.sd_checkpoint_info.name_for_extra)
        parts.forget(model)
    fast_swaps.forget(model)
    sd_models.send_model_to_trash(model)


def _to_ram(model: Any) -> None:
    """All of it; the webui leaves a part of one that it moves in parts, if it is to keep models on the device."""
    if hardware.place_of(model) == VRAM or parts.held_bytes(model):
        sd_models.send_model_to_cpu(model)
        devices.torch_gc()


def _loaded() -> list[Any]:
    return sd_models.model_data.loaded_sd_models


def _parked() -> list[Any]:
    return [model for model in _loaded() if model is not sd_models.model_data.sd_model]


def loaded() -> list[Any]:
    """The loaded models, the most recently used first."""
    return list(_loaded())


def active() -> Checkpoint | None:
    """The checkpoint of the active model; None without one."""
    model = sd_models.model_data.sd_model
    return None if model is None else model.sd_checkpoint_info


def is_in_memory(checkpoint: Checkpoint) -> bool:
    """Whether no file has to be read for this checkpoint: it is loaded, or its state dict is cached by the webui."""
    infos = (model.sd_checkpoint_info for model in _loaded())
    return any(known.filename == checkpoint.filename for known in (*infos, *sd_models.checkpoints_loaded))


def activate(checkpoint: Checkpoint) -> None:
    """Make this checkpoint the active one, as the webui does, without a word in its settings."""
    with sd_models.SkipWritingToConfig():
        sd_models.reload_model_weights(info=checkpoint)


def loaded_model(checkpoint: Checkpoint | None) -> Any:
    """The model that has this checkpoint in it; None if none has."""
    return next((model for model in _loaded() if checkpoint and _file(model) == checkpoint.filename), None)


def _activate(first: Checkpoint | None) -> None:
    """Make this checkpoint the active one, which the webui would do next, if it is loaded."""
    if loaded_model(first) is not None:
        activate(first)


def _file(model: Any) -> str:
    return model.sd_checkpoint_info.filename
