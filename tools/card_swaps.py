"""How fast a parked checkpoint comes to this device and leaves it, and whether its values are whole after it."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import nn

from lib_multipass.webui.a1111 import homes
from lib_multipass.webui.a1111.pins import Pins, own_pages

TIMES = 3


def grow(module: nn.Module, name: str, shape: list[int], dtype: torch.dtype) -> None:
    """Give a module a parameter of this name, with the modules in between."""
    *path, last = name.split(".")
    for part in path:
        if part not in dict(module.named_children()):
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    module.register_parameter(last, nn.Parameter(torch.zeros(shape, dtype=dtype), requires_grad=False))


def built(shapes: Mapping[str, list[int]]) -> nn.Module:
    """A module of a checkpoint's names and shapes at half precision, each tensor of a number of its own."""
    model = nn.Module()
    for name, shape in shapes.items():
        grow(model, name, shape, torch.float16)
    for number, tensor in enumerate(model.parameters()):
        tensor.fill_(number % 2039)
    return model


def is_whole(model: nn.Module) -> bool:
    """Whether every number of every tensor is what :func:`built` made it."""
    return all(bool((tensor == number % 2039).all()) for number, tensor in enumerate(model.parameters()))


def timed(device: torch.device, call: Callable[[], object]) -> float:
    """Seconds, with what the device still does."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def moved(device: torch.device, there: Callable[[], object], back: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of some moves to the device and away from it; the webui empties torch's cache after each."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TIMES):
        for taken, call in zip(times, (there, back), strict=True):
            taken.append(timed(device, call))
            if device.type == "cuda":
                torch.cuda.empty_cache()
    return statistics.median(times[0]), statistics.median(times[1])


def plain_copy(device: torch.device, size: int) -> float:
    """Seconds that copies of this size out of one page-locked buffer take: what the bus gives."""
    pins, pages = Pins(), own_pages(min(size, homes.CHUNK))
    pins.lock(pages)
    flat = torch.empty(pages.numel(), dtype=torch.uint8, device=device)
    whole, rest = divmod(size, pages.numel())

    def copy() -> None:
        for part in [pages.numel()] * whole + [rest]:
            flat[:part].copy_(pages[:part], non_blocking=True)

    seconds = min(timed(device, copy) for _ in range(TIMES))
    pins.unlock(pages)
    return seconds


def measure(name: str, shapes: Mapping[str, list[int]], device: torch.device) -> dict[str, object]:
    """One checkpoint's row."""
    model = built(shapes)
    row: dict[str, object] = {"checkpoint": name, "bytes": 2 * sum(tensor.numel() for tensor in model.parameters())}
    row["bus"] = plain_copy(device, int(row["bytes"]))
    row["webui to"], row["webui back"] = moved(device, lambda: model.to(device), lambda: model.to("cpu"))
    for kind, pins in (("locked", Pins()), ("refused", Pins())):
        pins.is_refused = kind == "refused"
        row |= {f"{kind} {what}": value for what, value in _of_home(model, device, pins).items()}
        gc.collect()
    return row | verdict(row)


def _of_home(model: nn.Module, device: torch.device, pins: Pins) -> dict[str, object]:
    home, row = homes.Home(model, pins), {}
    row["first"] = timed(device, home.settle)
    row["share"] = pins.used / home.size

    def there() -> None:
        home.go(device)
        model.to(device)

    def back() -> None:
        home.come()
        model.to("cpu")

    row["to"], row["back"] = moved(device, there, back)
    at_home = is_whole(model)
    home.go(device)
    on_device = is_whole(model)
    row["with networks"] = _networks(model, device, home)
    row["whole"] = at_home and on_device and is_whole(model)
    home.leave()
    row["left"] = pins.used
    return row


def _networks(model: nn.Module, device: torch.device, home: homes.Home) -> float:
    """Seconds to leave with a network in every layer, as the webui's own code leaves the layers."""
    layers = [layer for layer in model.modules() if "weight" in layer._parameters]
    home.layers[:] = layers
    homes.lora_memory.lend(layers, home.homes())
    with torch.no_grad():
        for layer in layers:
            layer.network_layer_name = "any"
            bias = layer._parameters.get("bias")
            layer.network_bias_backup = None if bias is None else bias.to("cpu", copy=True)
            layer.weight.add_(1)
            layer.network_current_names = (("any", 1.0, 1.0, None),)
    seconds = timed(device, home.come)
    for layer in layers:
        del layer.network_layer_name, layer.network_bias_backup
    return seconds


def verdict(row: Mapping[str, object]) -> dict[str, object]:
    """Shares by which *Fast swaps* are judged: of the plain copy, and of what the webui takes."""
    swap, webui = row["locked to"] + row["locked back"], row["webui to"] + row["webui back"]
    return {
        "swap": swap,
        "of the bus": swap / row["bus"],
        "of the webui": swap / webui,
        "without locks, of the webui": (row["refused to"] + row["refused back"]) / webui,
        "whole": bool(row["locked whole"] and row["refused whole"] and not row["locked left"]),
    }


def line(row: Mapping[str, object]) -> str:
    """A row of the table."""
    there_and_back = "{:.3f} + {:.3f} s | {:.3f} + {:.3f} s".format(
        *(row[name] for name in ("webui to", "webui back", "locked to", "locked back"))
    )
    return (
        f"| {row['checkpoint']} | {row['bytes'] / 1e9:.2f} | {row['bus']:.3f} s | {there_and_back} "
        f"| {row['of the bus']:.2f} | {row['of the webui']:.3f} | {row['locked first']:.2f} s "
        f"| {row['locked with networks']:.3f} s | {row['without locks, of the webui']:.2f} |"
    )


def survives_a_refusal(device: torch.device) -> bool:
    """Whether the device works on after it has refused to lock pages, which it does if they are locked already."""
    pins, others, pages = Pins(), Pins(), own_pages(2**20)
    was_locked = pins.lock(pages)
    refused = not others.lock(pages) and others.is_refused
    works = float(torch.ones(2, device=device).sum()) == 2.0
    pins.unlock(pages)
    return was_locked and refused and works
