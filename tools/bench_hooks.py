"""What Multipass's own code costs per job: its hooks and its wrappers around the webui's functions, nothing else.

    python dev.py bench

Runs in one process on the miniature, with 1,000 further names in its checkpoint list and ADetailer with one tab; no
picture is sampled and nothing has to be loaded.
"""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from support.inprocess import start_miniature

JOBS = 200
NAMES = 1000


def add_names(host) -> None:
    """Fill the checkpoint list up with names of files that do not exist; nothing ever loads them."""
    template = next(iter(host.sd_models.checkpoints_list.values()))
    for number in range(NAMES):
        info = copy.copy(template)
        info.name_for_extra = f"model-{number:04}"
        info.name = info.title = info.short_title = f"folder/{info.name_for_extra}.safetensors"
        info.filename = f"/models/{info.name}"
        info.sha256 = info.shorthash = None
        info.ids = [info.name, info.name_for_extra, f"{number:08x}"]
        info.register()


def milliseconds(host) -> float:
    """One job's hooks: ADetailer's call in the middle included, and a look at the active model as each pass begins."""
    script = host.script()
    p = host.job(True, "beta", faces={"ad_model": "face_yolov8n.pt"})
    started = time.perf_counter()
    script.before_process(p, *p.script_args[script.args_from : script.args_to])
    for _ in range(3):
        host.sd_models.reload_model_weights()
    inner = copy.copy(p)
    script.postprocess(inner, None)
    script.before_process(inner, *inner.script_args[script.args_from : script.args_to])
    script.postprocess(p, SimpleNamespace(images=[None], index_of_first_image=0))
    return (time.perf_counter() - started) * 1000


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="multipass-bench-", ignore_cleanup_errors=True) as folder:
        host = start_miniature(Path(folder) / "webui")
        add_names(host)
        milliseconds(host)
        taken = sorted(milliseconds(host) for _ in range(JOBS))
    listed = len(host.sd_models.checkpoints_list)
    print(
        f"Multipass's own code per job, {JOBS} jobs, {listed} checkpoints listed: "
        f"median {statistics.median(taken):.2f} ms, 95th percentile {taken[int(JOBS * 0.95)]:.2f} ms"
    )


if __name__ == "__main__":
    main()
