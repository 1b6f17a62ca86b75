"""The wait at the first swap to a full-size checkpoint that was never used, with and without reading it ahead.

    MULTIPASS_WEBUI=/path/to/webui python dev.py bench reader [pairs of jobs]

Starts each of the webuis on the CPU with SD 1.5 files of 2.1 GB and random weights, which are made on the spot in a
temporary folder (some 13 GB; TMPDIR says where) and deleted at the end. Each job's second checkpoint is a fresh copy
under a new name whose bytes were dropped from the system's file cache; jobs with and without ``multipass_read_ahead``
alternate. Without it, a swap is the webui's own: hash, read, convert, copy.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from support import webuis
from support.client import RefusedError

PAIRS = 3
STEPS = 5
"""Enough that the first pass takes longer than reading the file: a step reads all weights, 3.4 GB in float32."""


def fresh_copy(server: webuis.Server, name: str) -> None:
    """A file that was never seen and is not in the file cache."""
    folder = server.data / "models" / "Stable-diffusion"
    for old in folder.glob("copy-*"):
        old.unlink()
    shutil.copyfile(folder / "beta.safetensors", folder / f"{name}.safetensors")
    for path in (folder / "beta.safetensors", folder / f"{name}.safetensors"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    server.client.post("/sdapi/v1/refresh-checkpoints")


def measured(server: webuis.Server, name: str, ahead: bool) -> dict[str, float]:
    """Seconds of one job whose second checkpoint is that file."""
    server.client.post("/sdapi/v1/options", {"multipass_read_ahead": ahead})
    server.client.txt2img(steps=1, prompt="to the first checkpoint")
    server.client.get("/probe/times")
    begin = time.perf_counter()
    server.client.txt2img(
        steps=STEPS, enable_hr=True, hr_scale=1, hr_upscaler="Latent",
        hr_second_pass_steps=1, denoising_strength=0.6, alwayson_scripts={"Multipass": {"args": [True, name]}},
    )  # fmt: skip
    whole = time.perf_counter() - begin
    times = server.client.get("/probe/times")
    (swap,) = [entry for entry in times["swaps"] if Path(entry[2]).stem == name and entry[1] - entry[0] > 0.01]
    hashing = [end - start for start, end, stem in times["hashes"] if stem == name and start >= swap[0]]
    first_pass = [step for step in times["steps"] if step < swap[0]]
    return {
        "hash wait": sum(hashing),
        "swap": swap[1] - swap[0],
        "whole job": whole,
        "step": statistics.median(end - begin for begin, end in pairwise(first_pass)),
    }


def row(webui: webuis.Webui, jobs: dict[bool, list[dict[str, float]]]) -> str:
    """Medians without and with it, and their ratios."""

    def median(ahead: bool, key: str) -> float:
        return statistics.median(job[key] for job in jobs[ahead])

    cells = [str(webui)]
    for key in ("swap", "whole job"):
        off, on = median(False, key), median(True, key)
        cells += [f"{off:.1f} s", f"{on:.1f} s", f"{on / off:.2f}"]
    cells.append(f"{100 * (median(True, 'step') / median(False, 'step') - 1):+.0f} %")
    return f"| {' | '.join(cells)} |"


def jobs_of(webui: webuis.Webui, files: Path, data: Path, pairs: int) -> dict[bool, list[dict[str, float]]]:
    """All jobs of one webui, by whether the file was read ahead."""
    shutil.copytree(files, data)
    found: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with webuis.running(webui, data, checkpoints=False, environment={"PROBE_TIMES": "1"}) as server:
        try:
            for number in range(2 * pairs):
                ahead = bool(number % 2)
                fresh_copy(server, f"copy-{number}")
                found[ahead].append(measured(server, f"copy-{number}", ahead=ahead))
                print(f"  {webui}, read ahead {ahead}: {found[ahead][-1]}", flush=True)
        except (RefusedError, ValueError, IndexError):
            print(server.log[-6000:], file=sys.stderr)
            raise
    shutil.rmtree(data)
    return found


def main() -> int:
    given, maker = webuis.given(), webuis.maker()
    if maker is None:
        print(f"bench reader needs a stock webui among those given: {webuis.HOW_TO_GIVE}.", file=sys.stderr)
        return 2
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    with tempfile.TemporaryDirectory(prefix="multipass-bench-", ignore_cleanup_errors=True) as folder:
        files = Path(folder) / "files"
        print("Making two files of 2.1 GB.", flush=True)
        webuis.make_full_size(maker, files, "alpha", "beta")
        rows = [row(webui, jobs_of(webui, files, Path(folder) / "data", pairs)) for webui in given]
    print("\n| Median wall time | first swap | ahead | ÷ | whole job | ahead | ÷ | a step of the first pass |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
