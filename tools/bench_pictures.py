"""What a new picture costs by hand and with Multipass, side by side, in every webui that is given.

    MULTIPASS_WEBUI=/path/to/webui:/path/to/reforge:/path/to/neo python dev.py bench pictures [pictures]

Each webui is started twice in turn on the CPU, at its default settings, with SD 1.5 files of 2.1 GB and random weights,
which the first one that can makes on the spot in a temporary folder (some 5 GB; TMPDIR says where). Both passes take
one step of 64 × 64 pixels: what is measured is what a picture costs besides its sampling.
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
BY_HAND, OURS = WAYS[0], WAYS[-1]


def costs(webui: webuis.Webui, way: Way, files: Path, data: Path, pictures: int) -> list[Cost]:
    """Of new pictures, after one that meets everything for the first time."""
    shutil.copytree(files, data, copy_function=os.link)
    with webuis.running(webui, data, multipass=way.multipass, checkpoints=False) as server:
        ask = asking(server, way, WORK)
        ask({"seed": 1})
        return [ask({"seed": 2 + number}) for number in range(pictures)]


def row(webui: webuis.Webui, found: dict[Way, list[Cost]]) -> str:
    wall = {way: statistics.median(one.wall for one in each) for way, each in found.items()}
    loads = {way: "+".join(str(one.loads) for one in each) for way, each in found.items()}
    cells = [f"{wall[way]:.1f} s ({loads[way]})" for way in (BY_HAND, OURS)]
    return f"| {webui} | {' | '.join(cells)} | {wall[BY_HAND] / wall[OURS]:.1f} |"


def main() -> int:
    given = webuis.given()
    makers = [webui for webui in given if webui.kind.makes_files]
    if not makers:
        print(f"bench pictures needs a stock webui among those given: {webuis.HOW_TO_GIVE}.", file=sys.stderr)
        return 2
    pictures = int(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    rows = []
    with tempfile.TemporaryDirectory(prefix="multipass-bench-", ignore_cleanup_errors=True) as folder:
        files = Path(folder) / "files"
        print("Making two files of 2.1 GB.", flush=True)
        webuis.make_full_size(makers[0], files, "alpha", "beta")
        for number, webui in enumerate(given):
            found = {}
            for way in (BY_HAND, OURS):
                data = Path(folder) / f"data-{number}-{way.multipass}"
                found[way] = costs(webui, way, files, data, pictures)
                print(f"  {webui}, {way.name}: {found[way]}", flush=True)
            rows.append(row(webui, found))
    print("\n| A new picture, median wall time (loads of each) | by hand | Multipass | by hand ÷ Multipass |")
    print("|---|---|---|---|")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
