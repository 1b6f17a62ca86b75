"""What a card does with *Fast swaps* and with whole jobs, on a machine that has Python, torch and a card, and no webui.

    python tools/card.py [--json FILE] [--seconds 330] [--tiny]

Needs torch, numpy, Pillow, psutil and safetensors, nothing else; for gradio, fastapi and pydantic it stands in. First
the swaps alone: a checkpoint's tensors of SD 1.5 and SDXL, as the webui moves them and as Multipass does. Then jobs of
the miniature with models of these sizes, on cards of 7 to 24 GB that are this one with a limit: where checkpoints lie,
running out of memory and what follows, what is learned of pictures, releasing, the first swap to a checkpoint. Prints
tables in Markdown, and ends by itself when the time is used up. ``--tiny`` is for machines without a card: everything
small, on the processor.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tools")]

import card_bare  # noqa: E402

card_bare.stand_in()

import torch  # noqa: E402

import card_ahead  # noqa: E402
import card_jobs  # noqa: E402
import card_swaps  # noqa: E402
from support import layouts  # noqa: E402

CARDS = {"sd1": (7.0, 11.0), "sdxl": (16.0, 24.0)}
"""GB of a card with room for one checkpoint of a pair beside the pictures, and for both."""
SWAP_HEADS = (
    *("checkpoint", "GB", "a plain locked copy", "the webui, there and back", "fast, there and back"),
    *("of the copy", "of the webui", "the first time", "back with networks", "nothing locked, of the webui"),
)
JOB_HEADS = ("jobs", "card", "fast swaps", "planned", "lie", "swaps, seconds each", "loads", "picture")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=330)
    parser.add_argument("--tiny", action="store_true")
    told = parser.parse_args(arguments)
    if not told.tiny and not torch.cuda.is_available():
        print("There is no card that torch can use; --tiny tries everything small, on the processor.", file=sys.stderr)
        return 2
    device = torch.device("cpu", 0) if told.tiny else torch.device("cuda")
    shapes = {"sd1": layouts.sd1(), "sdxl": layouts.sdxl()}
    if told.tiny:
        shapes = {kind: _few(named) for kind, named in shapes.items()}
    name = "the processor" if told.tiny else torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}\n", flush=True)
    found: dict[str, Any] = {
        "card": name,
        "torch": torch.__version__,
        "swaps": [],
        "jobs": [],
        "ahead": [],
        "checks": {},
    }
    try:
        _run(found, shapes, device, time.monotonic() + told.seconds)
    finally:
        if told.json:
            told.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    wrong = [check for check, holds in found["checks"].items() if not holds]
    print(f"\n{len(found['checks'])} checks, wrong: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


def _few(named: dict[str, list[int]]) -> dict[str, list[int]]:
    """A tenth of the tensors, small."""
    return {name: [-(-side // 32) for side in shape] for name, shape in list(named.items())[::10]}


def _run(found: dict[str, Any], shapes: dict, device: torch.device, until: float) -> None:
    """All cases, until the time is used up."""
    _head(SWAP_HEADS)
    for kind, names in shapes.items():
        if _is_late(found, kind, until):
            return
        row = card_swaps.measure(kind, names, device)
        found["swaps"].append(row)
        found["checks"][f"{kind}: values are whole"] = row["whole"]
        print(card_swaps.line(row), flush=True)
    if device.type == "cuda":
        found["checks"]["the device works on after locks were refused"] = card_swaps.survives_a_refusal(device)
    with tempfile.TemporaryDirectory(prefix="multipass-card-") as folder:
        bench = card_jobs.Bench(card_jobs.start(Path(folder), device, shapes), device)
        print()
        _head(JOB_HEADS)
        for name, check in _cases(bench, found["jobs"], found["ahead"]):
            if _is_late(found, name, until):
                return
            begin = time.monotonic()
            found["checks"].update({f"{name}: {what}": holds for what, holds in check().items()})
            found.setdefault("seconds", {})[name] = time.monotonic() - begin


def _head(names: Collection[str]) -> None:
    print(f"| {' | '.join(names)} |")
    print("|" + "---|" * len(names), flush=True)


def _is_late(found: dict[str, Any], name: str, until: float) -> bool:
    late = time.monotonic() > until
    if late:
        found["checks"][f"{name}: there was time for it"] = False
    return late


def _cases(
    bench: card_jobs.Bench, rows: list[dict], ahead: list[dict]
) -> Iterator[tuple[str, Callable[[], dict[str, bool]]]]:
    few, many = CARDS["sd1"]
    for kind, cards in CARDS.items():
        yield f"{kind} pair", lambda kind=kind, cards=cards: card_jobs.pair(bench, kind, cards, rows)
    yield "out of memory", lambda: card_jobs.out_of_memory(bench, few)
    yield "what pictures take", lambda: card_jobs.learned(bench, many)
    yield "released", lambda: card_jobs.released(bench, few)
    yield "in parts", lambda: card_jobs.in_parts(bench, few, rows)
    for kind, cards in CARDS.items():
        yield f"{kind} first swap", lambda kind=kind, cards=cards: card_ahead.first_swap(bench, kind, cards[0], ahead)


if __name__ == "__main__":
    sys.exit(main())
