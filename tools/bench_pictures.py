"""What a new picture costs by hand and with Multipass, side by side, in every webui that is given.

    MULTIPASS_WEBUI=/path/to/webui:/path/to/reforge:/path/to/neo python dev.py bench pictures [pictures]

Each webui is started twice in turn on the CPU, at its default settings, with SD 1.5 files of 2.1 GB and random weights,
which the first one that can makes on the spot in a temporary folder (some 5 GB; TMPDIR says where). Both passes take
one step of 64 × 64 pixels: what is measured is what a picture costs besides its sampling. The files lie in the system's
cache, and then, where the system can be told so, on the disk alone, as those of somebody with more of them than memory.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from bench_loop import WAYS, Cost, Way, Work, asking
from support import webuis

PICTURES = 3
WORK = Work(64, 1)
CACHED, ON_DISK = "in the cache", "on the disk"
BY_HAND, OURS = WAYS[0], WAYS[-1]


def costs(webui: webuis.Webui, way: Way, files: Path, data: Path, pictures: int) -> dict[str, list[Cost]]:
    """Of new pictures, after one that meets everything for the first time; by where the files lie."""
    shutil.copytree(files, data, copy_function=os.link)
    with webuis.running(webui, data, multipass=way.multipass, checkpoints=False) as server:
        ask = asking(server, way, WORK)
        ask({"seed": 1})
        found = {CACHED: [ask({"seed": 2 + number}) for number in range(pictures)]}
        if hasattr(os, "posix_fadvise"):
            found[ON_DISK] = []
            for number in range(pictures):
                leave_cache(files)
                found[ON_DISK].append(ask({"seed": 2 + pictures + number}))
        return found


def leave_cache(folder: Path) -> None:
    """Have the system forget what it has read of these files."""
    os.sync()  # what was not written yet would stay
    for path in folder.rglob("*.safetensors"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rows_of(webui: webuis.Webui, found: dict[Way, dict[str, list[Cost]]]) -> list[str]:
    rows = []
    for place in found[OURS]:
        wall = {way: statistics.median(one.wall for one in each[place]) for way, each in found.items()}
        loads = {way: "+".join(str(one.loads) for one in each[place]) for way, each in found.items()}
        cells = [f"{wall[way]:.1f} s ({loads[way]})" for way in (BY_HAND, OURS)]
        rows.append(f"| {webui} | {place} | {' | '.join(cells)} | {wall[BY_HAND] / wall[OURS]:.1f} |")
    return rows


def main() -> int:
    given, maker = webuis.given(), webuis.maker()
    if maker is None:
        print(f"bench pictures needs a stock webui among those given: {webuis.HOW_TO_GIVE}.", file=sys.stderr)
        return 2
    pictures = int(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    rows = []
    with tempfile.TemporaryDirectory(prefix="multipass-bench-", ignore_cleanup_errors=True) as folder:
        files = Path(folder) / "files"
        print("Making two files of 2.1 GB.", flush=True)
        webuis.make_full_size(maker, files, "alpha", "beta")
        for number, webui in enumerate(given):
            found = {}
            for way in (BY_HAND, OURS):
                data = Path(folder) / f"data-{number}-{way.multipass}"
                found[way] = costs(webui, way, files, data, pictures)
                print(f"  {webui}, {way.name}: {found[way]}", flush=True)
            rows.extend(rows_of(webui, found))
    print("\n| A new picture, median wall time (loads of each) | files | by hand | Multipass | by hand ÷ Multipass |")
    print("|---|---|---|---|---|")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
