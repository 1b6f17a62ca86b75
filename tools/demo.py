"""Renders one picture in two passes with faces, on the miniature webui, through its HTTP API.

    python dev.py demo [--serve] [--out FILE] [--small FILE]

The miniature's checkpoints are a few MB and paint a fixed scene: this shows what Multipass does, not what real
checkpoints look like. ``--small docs/demo.jpg`` also makes the copy that stands in README.md.
"""

from __future__ import annotations

import argparse
import base64
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageDraw

from support import webuis
from support.client import Client

FIRST, SECOND = "cartoon", "photo"
SIZE = 384
SMALL = 288
"""How wide each half of the small copy is."""
JOB = {"prompt": "a portrait in the hills", "seed": 11, "steps": 12, "width": SIZE, "height": SIZE}
FACES = {"ADetailer": {"args": [True, False, {"ad_model": "face_yolov8n.pt", "ad_denoising_strength": 0.15}]}}
TWO_PASSES = {
    **{"enable_hr": True, "hr_upscaler": "Lanczos", "hr_scale": 1.5, "denoising_strength": 0.55},
    "alwayson_scripts": {**FACES, "Multipass": {"args": [True, f"{SECOND}.safetensors"]}},
}


def render(client: Client, **more) -> tuple[Image.Image, str]:
    """One picture and its infotext."""
    done = client.txt2img(**{**JOB, **more})
    picture = Image.open(io.BytesIO(base64.b64decode(done.encoded[0]))).convert("RGB")
    return picture, done.infotext


def side_by_side(first: Image.Image, result: Image.Image, side: int) -> Image.Image:
    """The first pass and the result, each this wide."""
    both = Image.new("RGB", (2 * side + 8, side + 24), "white")
    draw = ImageDraw.Draw(both)
    for column, (title, picture) in enumerate(((f"pass 1: {FIRST}", first), (f"pass 2 and face: {SECOND}", result))):
        way = Image.Resampling.NEAREST if side > picture.width else Image.Resampling.LANCZOS
        both.paste(picture.resize((side, side), way), (column * (side + 8), 24))
        draw.text((column * (side + 8) + 4, 6), title, fill="black")
    return both


@contextmanager
def miniature() -> Iterator[webuis.Server]:
    """A miniature with the first checkpoint selected."""
    config = {"sd_model_checkpoint": f"{FIRST}.safetensors"}
    with tempfile.TemporaryDirectory(prefix="multipass-demo-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "webui"
        with webuis.running(webuis.miniatures()[0], data, config=config, checkpoints=False) as server:
            yield server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help="leave the miniature running until Ctrl+C")
    parser.add_argument("--out", type=Path, default=Path("multipass-demo.png"), help="where to write the picture")
    parser.add_argument("--small", type=Path, help="where to write a small copy of it")
    options = parser.parse_args()
    with miniature() as server:
        first, _ = render(server.client)
        result, infotext = render(server.client, **TWO_PASSES)
        side_by_side(first, result, result.width).save(options.out)
        if options.small:
            side_by_side(first, result, SMALL).save(options.small)
        line = next(line for line in server.log.splitlines() if line.startswith("[Multipass] 1 "))
        print(infotext, line, f"picture: {options.out.resolve()}", f"page: {server.client.url}", sep="\n")
        if options.serve:
            print("Ctrl+C stops the miniature.", flush=True)
            server.process.wait()


if __name__ == "__main__":
    main()
