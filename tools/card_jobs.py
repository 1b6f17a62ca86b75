"""Jobs of the miniature on this device, its models as large as real ones: what goes where, and what is left of it.

A card of some size is this device with a limit: what torch may allocate, and what it tells of its memory.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from card_swaps import grow
from support import inprocess, layouts
from support.inprocess import Host

WORKING = 500_000_000
"""Bytes that decoding a picture takes here, besides what such small networks take."""
PAIRS = {"sd1": ("plain", "fine"), "sdxl": ("large", "larger")}


def start(folder: Path, device: torch.device, shapes: Mapping[str, Mapping[str, list[int]]]) -> Host:
    """The miniature with a pair of checkpoints of each kind, on this device."""
    alone = [replace(webui, adetailer=None) for webui in inprocess.miniatures()]
    with mock.patch.object(inprocess, "miniatures", return_value=alone):
        host = inprocess.start_miniature(folder / "data")
    from modules import devices, hashes, sd_models

    devices.device = host.shared.device = device
    devices.dtype_unet = torch.float16  # as the webui's; painters compute with numbers that are in it exactly
    host.shared.cmd_opts.no_hashing = True
    host.shared.opts.data["multipass_read_ahead"] = False
    hashes.short_of = lambda filename, _written: Path(filename).stem
    if device.type == "cpu":  # the bookkeeping is the same; nothing is locked
        from lib_multipass.webui.a1111 import fast_swaps

        fast_swaps.KINDS += ("cpu",)
    _let_models_grow(device)
    small = [Path(sd_models.model_path) / f"{name}.safetensors" for name in ("alpha", "beta")]
    for kind, names in PAIRS.items():
        for name, source in zip(names, small, strict=True):
            write(source.with_stem(name), source, shapes[kind])
            if kind == "sdxl":  # a configuration of its own, so that no SD 1.5 model is loaded over
                source.with_stem(name).with_suffix(".yaml").write_text("own: true\n", encoding="utf-8")
    sd_models.list_models()
    return host


def write(path: Path, painter: Path, shapes: Mapping[str, list[int]]) -> None:
    """A file of a painter's tensors and, as a hole, of a real checkpoint's."""
    from safetensors.torch import load_file

    entries, data = layouts.header(dict(shapes)), bytearray()
    end = max(entry["data_offsets"][1] for entry in entries.values())
    for name, tensor in load_file(painter).items():
        raw = tensor.half().float().contiguous().numpy().tobytes()
        place = end + len(data)
        entries[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [place, place + len(raw)]}
        data += raw
    raw = layouts.raw_header(entries, None)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.seek(end, 1)
        file.write(data)


def _let_models_grow(device: torch.device) -> None:
    """A model gets the tensors that its file has, and computes on the device while pictures stay in RAM."""
    from mini import painter
    from modules import sd_models

    load = sd_models.load_model_weights

    def load_model_weights(model: Any, info: Any, state: Any, timer: Any) -> None:
        known = model.state_dict()
        for name in sorted(state.keys() - known.keys()):
            grow(model, name, list(state[name].shape), state[name].dtype)
        load(model, info, state, timer)

    sd_models.load_model_weights = load_model_weights
    for kind, name in (
        (painter.Painter, "predict"),
        (painter.Painter, "encode_first_stage"),
        (painter.Painter, "decode_first_stage"),
    ):
        setattr(kind, name, _on(device, getattr(kind, name)))
    plain = painter.Autoencoder.decode

    def decode(self: Any, z: torch.Tensor) -> torch.Tensor:
        taken = torch.empty(WORKING if z.is_cuda else 1, dtype=torch.uint8, device=z.device)
        result = plain(self, z)
        del taken
        return result

    painter.Autoencoder.decode = decode


def _on(device: torch.device, method: Any) -> Any:
    def moved(self: Any, *args: Any) -> torch.Tensor:
        there = [one.to(device) if isinstance(one, torch.Tensor) else one for one in args]
        return method(self, *there).cpu()

    return moved


@contextmanager
def card_of(size: int, device: torch.device) -> Iterator[None]:
    """This device with so much memory, if it is one."""
    if device.type != "cuda":
        yield
        return
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.empty_cache()

    def mem_get_info(_device: Any = None) -> tuple[int, int]:
        return max(0, size - torch.cuda.memory_reserved()), size

    torch.cuda.set_per_process_memory_fraction(size / total)
    with mock.patch.object(torch.cuda, "mem_get_info", mem_get_info):
        yield
    torch.cuda.set_per_process_memory_fraction(1.0)


class Bench:
    """Jobs, and what each of them left."""

    def __init__(self, host: Host, device: torch.device) -> None:
        self.host, self.device = host, device
        from lib_multipass.plan import report
        from lib_multipass.state import kept

        self.kept, self.journal = kept, None
        line = report.Journal.line

        def told(journal: Any, forecast: Any) -> str:
            self.journal, self.forecast = journal, forecast
            return line(journal, forecast)

        report.Journal.line = told

    def job(self, pair: tuple[str, str]) -> bytes:
        """The picture of a job with this pair."""
        side = 512 if self.device.type == "cuda" else 64
        first = {"sd_model_checkpoint": f"{pair[0]}.safetensors"}
        p = self.host.processing.StableDiffusionProcessingTxt2Img(
            prompt="a cat", width=side, height=side, enable_hr=True, denoising_strength=0.6, override_settings=first
        )
        p.scripts = self.host.scripts.scripts_txt2img
        values = [0, *(control.value for control in p.scripts.inputs[1:])]
        place = self.host.script().args_from
        values[place : place + 2] = True, pair[1]
        values[self.host.script("Seed").args_from] = 5
        p.script_args, p.steps = tuple(values), 2
        return self.host.run(p).images[0].tobytes()

    def render(self, pair: tuple[str, str], fast: bool, jobs: int = 2) -> dict[str, Any]:
        """Some jobs in a row; what stands after the last."""
        self.host.shared.opts.data["multipass_fast_swaps"] = fast
        self.empty()
        for _ in range(jobs):
            picture = self.job(pair)
        swaps = [swap.seconds for swap in self.journal.swaps]
        return {
            "picture": picture,
            "places": {one.checkpoint: one.then for one in self.forecast.checkpoints},
            "lies": {model.sd_checkpoint_info.name_for_extra: self.place(model) for model in self.models()},
            "planned": self.forecast.memory.vram_needed,
            "swap": sum(swaps) / max(1, len(swaps)),
            "swaps": len(swaps),
            "loads": sum(swap.disk_loads for swap in self.journal.swaps),
            "locked": 0 if self.kept.pins is None else self.kept.pins.used,
        }

    def models(self) -> list[Any]:
        return self.host.sd_models.model_data.loaded_sd_models

    def place(self, model: Any) -> str:
        """Where a model's large tensors lie."""
        kinds = {tensor.device.type for tensor in model.parameters() if tensor.numel() > 4096}
        return "+".join(sorted(kinds))

    def empty(self) -> None:
        """No checkpoint is loaded, and nothing is known of any."""
        from lib_multipass.webui import host

        host.models.let_go(None)
        data = self.host.sd_models.model_data
        for model in list(data.loaded_sd_models):
            host.models.read_anew(model)
        data.loaded_sd_models.clear()
        data.sd_model = None
        for known in (self.kept.measured, self.kept.lacks):
            known.clear()
        self.kept.stages.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def pair(bench: Bench, kind: str, cards: tuple[float, float], rows: list[dict]) -> dict[str, bool]:
    """Two checkpoints on a card for one of them, moved as the webui does and fast, and on a card for both."""
    found = {}
    for size, fast in ((cards[0], False), (cards[0], True), (cards[1], True)):
        with card_of(int(size * 1e9), bench.device):
            row = {"pair": kind, "card": size, "fast": fast, **bench.render(PAIRS[kind], fast)}
        found[size, fast] = row
        rows.append({name: value for name, value in row.items() if name != "picture"})
        row["same"] = row["picture"] == found[cards[0], False]["picture"]
        tell(row)
    few, moved, both = found.values()
    is_card = bench.device.type == "cuda"
    return {
        "pictures are equal": few["same"] and moved["same"] and both["same"],
        "one waits in RAM": set(moved["places"].values()) == {"RAM"},
        "it lies there": sorted(moved["lies"].values()) == (["cpu", "cuda"] if is_card else ["cpu", "cpu"]),
        "both stay in VRAM": not is_card or set(both["places"].values()) == {"VRAM"},
        "both lie there": not is_card or set(both["lies"].values()) == {"cuda"},
        "no load after the first job": moved["loads"] == both["loads"] == 0,
        "memory is locked for what waits": bool(moved["locked"]) == is_card,
        "fast swaps are faster": not is_card or moved["swap"] < few["swap"] / 3,
    }


