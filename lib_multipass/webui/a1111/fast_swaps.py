"""Checkpoints that wait in RAM and come to the device as fast as the bus allows, see :mod:`homes` beside this.

The webui moves a model by its ``to``, or the parts of one by theirs (``send_model_to_device`` and
``modules/lowvram.py``, 1.6.0 to 1.10.1). That is replaced on the object alone: on the model or on its parts.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from modules import devices, sd_models

from lib_multipass.memory.placement import RAM
from lib_multipass.plan.our_settings import DEFAULTS, FAST
from lib_multipass.state import kept
from lib_multipass.webui.a1111 import forge_models, options, parts
from lib_multipass.webui.a1111.homes import Home, wait
from lib_multipass.webui.a1111.pins import Pins
from lib_multipass.words import log, reason_of

KINDS = ("cuda",)
"""Types of devices that this was tried for; torch calls those of ROCm so too."""


def are_on() -> bool:
    """Whether checkpoints may move so, and can: reForge moves its models by itself."""
    flag = options.flag(FAST)
    wanted = options.get(FAST, DEFAULTS[FAST]) if flag is None else flag == "on"
    return bool(wanted) and devices.device.type in KINDS and not forge_models.webui_moves_them()


def follow() -> None:
    """Let those loaded checkpoints move fast that wait in RAM by the latest decision, and no others."""
    decision = kept.decision
    places = decision.places if decision is not None and decision.homes else {}
    loaded = sd_models.model_data.loaded_sd_models
    wanted = {id(model): model for model in loaded if places.get(model.sd_checkpoint_info.filename) == RAM}
    for mover in list(kept.movers):
        if id(mover.model()) not in wanted or mover.is_split != parts.is_split(mover.model()):
            mover.leave()
    known = {id(mover.model()) for mover in kept.movers}
    for number, model in wanted.items():
        if number not in known:
            kept.movers.append(Mover(model))


def leave() -> None:
    """Let every model move as ever; nothing is page-locked any more."""
    for mover in list(kept.movers):
        mover.leave()


def forget(model: Any) -> None:
    """This model is about to be thrown away."""
    for mover in [mover for mover in kept.movers if mover.model() is model]:
        mover.leave()


def bytes_beside(model: Any) -> int:
    """Bytes of RAM of a loaded model's weights that are on the device at the same time."""
    return sum(home.size for mover in kept.movers if mover.model() is model for home in mover.homes if home.is_away)


class Mover:
    """What moves one loaded model: its ``to`` is replaced, or that of its parts."""

    def __init__(self, model: Any) -> None:
        self.model = weakref.ref(model)
        self.is_split = parts.is_split(model)
        kept.pins = kept.pins or Pins(devices.device)
        self.homes: list[Home] = []
        self._ends = ExitStack()
        for module in parts.moved(model) if self.is_split else [model]:
            home = Home(module, kept.pins)
            self.homes.append(home)
            self._ends.callback(home.leave)
            self._ends.callback(_around_moves(module, partial(_moving, home)))
        if self.is_split:  # thrown away as a whole
            self._ends.callback(_around_moves(model, self._left_with))

    @contextmanager
    def _left_with(self, device: torch.device) -> Iterator[None]:
        if device.type == "meta":
            self.leave()
        yield

    def leave(self) -> None:
        """Let the model move as ever."""
        self._ends.close()
        self.homes.clear()
        if self in kept.movers:
            kept.movers.remove(self)


@contextmanager
def _moving(home: Home, device: torch.device) -> Iterator[None]:
    """What is at home moves before the webui moves the rest, which takes no longer than the copies are on their way."""
    if device.type == "meta":
        home.leave()
    elif _is_settled(home):
        if device == devices.device:
            home.go(device)
        elif device.type == "cpu":
            home.come()
    yield
    wait(chunk.copy for chunk in home.chunks[:1] if chunk.copy is not None)


def _is_settled(home: Home) -> bool:
    try:
        home.settle()
    except (RuntimeError, MemoryError) as error:
        log.warning("A checkpoint moves as the webui moves it: %s", reason_of(error))
        home.leave()
        return False
    return True


def _around_moves(
    module: torch.nn.Module, around: Callable[[torch.device], AbstractContextManager]
) -> Callable[[], None]:
    """Let each move of a module that changes nothing else go on within this.

    Returns:
        the undo.
    """
    reference, earlier = weakref.ref(module), vars(module).get("to")

    def to(*args: Any, **kwargs: Any) -> Any:
        device, dtype, _, layout = torch._C._nn._parse_to(*args, **kwargs)
        plain = earlier or type(reference()).to.__get__(reference())
        if device is None or dtype is not None or layout is not None:
            return plain(*args, **kwargs)
        with around(device):
            return plain(*args, **kwargs)

    def undo() -> None:
        moved = reference()
        if moved is not None and vars(moved).get("to") is to:
            del moved.to
            if earlier is not None:
                moved.to = earlier

    module.to = to
    return undo
