"""All that a job may change in the webui's process: what every module names, loaded models, the job itself, threads.

Nothing of it is listed here: it is found by looking, so that what comes new is seen too.
"""

from __future__ import annotations

import functools
import re
import sys
import threading
import weakref
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from types import FunctionType, ModuleType
from typing import Any

import torch

OURS, HOSTS = "lib_multipass", ("mini", "modules")
PLAIN = (type(None), bool, int, float, complex, str, bytes, PurePath, torch.dtype, torch.Size)
DEEPEST = 4


class Same:
    """An object that nothing but itself is equal to; it is held, so that no other gets its place."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __repr__(self) -> str:
        return f"<{type(self.thing).__name__} at {id(self.thing):x}>"


def still(value: Any, depth: int = DEEPEST) -> Any:
    """A value as it is now, to compare with later."""
    if type(value) is FunctionType:  # most of what there is
        return Same(value)
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, weakref.ref):
        return "weakly", Same(value())
    if not depth:
        return Same(value)
    if isinstance(value, dict):
        return {still(key, 0): still(one, depth - 1) for key, one in value.items()}
    if isinstance(value, list | tuple | deque):
        return [still(one, depth - 1) for one in value]
    if isinstance(value, set | frozenset):
        return {still(one, 0) for one in value}
    if _is_ours(value) and hasattr(value, "__dict__"):
        return type(value).__name__, still(vars(value), depth - 1)
    return Same(value)


def _is_ours(value: Any) -> bool:
    return _package(type(value)) == OURS


@functools.cache
def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def look(host: Any, job: Any = None, weights: bool = False) -> dict[str, Any]:
    """Everything by name.

    Args:
        host: the miniature inside this process.
        job: the job that runs, or has run.
        weights: whether to read all weights of the loaded models, too.
    """
    seen = dict(_of_modules())
    for model in {id(one): one for one in _models(host)}.values():
        seen |= {
            f"{model.sd_checkpoint_info.name_for_extra}|{name}": value for name, value in _of_model(model, weights)
        }
    if job is not None:
        seen |= {f"p.{name}": still(value, 2) for name, value in vars(job).items()}
    seen["threads"] = sorted(thread.name for thread in threading.enumerate() if "multipass" in thread.name)
    return seen


def _of_modules() -> Iterator[tuple[str, Any]]:
    known: set[int] = set()
    for path, name, value in _named(*HOSTS, OURS):
        if _is_object_of_ours(value) and id(value) in known:
            continue  # told under the name that it has where it is from
        parts = list(_inside(f"{path}.{name}", value, known))
        # One of our objects is as before if what it has is.
        yield f"{path}.{name}", type(value).__name__ if parts and _is_ours(value) else still(value)
        yield from parts


def _named(*packages: str) -> Iterator[tuple[str, str, Any]]:
    """By module what it names but for modules; one of our objects first where its class is from."""
    paths = [path for package in packages for path in sorted(sys.modules) if path.partition(".")[0] == package]
    found = [(path, *named) for path in paths for named in list(vars(sys.modules[path]).items())]
    found = [one for one in found if not one[1].startswith("__") and not isinstance(one[2], ModuleType)]
    found.sort(key=lambda one: _is_object_of_ours(one[2]) and type(one[2]).__module__ != one[0])
    yield from found


def _is_object_of_ours(value: Any) -> bool:
    return _is_ours(value) and hasattr(value, "__dict__") and not isinstance(value, type)


def _inside(name: str, value: Any, known: set[int]) -> Iterator[tuple[str, Any]]:
    """What a class or an object of the webui's or of ours has, once for all the modules that it is named in."""
    kind = value if isinstance(value, type) else type(value)
    if _package(kind) not in (OURS, *HOSTS) or issubclass(kind, torch.nn.Module):
        return
    if not hasattr(value, "__dict__") or id(value) in known:
        return
    known.add(id(value))
    for part, found in list(vars(value).items()):
        if not part.startswith("__"):
            yield f"{name}.{part}", still(found)


def _models(host: Any) -> list[Any]:
    data = host.sd_models.model_data
    return [model for model in (data.sd_model, *data.loaded_sd_models) if model is not None]


