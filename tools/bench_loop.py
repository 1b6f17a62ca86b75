"""What a new picture, a job of a loop and a batch count cost, with Multipass and by hand, with room for one or two.

    MULTIPASS_WEBUI=/path/to/webui python dev.py bench loop [jobs of each kind]

Starts that webui four times in turn on the CPU, with SD 1.5 files of 2.1 GB and random weights, which are made on the
spot in a temporary folder (some 5 GB; TMPDIR says where) and deleted at the end. CPU seconds are the server's own, so
they depend less than wall seconds on what else the machine does. A job of a tuning loop differs from the one before in
its denoising strength alone, a new picture in its seed. With MULTIPASS_COMFYUI set to the folder of a ComfyUI, and
MULTIPASS_COMFYUI_PYTHON to its Python, the same passes run there as a graph, side by side.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import comfyui
from support import webuis

JOBS, BATCHES = 3, 3
NEW, TUNING, BATCH = "a new picture", "a job of the loop", f"a batch count of {BATCHES}"


@dataclass(frozen=True)
class Work:
    """What each of the two passes does; the second one has the first one's size, so that a step costs the same."""

    side: int
    """Pixels."""
    steps: int


WORK = Work(128, 2)


@dataclass(frozen=True)
class Way:
    """How the two passes are made."""

    name: str
    multipass: bool
    flags: tuple[str, ...] = ()
    limit: int = 1


WAYS = (
    Way("by hand, room for one", multipass=False),
    Way("by hand, room for two", multipass=False, limit=2),
    Way("Multipass, room for one", multipass=True, flags=("--multipass-ram-reserve", "1000")),
    Way("Multipass, room for two", multipass=True),
)


@dataclass(frozen=True)
class Cost:
    """Of one job."""

    cpu: float
    """Seconds, of all cores together."""
    wall: float
    loads: int | None
    """From disk; None where nobody counts."""


Job = dict[str, Any]
"""``seed``, and what differs from the usual ``denoising_strength`` and ``n_iter``."""
Ask = Callable[[Job], Cost]


def cost(pid: int, run: Callable[[], None], loads: Callable[[], int | None]) -> Cost:
    """What a process needs for something."""
    process = psutil.Process(pid)
    before, begin = process.cpu_times(), time.perf_counter()
    run()
    wall, after = time.perf_counter() - begin, process.cpu_times()
    return Cost(after.user + after.system - before.user - before.system, wall, loads())


def asking(server: webuis.Server, way: Way, work: Work) -> Ask:
    """Jobs of a webui."""
    ours = {"alwayson_scripts": {"Multipass": {"args": [True, "beta"]}}}
    own = ours if way.multipass else {"hr_checkpoint_name": "beta"}
    own |= {"hr_scale": 1, "hr_upscaler": "Lanczos", "hr_second_pass_steps": work.steps, "enable_hr": True}
    own |= {"width": work.side, "height": work.side, "steps": work.steps}

    def ask(job: Job) -> Cost:
        server.client.probe()
        return cost(
            server.process.pid,
            lambda: server.client.txt2img(**usual(job), **own),
            lambda: len(server.client.probe()["reads"]),
        )

    return ask


def asking_comfyui(url: str, pid: int) -> Ask:
    """The same jobs as graphs; a batch count is as many of them, from seed to seed."""

    def run(job: Job) -> None:
        for seed in range(job["seed"], job["seed"] + job["n_iter"]):
            graph = comfyui.graph(
                "alpha.safetensors", "beta.safetensors", WORK.side, WORK.steps, WORK.steps, job | {"seed": seed}
            )
            comfyui.run(url, graph)

    return lambda job: cost(pid, lambda: run(usual(job)), lambda: None)


def usual(job: Job) -> Job:
    return {"denoising_strength": 0.5, "n_iter": 1, **job}


def measured(ask: Ask, jobs: int) -> dict[str, list[Cost]]:
    """All jobs of one way, after one that meets everything for the first time."""
    ask({"seed": 1})
    found = {NEW: [ask({"seed": 10 + number}) for number in range(jobs)]}
    ask({"seed": 2})
    found[TUNING] = [ask({"seed": 2, "denoising_strength": 0.6 + number / 20}) for number in range(jobs)]
    return {**found, BATCH: [ask({"seed": 20, "n_iter": BATCHES})]}


def table(rows: dict[str, dict[str, list[Cost]]]) -> None:
    print(f"\n| CPU seconds, median (wall; loads from disk) | {NEW} | {TUNING} | loop ÷ new | {BATCH} |")
    print("|---|---|---|---|---|")
    for name, kinds in rows.items():
        cells = []
        for costs in kinds.values():
            cpu, wall = (statistics.median(getattr(one, what) for one in costs) for what in ("cpu", "wall"))
            loads = "+".join("?" if one.loads is None else str(one.loads) for one in costs)
            cells.append(f"{cpu:.1f} ({wall:.1f}; {loads})")
        ratio = statistics.median(one.cpu for one in kinds[TUNING]) / statistics.median(one.cpu for one in kinds[NEW])
        print(f"| {name} | {cells[0]} | {cells[1]} | {ratio:.2f} | {cells[2]} |")


def main() -> int:
    given = webuis.given()
    if not given:
        print(f"bench loop needs a real webui: {webuis.HOW_TO_GIVE}.", file=sys.stderr)
        return 2
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else JOBS
    rows = {}
    with tempfile.TemporaryDirectory(prefix="multipass-bench-", ignore_cleanup_errors=True) as folder:
        files = Path(folder) / "files"
        print("Making two files of 2.1 GB.", flush=True)
        webuis.make_full_size(given[0], files, "alpha", "beta")
        for number, way in enumerate(WAYS):
            data = Path(folder) / f"data-{number}"
            shutil.copytree(files, data, copy_function=os.link)
            config = {"sd_checkpoints_limit": way.limit}
            kept = {"multipass_stages": 512} if way.multipass else {}
            with webuis.running(
                given[0], data, *way.flags, multipass=way.multipass, checkpoints=False, config=config | kept
            ) as server:
                rows[way.name] = measured(asking(server, way, WORK), jobs)
            print(f"  {given[0]}, {way.name}: {rows[way.name]}", flush=True)
        if comfyui.folder():
            base = Path(folder) / "comfyui"
            shutil.copytree(
                files / "models" / "Stable-diffusion", base / "models" / "checkpoints", copy_function=os.link
            )
            with comfyui.running(comfyui.folder(), base) as (url, pid):
                rows["ComfyUI"] = measured(asking_comfyui(url, pid), jobs)
            print(f"  ComfyUI: {rows['ComfyUI']}", flush=True)
    table(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