def tell(row: Mapping[str, Any]) -> None:
    """A row of the table."""
    planned, lies = (" · ".join(row[name].values()) for name in ("places", "lies"))
    print(
        f"| {row['pair']} | {row['card']:g} GB | {'on' if row['fast'] else 'off'} | {planned} | {lies} "
        f"| {row['swaps']}, {row['swap']:.3f} | {row['loads']} | {'equal' if row['same'] else 'OTHER'} |",
        flush=True,
    )


def out_of_memory(bench: Bench, size: float) -> dict[str, bool]:
    """A card that somebody else fills while a job runs: the job fails, and the next one is right."""
    if bench.device.type != "cuda":
        return {}
    with card_of(int(size * 1e9), bench.device):
        expected = bench.render(PAIRS["sd1"], True)["picture"]
        free = torch.cuda.mem_get_info()[0]
        hog = torch.empty(free + size_of_active(bench) // 2 - WORKING, dtype=torch.uint8, device=bench.device)
        failed = ""
        try:
            bench.job(PAIRS["sd1"])
        except Exception as error:
            failed = type(error).__name__
        whole = all(bench.place(model) in ("cpu", "cuda") for model in bench.models())
        del hog
        torch.cuda.empty_cache()
        again = bench.job(PAIRS["sd1"])
        return {
            "the job fails with the device's own error": failed == "OutOfMemoryError",
            "every model is in one place": whole,
            "the next picture is right": again == expected,
        }


def size_of_active(bench: Bench) -> int:
    """Bytes of the active model."""
    model = bench.host.sd_models.model_data.sd_model
    return sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())


