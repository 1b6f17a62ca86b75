"""Jobs on a pretended device, and where their models lie."""

from __future__ import annotations

import torch

PIXELS = 128 * 128
"""Of the second pass of a job here."""


def begin(bench, room, **more):
    """A device with room for so many models beside the pictures."""
    device = bench.begin(room, per_pixel=16, **more)
    device.total += 16 * PIXELS
    return device


def render(bench, *args, **fields):
    """Run a job; what it was to do, and what it did."""
    p = bench.host.job(*args, **fields)
    bench.story()
    bench.host.run(p)
    return bench.forecast, bench.story()


def planned(forecast):
    return {kept.checkpoint: kept.then for kept in forecast.checkpoints}


def lies(bench):
    """Where everything lies after a job, in the plan's words."""
    places = {"cuda": "VRAM", "cpu": "RAM"}
    return {name: places[bench.place(name)[0]] for name in bench.host.loaded if len(set(bench.place(name))) == 1}


FACES = {"ad_model": "face_yolov8n.pt"}


def refused(bench, *args, error=torch.cuda.OutOfMemoryError, **fields):
    """Run a job that fails; what it was to do."""
    bench.refused(bench.host.run, bench.host.job(*args, **fields), error=error)
    return planned(bench.forecast)


def picture(bench):
    return bench.host.run(bench.host.job()).images[0].tobytes()


def only_planned(bench, *args, **fields):
    """What a job would do."""
    p = bench.host.job(*args, **fields)
    p.scripts.before_process(p)
    return bench.forecast
