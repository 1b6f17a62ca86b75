"""The same two passes as a graph of ComfyUI, for a benchmark side by side.

A graph is what its page sends to ``POST /prompt`` (https://docs.comfy.org/development/comfyui-server/comms_routes):
nodes by number, each with its class and its inputs, an input being a value or the number and output of another node.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from support import webuis

GIVEN = "MULTIPASS_COMFYUI"
"""A variable with the folder of a ComfyUI; its Python is named by this one and ``_PYTHON``."""
ONLY_ITSELF = ("--cpu", "--disable-all-custom-nodes", "--disable-api-nodes")
SLOWEST_START, SLOWEST_JOB = 300, 3600


def folder() -> Path | None:
    """The one that the environment names."""
    named = os.environ.get(GIVEN)
    return Path(named) if named else None


def graph(first: str, second: str, side: int, steps: int, hires_steps: int, job: dict[str, Any]) -> dict[str, Any]:
    """The two passes; the picture is decoded, scaled to its own size and encoded again between them, as in the webui.

    Args:
        first: the file name of the first pass's checkpoint.
        second: that of the second pass's.
        side: pixels.
        steps: of the first pass.
        hires_steps: of the second.
        job: ``seed`` and ``denoising_strength``.
    """
    sampling = {"seed": job["seed"], "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal"}
    nodes = {
        "1": ("CheckpointLoaderSimple", {"ckpt_name": first}),
        "2": ("CheckpointLoaderSimple", {"ckpt_name": second}),
        "3": ("CLIPTextEncode", {"text": "a cat", "clip": ["1", 1]}),
        "4": ("CLIPTextEncode", {"text": "", "clip": ["1", 1]}),
        "5": ("CLIPTextEncode", {"text": "a cat", "clip": ["2", 1]}),
        "6": ("CLIPTextEncode", {"text": "", "clip": ["2", 1]}),
        "7": ("EmptyLatentImage", {"width": side, "height": side, "batch_size": 1}),
        "8": ("KSampler", _pass(["1", 0], ["3", 0], ["4", 0], ["7", 0], steps=steps, denoise=1.0, **sampling)),
        "9": ("VAEDecode", {"samples": ["8", 0], "vae": ["1", 2]}),
        "10": ("ImageScale", {"image": ["9", 0], **_size(side), "upscale_method": "lanczos", "crop": "disabled"}),
        "11": ("VAEEncode", {"pixels": ["10", 0], "vae": ["2", 2]}),
        "12": (
            "KSampler",
            _pass(
                ["2", 0], ["5", 0], ["6", 0], ["11", 0],
                steps=hires_steps, denoise=job["denoising_strength"], **sampling,
            ),
        ),
        "13": ("VAEDecode", {"samples": ["12", 0], "vae": ["2", 2]}),
        "14": ("PreviewImage", {"images": ["13", 0]}),
    }  # fmt: skip
    return {number: {"class_type": kind, "inputs": inputs} for number, (kind, inputs) in nodes.items()}


def _pass(model: list, positive: list, negative: list, latent: list, **values: Any) -> dict[str, Any]:
    return {"model": model, "positive": positive, "negative": negative, "latent_image": latent, **values}


def _size(side: int) -> dict[str, int]:
    return {"width": side, "height": side}


@contextmanager
def running(root: Path, base: Path) -> Iterator[tuple[str, int]]:
    """Start it on a free loopback port; its address and process id.

    Args:
        root: its folder.
        base: a folder for what it reads and writes; checkpoints lie in ``models/checkpoints`` below it.
    """
    port = webuis.free_port()
    python = os.environ.get(f"{GIVEN}_PYTHON") or sys.executable
    (base / "user").mkdir(parents=True, exist_ok=True)
    command = [python, "main.py", *ONLY_ITSELF, "--listen", "127.0.0.1", "--port", str(port), "--base-directory", base]
    with (base / "log.txt").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT, env=_environment())
    url = f"http://127.0.0.1:{port}"
    try:
        _until(lambda: _answers(url), SLOWEST_START, f"ComfyUI did not start; its log is {base / 'log.txt'}")
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


def run(url: str, prompt: dict[str, Any]) -> None:
    """Run a graph to its end.

    Raises:
        RuntimeError: ComfyUI refused it, or it failed.
    """
    answer = requests.post(f"{url}/prompt", json={"prompt": prompt}, timeout=60)
    if not answer.ok:
        raise RuntimeError(f"ComfyUI refused the graph: {answer.text}")
    number = answer.json()["prompt_id"]

    def ended() -> bool:
        return number in requests.get(f"{url}/history/{number}", timeout=60).json()

    _until(ended, SLOWEST_JOB, "ComfyUI did not end the graph")
    status = requests.get(f"{url}/history/{number}", timeout=60).json()[number]["status"]
    if status["status_str"] != "success":
        raise RuntimeError(f"The graph failed in ComfyUI: {status}")


def _environment() -> dict[str, str]:
    return {**os.environ, **webuis.ENVIRONMENT}


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/queue", timeout=5).ok
    except requests.ConnectionError:
        return False


def _until(done: Any, seconds: float, otherwise: str) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise RuntimeError(f"{otherwise} (within {seconds} seconds).")
        time.sleep(0.2)