def learned(bench: Bench, size: float) -> dict[str, bool]:
    """What a second pass took of the card, as Multipass read it and as torch did."""
    if bench.device.type != "cuda":
        return {}
    with card_of(int(size * 1e9), bench.device):
        bench.render(PAIRS["sd1"], True)
    known = [took for by_estimate in bench.kept.measured.values() for took in by_estimate.values()]
    return {"what was added to decoding was seen": bool(known) and WORKING <= max(known) < 1.3 * WORKING + 2e8}


def released(bench: Bench, size: float) -> dict[str, bool]:
    """What is left once everything is given back."""
    from lib_multipass.api import release

    with card_of(int(size * 1e9), bench.device):
        bench.render(PAIRS["sd1"], True)
        told = release.release()
        left = [model.sd_checkpoint_info.name_for_extra for model in bench.models()]
        is_card = bench.device.type == "cuda"
        taken = torch.cuda.memory_allocated() if is_card else 0
        return {
            "one checkpoint is let go of": len(told.released) == 1 and len(left) == 1,
            "no memory is locked": bench.kept.pins is None or bench.kept.pins.used == 0,
            "models move as ever": not any("to" in vars(module) for one in bench.models() for module in one.modules()),
            "the card holds one checkpoint": not is_card or taken < 1.1 * size_of_active(bench) + 1e8,
        }


def in_parts(bench: Bench, size: float, rows: list[dict]) -> dict[str, bool]:
    """``--medvram``: the parts of a pair, moved as the webui does and fast."""
    bench.empty()
    with mock.patch.object(bench.host.shared.cmd_opts, "medvram", True), card_of(int(size * 1e9), bench.device):
        bench.host.lowvram.module_in_gpu = None
        found = []
        for fast in (False, True):
            row = {"pair": "sd1 in parts", "card": size, "fast": fast, **bench.render(PAIRS["sd1"], fast, 1)}
            begin = time.monotonic()
            row["picture"] = bench.job(PAIRS["sd1"])
            row["swap"], row["swaps"] = time.monotonic() - begin, 1  # the whole picture
            found.append(row)
            row["same"] = row["picture"] == found[0]["picture"]
            tell(row)
            rows.append({name: value for name, value in row.items() if name != "picture"})
        bench.empty()
    bench.host.lowvram.module_in_gpu = None
    is_card = bench.device.type == "cuda"
    return {
        "pictures are equal": all(row["same"] for row in found),
        "pictures are faster": not is_card or found[1]["swap"] < found[0]["swap"] / 2,
    }
