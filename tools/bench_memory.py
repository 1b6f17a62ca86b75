"""Swap times and peak memory on a CUDA device: kept in VRAM, parked in RAM, and as the webui does it by itself.

    MULTIPASS_WEBUI=/path/to/webui python dev.py bench memory

Prints a table in Markdown for ``docs/memory.md``. Uses hollow files of the full size (three SD 1.5, two SDXL): their
numbers are zeros, which costs no disk and changes neither sizes nor moves. The webui has to have a CUDA device and the
text encoders' tokenizers that it downloads once.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from support import layouts, webuis

JOBS = 4
WISHES = ("In VRAM", "In RAM", "As the webui is set")
FILES = {
    "alpha": layouts.sd1,
    "beta": layouts.sd1,
    "gamma": layouts.sd1,
    "epsilon": layouts.sdxl,
    "upsilon": layouts.sdxl,
}
CASES = (("alpha", "beta", "gamma", 512), ("epsilon", "upsilon", None, 1024))
"""First and second pass, the refiner as third checkpoint, and the first pass's width and height in pixels."""
SWAPS = re.compile(r"swaps? \((?P<swaps>.*)\), \d+ loads? from disk")
ONE = re.compile(r"to (?P<name>\S+) (?:(?P<times>\d+) × )?(?P<seconds>[0-9.]+) s")


def device_of(webui: webuis.Webui) -> str | None:
    """The name of the CUDA device that this webui computes on, or None."""
    code = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    told = subprocess.run([webui.python, "-c", code], capture_output=True, text=True, check=False)
    return told.stdout.strip() or None


def swap_seconds(log: str) -> list[float]:
    """The mean seconds of the swaps in the last job's console line, by checkpoint."""
    lines = [line for line in log.splitlines() if "[Multipass] 1 " in line]
    found = SWAPS.search(lines[-1])
    return [float(swap["seconds"]) for swap in ONE.finditer(found["swaps"])] if found else []


def measure(
    server: webuis.Server, keep: str, first: str, second: str, third: str | None, side: int
) -> dict[str, float]:
    """Medians over some jobs with this wish, in seconds and bytes."""
    job = {
        "width": side, "height": side, "steps": 2, "enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent",
        "hr_second_pass_steps": 2, "denoising_strength": 0.6,
        "override_settings": {"sd_model_checkpoint": f"{first}.safetensors"},
        "alwayson_scripts": {"Multipass": {"args": [{"checkpoint": second, "keep": keep}]}},
    }  # fmt: skip
    if third is not None:
        job |= {"refiner_checkpoint": third, "refiner_switch_at": 0.5}
    server.client.txt2img(**job)
    server.client.probe()
    swaps, peaks = [], []
    for _ in range(JOBS):
        server.client.txt2img(**job)
        swaps += swap_seconds(server.log)
        peaks.append(server.client.probe()["device"]["peak"])
    memory = server.client.post("/multipass/v1/plan", job)["memory"]
    planned = memory["vram_needed"] + memory["vram_reserve"] if memory["vram_needed"] else 0
    return {"swap": statistics.median(swaps), "peak": max(peaks), "planned": planned}


def main() -> int:
    given = webuis.given()
    name = device_of(given[0]) if given else None
    if name is None:
        missing = "no CUDA device in that webui" if given else webuis.HOW_TO_GIVE
        print(f"bench memory needs a webui on a CUDA device: {missing}.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="multipass-bench-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        for file, shapes in FILES.items():
            path = data / "models" / "Stable-diffusion" / f"{file}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            layouts.write_hollow(path, layouts.header(shapes()))
        with webuis.running(given[0], data, "--disable-nan-check", checkpoints=False, device=()) as server:
            print(f"{name}, {given[0]}, medians of {JOBS} jobs\n")
            print("| checkpoints | kept | seconds a swap | peak of VRAM | planned at most |\n|---|---|---|---|---|")
            for first, second, third, side in CASES:
                for keep in WISHES:
                    row = measure(server, keep, first, second, third, side)
                    sizes = f"{row['peak'] / 1e9:.1f} GB | {row['planned'] / 1e9:.1f} GB"
                    what = f"{3 if third else 2} × {'SD 1.5' if third else 'SDXL'}"
                    print(f"| {what} | {keep} | {row['swap']:.2f} | {sizes} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
