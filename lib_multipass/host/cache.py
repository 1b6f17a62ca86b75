"""Which checkpoints stay loaded and where: the webui's own two settings, answered anew whenever they are read.

``sd_checkpoints_limit`` decides at each swap what is thrown away, ``sd_checkpoints_keep_in_cpu`` where the model that
was active goes. The first swap of a job happens before its ``override_settings`` apply, others happen between jobs, and
whatever is written into the options can be saved to ``config.json``. So both are properties on the class of
``shared.opts``: attribute reads see the decision; the stored data, ``/sdapi/v1/options``, the Settings page and
``--freeze-settings`` do not.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from modules import devices, sd_models, shared

from lib_multipass.checkpoints import Checkpoint
from lib_multipass.host import follow, memory, parts
from lib_multipass.messages import log
from lib_multipass.placement import DISK, RAM, VRAM, Decision

LIMIT, KEEP_IN_CPU = "sd_checkpoints_limit", "sd_checkpoints_keep_in_cpu"

_decision: Decision | None = None
"""What the latest Multipass job decided; None while the user's settings govern alone."""
_room = 0
"""1 during a swap to a checkpoint for which a further model may be made."""


def users_own(options: Any, name: str) -> Any:
    """What the user set: the stored value, or the default while nothing is stored (a fresh install, 1.8 and later)."""
    return options.data.get(name, options.get_default(name))


def limit(options: Any) -> int:
    """The limit that a swap sees.

    While a decision holds it is never below the number of loaded models: up to 1.8.0 the webui's own eviction drops one
    model from its list and empties another, after which every job fails until a restart. What is too much is evicted
    here instead, before the swap. It is above that number only for a checkpoint that has a place and is not loaded yet.
    """
    own = users_own(options, LIMIT)
    if _decision is None:
        return own
    return max(len(_loaded()) + _room, 1 if DISK in _decision.places.values() else own)


def keep_in_cpu(options: Any) -> bool:
    """Whether a swap moves the active model to RAM, or the part of it that is on the device."""
    own, active = users_own(options, KEEP_IN_CPU), sd_models.model_data.sd_model
    if _decision is not None and active is None:
        return False  # there is nothing to move, and up to 1.9.4 the webui does not look
    if _decision is None or devices.device.type == "cpu":
        return own
    return own if _file(active) not in _decision.places else _decision.places[_file(active)] != VRAM


def is_holding() -> bool:
    """Whether the checkpoints of a Multipass job are kept beyond the user's own settings."""
    return _decision is not None


def install() -> None:
    """Put the properties in place; calling it again changes nothing."""
    setattr(type(shared.opts), LIMIT, property(limit))
    setattr(type(shared.opts), KEEP_IN_CPU, property(keep_in_cpu))


def uninstall() -> None:
    """Take the properties away."""
    for name in (LIMIT, KEEP_IN_CPU):
        if name in vars(type(shared.opts)):
            delattr(type(shared.opts), name)


def hold(decision: Decision, first: Checkpoint) -> None:
    """Keep the job's checkpoints as decided, once they are loaded, and let go of what is in their way, at once.

    Args:
        decision: where each goes.
        first: the one that the job needs first.
    """
    global _decision  # one job at a time: the webui runs them under its queue lock
    _decision = decision
    gone = DISK in decision.places.values()
    slots = len(decision.kept) + len(decision.others) + gone
    beyond = _settle(slots if gone else max(users_own(shared.opts, LIMIT), slots), _with_place(), first)
    others = (model for model in _parked() if _file(model) not in _with_place() and model not in beyond)
    beyond += [model for model in others if memory.place_of(model) == VRAM]
    _throw_away(beyond)
    for model in _parked():
        if decision.places.get(_file(model)) == RAM:
            _to_ram(model)


def let_go(first: Checkpoint | None) -> None:
    """Give the memory back to the user's own settings, at once, on the device too.

    Args:
        first: the checkpoint that the webui needs next, which stays if it is loaded.
    """
    global _decision  # see hold()
    if _decision is None:
        return
    try:
        _activate(first)
        _throw_away(_settle(users_own(shared.opts, LIMIT), {first.filename} if first else set(), first))
        follow.leave()
    finally:
        _decision = None
    if users_own(shared.opts, KEEP_IN_CPU):
        for model in _parked():
            _to_ram(model)


def decision() -> Decision | None:
    """What holds now."""
    return _decision


@contextmanager
def swapping(info: Checkpoint | None) -> Iterator[None]:
    """Around a swap: the model without a place makes room first, or its place is what the webui overwrites.

    What is not loaded yet goes into the last model of the webui's list, unless the limit has room for a further one.

    Args:
        info: the checkpoint that the webui was told to swap to; None for the selected one.
    """
    global _room  # see hold()
    active = sd_models.model_data.sd_model
    to = None if _decision is None else info or sd_models.select_checkpoint()
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
    _room = int(to.filename in _decision.places and not spare)
    try:
        yield
    finally:
        _room = 0


def _with_place() -> set[str]:
    """File names of the models that are to stay."""
    return {*_decision.kept, *_decision.others}


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


def _empty(model: Any) -> None:
    """Throw its tensors away. What the webui would move off the device later is moved off first."""
    try:
        parts.gather(model)
    except Exception:
        log.exception("the parts of %s could not be moved off the device", model.sd_checkpoint_info.name_for_extra)
        parts.forget(model)
    sd_models.send_model_to_trash(model)


def _to_ram(model: Any) -> None:
    if memory.place_of(model) == VRAM:
        sd_models.send_model_to_cpu(model)
        devices.torch_gc()


def _loaded() -> list[Any]:
    return sd_models.model_data.loaded_sd_models


def _parked() -> list[Any]:
    return [model for model in _loaded() if model is not sd_models.model_data.sd_model]


def loaded_model(checkpoint: Checkpoint | None) -> Any:
    """The model that has this checkpoint in it; None if none has."""
    return next((model for model in _loaded() if checkpoint and _file(model) == checkpoint.filename), None)


def _activate(first: Checkpoint | None) -> None:
    """Make this checkpoint the active one, which the webui would do next, if it is loaded."""
    if loaded_model(first) is not None:
        with sd_models.SkipWritingToConfig():
            sd_models.reload_model_weights(info=first)


def _file(model: Any) -> str:
    return model.sd_checkpoint_info.filename
