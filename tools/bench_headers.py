"""What it costs to know what checkpoint files are: one file, and a folder of 1,000.

    python dev.py bench headers

The files have the headers of SD 1.5 (1,131 tensors) and SDXL (2,515), half of each, in the forms that are about: with
and without texts beside the tensors, in float16, bfloat16 and float32, and with a tensor more. Their data is a hole.
Printed are processor milliseconds, the best and the median; the files' headers are in the system's file cache.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lib_multipass.memory import headers
from support import layouts

FILES = 1000
TIMES = 30


def milliseconds(work: Callable[[], object], times: int) -> list[float]:
    """Processor time of each run."""
    taken = []
    for _ in range(times):
        begin = time.process_time()
        work()
        taken.append((time.process_time() - begin) * 1000)
    return taken


def told(taken: list[float]) -> str:
    return f"best {min(taken):.2f} ms, median {statistics.median(taken):.2f} ms"


def forget() -> None:
    headers._known.clear()
    headers._layouts.clear()


def first_time(path: Path) -> None:
    """Reads a file as the first one of its kind."""
    forget()
    headers.read_facts(path)


def variants(alike: bool) -> list[tuple[dict, str, dict[str, str] | None]]:
    """The shapes and the dtype of each of a folder's files, and the texts beside its tensors."""
    shapes = [layouts.sd1(), layouts.sdxl()]
    found = []
    for number in range(FILES):
        names = dict(shapes[number % 2])
        if not alike:
            names[f"model_ema.number_{number}"] = [number + 1]
        elif number % 5 == 0:
            names["alphas_cumprod"] = [1000]
        dtype = ("F16", "F16", "BF16", "F16", "F32")[number // 2 % 5]
        found.append((names, dtype, {"format": "pt", "title": f"file {number}"} if number % 3 else None))
    return found


def fill(folder: Path, alike: bool) -> list[Path]:
    """Write the files; equal headers are made once."""
    made: dict[str, dict] = {}
    files = []
    for number, (names, dtype, texts) in enumerate(variants(alike)):
        key = json.dumps([len(names), dtype, "" if alike else number])
        entries = made[key] if key in made else layouts.header(names, dtype)
        if alike:
            made[key] = entries
        files.append(layouts.write_hollow(folder / f"{number}.safetensors", entries, texts))
    return files


def folder_of(alike: bool) -> str:
    with tempfile.TemporaryDirectory(prefix="multipass-bench-", ignore_cleanup_errors=True) as folder:
        files = fill(Path(folder), alike)
        forget()
        cold = milliseconds(lambda: [headers.remembered(file) for file in files], 1)
        assert all(headers.remembered(file).kind == headers.CHECKPOINT for file in files)
        warm = milliseconds(lambda: [headers.remembered(file) for file in files], TIMES)
    return f"all for the first time {cold[0] / 1000:.2f} s, again {told(warm)}"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="multipass-bench-", ignore_cleanup_errors=True) as folder:
        for name, shapes in (("SD 1.5", layouts.sd1()), ("SDXL", layouts.sdxl())):
            path = layouts.write_hollow(Path(folder) / "file.safetensors", layouts.header(shapes))
            raw = layouts.raw_header(layouts.header(shapes))
            print(f"{name}, {len(shapes):,} tensors, header of {len(raw) / 1000:.0f} kB")
            print(f"  first of its layout: {told(milliseconds(lambda path=path: first_time(path), TIMES))}")
            print(f"  another of the same: {told(milliseconds(lambda path=path: headers.read_facts(path), TIMES))}")
            print(f"  json.loads of its header alone: {told(milliseconds(lambda raw=raw: json.loads(raw), TIMES))}")
    print(f"a folder of {FILES:,} checkpoints: {folder_of(alike=True)}")
    print(f"the same if no two of them had the same tensors: {folder_of(alike=False)}")


if __name__ == "__main__":
    main()
