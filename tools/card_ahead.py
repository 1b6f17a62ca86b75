"""The first swap to a checkpoint on this device, with its weights made ready or not, and what a pass loses by that."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from card_jobs import PAIRS, Bench, card_of
from lib_multipass.memory.reader import Reader

STEPS = 400
"""Steps of some pass: enough that a checkpoint is made ready beside them."""


def first_swap(bench: Bench, kind: str, size: float, rows: list[dict]) -> dict[str, bool]:
    """With ``--medvram``, where a checkpoint's weights lie in RAM: without reading ahead, and when all is ready."""
    found = []
    with mock.patch.object(bench.host.shared.cmd_opts, "medvram", True), card_of(int(size * 1e9), bench.device):
        for ahead in (False, True):
            bench.host.lowvram.module_in_gpu = None
            bench.empty()
            bench.host.shared.opts.data["multipass_read_ahead"] = ahead
            with _all_ready() as made:
                picture = bench.job(PAIRS[kind])
            swap = next(swap for swap in reversed(bench.journal.swaps) if swap.disk_loads)
            found.append((picture, swap.seconds, sum(made)))
        bench.host.shared.opts.data["multipass_read_ahead"] = False
        bench.empty()
    bench.host.lowvram.module_in_gpu = None
    seconds = [taken for _, taken, _ in found]
    slower = slowed(bench, kind)
    rows.append({"pair": kind, "first swap": seconds, "steps slowed": slower})
    print(
        f"First swap, {kind}: {seconds[0]:.2f} s, ready {seconds[1]:.2f} s ({seconds[1] / seconds[0]:.2f}); "
        f"steps beside it {100 * slower:+.1f} %",
        flush=True,
    )
    is_card = bench.device.type == "cuda"
    return {
        "pictures are equal": found[0][0] == found[1][0],
        "weights were made ready": found[0][2] == 0 < found[1][2],
        "at most 0.3 of it": not is_card or seconds[1] <= 0.3 * seconds[0],
        "steps lose at most 3 %": not is_card or slower <= 0.03,
    }


@contextmanager
def _all_ready() -> Iterator[list[int]]:
    """A pass begins when the next checkpoint is ready: such small networks would be through before.

    Gives how many weights were handed out, swap by swap.
    """
    from lib_multipass.passes.ahead import Ahead

    made, read, handed_out = [], Ahead.read, Ahead.handed_out

    def noted(self: Ahead, path: str, state: dict) -> dict:
        result = handed_out(self, path, state)
        made.append(sum(result[name] is not tensor for name, tensor in state.items()))
        return result

    def waiting(self: Ahead) -> None:
        read(self)
        self.reader.wait(60)

    with mock.patch.object(Ahead, "read", waiting), mock.patch.object(Ahead, "handed_out", noted):
        yield made


def slowed(bench: Bench, kind: str) -> float:
    """How much longer the median step of a pass takes while a checkpoint is made ready, as a part of it."""
    from modules import sd_models

    from lib_multipass.webui.a1111.ready import Ready

    path = Path(sd_models.model_path) / f"{PAIRS[kind][1]}.safetensors"
    usual = _steps(bench.device, lambda: False)
    reader, ready = Reader(), Ready(str(path), lambda _name, stored: stored, True, 0)
    reader.start(str(path), True, lambda: True, ready.make)
    beside = _steps(bench.device, lambda: reader.wait(0))
    reader.stop()
    return statistics.median(beside) / statistics.median(usual) - 1


def _steps(device: torch.device, is_over: Any) -> list[float]:
    """Seconds of steps that are many small calls, as those of a pass."""
    side = 1024 if device.type == "cuda" else 32
    x, weight = torch.rand(side, side, device=device), torch.rand(side, side, device=device) / side
    taken = []
    for _ in range(STEPS):
        if is_over() and taken:
            break
        begin = time.perf_counter()
        y = x
        for _ in range(50):
            y = torch.tanh(y @ weight)
        y.sum().item()
        taken.append(time.perf_counter() - begin)
    return taken