def _of_model(model: Any, weights: bool) -> Iterator[tuple[str, Any]]:
    yield from ((f"model.{name}", still(value)) for name, value in vars(model).items() if not name.startswith("_"))
    layers: dict[str, dict[str, Any]] = {"hooks": {}}
    for path, module in model.named_modules():
        layers["hooks"][path] = len(module._forward_hooks), len(module._forward_pre_hooks)
        for name, value in vars(module).items() if path else ():
            if not name.startswith("_"):
                layers.setdefault(name, {})[path] = still(value)
    yield from ((f"layers.{name}", values) for name, values in layers.items())
    yield "layers.dtype", {name: tensor.dtype for name, tensor in model.named_parameters()}
    if weights:
        yield "weights", {name: _digest(tensor) for name, tensor in model.state_dict().items()}


def _digest(tensor: torch.Tensor) -> int:
    return 0 if tensor.is_meta else zlib.crc32(tensor.detach().contiguous().cpu().numpy().tobytes())


def modules_of_ours() -> set[str]:
    """The names of our modules that have been imported."""
    return {path for path in sys.modules if path.partition(".")[0] == OURS}


def of_ours(modules: set[str]) -> dict[str, str]:
    """What these modules of ours name but for functions, and what our objects and classes have; what is equal to
    nothing but itself counts by its kind."""
    found, known = {}, set()
    for path, name, value in _named(OURS):
        if path not in modules or id(value) in known or (callable(value) and not isinstance(value, type)):
            continue
        if _is_ours(value) and hasattr(value, "__dict__"):
            known.add(id(value))
            parts = {part: one for part, one in vars(value).items() if not part.startswith("__")}
            found |= {f"{path}.{name}.{part}": still(one) for part, one in parts.items() if not callable(one)}
        elif not isinstance(value, type):
            found[f"{path}.{name}"] = still(value)
    return {name: re.sub(r" at [0-9a-f]+>", ">", repr(value)) for name, value in found.items()}


def of_job(job: Any, parts: Iterable[Any]) -> dict[str, Any]:
    """What a job of ours has, and what the parts that it has entered have, whether they still hold or not."""
    seen = {f"Job.parts.{kind.__name__}": "entered" for kind in job.parts}
    for one in (job, *parts):
        for name, value in vars(one).items():
            if one is not job or name != "parts":
                inner = vars(value) if _is_object_of_ours(value) else {}
                seen[f"{type(one).__name__}.{name}"] = type(value).__name__ if inner else still(value)
                seen |= {f"{type(one).__name__}.{name}.{part}": still(found) for part, found in inner.items()}
    return seen


def ours_in_the_webui() -> dict[str, bool]:
    """The webui's functions and settings that are ours, by where they are and their own name: whether a setting."""
    found = {}
    for module in [module for path, module in sys.modules.items() if path.partition(".")[0] in HOSTS]:
        for owner in (module, *(one for one in vars(module).values() if isinstance(one, type))):
            for value in vars(owner).values():
                function = value.fget if isinstance(value, property) else value
                if isinstance(function, FunctionType) and function.__module__.partition(".")[0] == OURS:
                    found[f"{owner.__name__}.{function.__name__}"] = isinstance(value, property)
    return found


def differing(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The names of what is not the same, without those of models; what only one of them has of a model is left out."""
    names = {*before, *after}
    in_both = (name for name in names if "|" not in name or (name in before and name in after))
    found = {name.rpartition("|")[2] for name in in_both if before.get(name, ...) != after.get(name, ...)}
    # What another object has is another one's, too.
    return {_short(name) for name in found if name.rpartition(".")[0] not in found}


def _short(name: str) -> str:
    return name.removeprefix(f"{OURS}.").removeprefix("modules.")


def beyond(names: set[str], *rows: Any) -> set[str]:
    """The names that are in no row; what an object has is in the object's."""
    there = {row for some in rows for row in some}
    return {name for name in names if not there & {name, name.rpartition(".")[0]}}


def in_rows(names: set[str], *rows: Any) -> set[str]:
    """The names that are in a row."""
    return names - beyond(names, *rows)
