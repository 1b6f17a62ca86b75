"""Many jobs and many Reload UIs leave nothing behind: memory, patches, callbacks, threads, open files."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from types import FunctionType

import numpy as np
import psutil
import pytest

from support.client import RefusedError
from support.jobs import A, B, C, hires, multipass
from support.webuis import REPOSITORY

pytestmark = pytest.mark.slow
JOBS, ON_A_REAL_WEBUI, LOADING_JOBS, RELOADS = 500, 200, 120, 50
WARM_UP = 20
STEEPEST = 50 * 1024
"""Bytes a job by which resident memory may grow."""
PIECE = 3 * 2**20
"""Bytes of memory that a process takes at once."""


def slope(resident: list[int]) -> float:
    """Growth of memory per job, by least squares, after the first ones."""
    after = np.asarray(resident[WARM_UP:], dtype=float)
    return float(np.polyfit(np.arange(len(after)), after, 1)[0])


def steepest(resident: list[int]) -> float:
    """The slope that is allowed: one piece may come in the middle, which counts among few jobs."""
    return STEEPEST + 1.5 * PIECE / len(resident[WARM_UP:])


def depth(function) -> int:
    """How often a function is wrapped; every wrapper has what it wraps as ``original``."""
    inside = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    return 1 + depth(inside["original"].cell_contents) if "original" in inside else 0


def is_ours(thing) -> bool:
    """Whether it is an object of one of our classes, or one of our functions."""
    named = thing if isinstance(thing, FunctionType) else type(thing)
    return str(named.__module__).startswith("lib_multipass")


def counts(host, process: psutil.Process) -> dict[str, int]:
    """What must stay as many; what the last job has to tell is as long as that job was."""
    from lib_multipass.state import kept
    from lib_multipass.webui import wrapping

    kept.last = None
    wrapped = host.patches.originals[wrapping.KEY]
    gc.collect()
    return {
        "depth": sum(depth(getattr(owner, name)) for owner, name in wrapped),
        "patched": len(wrapped),
        "callbacks": sum(map(len, host.script_callbacks.callback_map.values())),
        "ours": sum(map(is_ours, gc.get_objects())),
        "threads": threading.active_count(),
        "files": process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),
    }


@pytest.mark.timeout(900)
def test_many_jobs(host, scale):
    jobs = scale.of(JOBS // 7, JOBS)
    process, resident, pairs = psutil.Process(), [], [(B, C), (C, A), (B, B), (A, C)]
    before = {}
    for number in range(jobs):
        second, third = pairs[number % len(pairs)]
        host.run(host.job(True, second, third, faces={"ad_model": "face_yolov8n.pt"}, n_iter=1 + number % 2))
        if number == WARM_UP:
            before = counts(host, process)
        resident.append(process.memory_info().rss)
    print(f"{jobs} jobs: {slope(resident):.0f} bytes a job")
    assert counts(host, process) == before
    assert slope(resident) < steepest(resident)


@pytest.mark.timeout(900)
def test_many_jobs_that_keep_their_stages(host, scale, monkeypatch):
    """What is kept stays within the allowance, and nothing else grows."""
    from lib_multipass.api.release import release
    from lib_multipass.state import kept

    allowance_mb = 0.2
    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", allowance_mb)
    process, resident, most, before = psutil.Process(), [], 0, {}
    for number in range(scale.of(JOBS // 7, JOBS)):
        p = host.job(True, (B, C)[number % 2], n_iter=1 + number % 3)
        p.seed = number // 2
        host.run(p)
        if number == WARM_UP:
            before = counts(host, process)
        resident.append(process.memory_info().rss)
        most = max(most, kept.stages.bytes)
    print(f"{len(resident)} jobs that keep: {slope(resident):.0f} bytes a job, {most:,} bytes kept at most")
    assert 0 < most <= allowance_mb * 1_000_000
    assert counts(host, process)["patched"] == before["patched"]
    assert slope(resident) < steepest(resident)
    release()
    assert len(kept.stages) == 0


@pytest.mark.timeout(900)
def test_many_jobs_that_swap_fast(bench, scale, monkeypatch):
    """Pairs take turns on a pretended card; locked is what waits and nothing else, and in the end nothing."""
    from lib_multipass.api.release import release
    from lib_multipass.state import kept

    device, host, kept.pins = bench.begin(9), bench.host, None
    monkeypatch.setitem(host.shared.opts.data, "multipass_fast_swaps", True)
    process, resident, most = psutil.Process(), [], 0
    for number in range(scale.of(JOBS // 7, JOBS)):
        host.run(host.job({"checkpoint": (B, C, B)[number % 3], "keep": "In RAM"}))
        resident.append(process.memory_info().rss)
        most = max(most, sum(device.locked.values()))
    print(f"{len(resident)} jobs that swap fast: {slope(resident):.0f} bytes a job, {most:,} bytes locked at most")
    assert 1.5 * bench.size < most < 3.1 * bench.size
    assert slope(resident) < steepest(resident)
    release()
    assert (device.locked, kept.movers) == ({}, [])


def in_pieces(values) -> tuple:
    """Script arguments with a script selected, which may render the job in pieces."""
    return (1, *values[1:])


@pytest.fixture
def no_collector():
    """Only what nothing holds any more is freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("kind", [tuple, in_pieces])
@pytest.mark.parametrize(
    ("second", "faces", "says"),
    [(B, None, ""), (C, {"ad_model": "face_yolov8n.pt"}, ""), (B, None, "no sampling"), ("nobody", None, "'nobody'")],
)
def test_a_job_is_freed_at_its_end(host, monkeypatch, kind, second, faces, says):
    """With its pictures, at once: the collector comes round once in thousands of a webui's jobs."""
    if says == "no sampling":
        monkeypatch.setattr(host.processing, "decode_latent_batch", fails(says))
    counted = []
    for _ in range(3):
        p = host.job(True, second, faces=faces, kind=kind)
        left = weakref.ref(p)
        if says:
            with pytest.raises(Exception, match=says):
                host.run(p)
        else:
            assert host.run(p).images
        del p
        assert left() is None
        counted.append(sum(map(is_ours, gc.get_objects())))
    assert counted[1] == counted[2]  # the first may read facts of files


def ticked(second: str) -> dict:
    return {"alwayson_scripts": multipass(True, second)}


def left_in_memory(server, *bodies) -> int:
    """How many jobs are left when these are over, the collector being off."""
    client = server.client
    before = client.post("/probe/jobs", {"collector": False})
    for body in bodies:
        try:
            client.txt2img(**hires("Lanczos"), **body)
        except RefusedError as error:
            assert "nobody" in str(error)  # noqa: PT017 - the others may not be refused
    return client.post("/probe/jobs", {"collector": True}) - before


def test_jobs_are_freed_at_their_end_on_a_webui(pair):
    faces = {"ADetailer": {"args": [True, False, {"ad_model": "face_yolov8n.pt"}]}}
    ours = [ticked(B), ticked(C), {"alwayson_scripts": {**multipass(True, B, C), **faces}}, ticked("nobody")]
    by_hand = [{"hr_checkpoint_name": B}, {"hr_checkpoint_name": C}, {"alwayson_scripts": faces}]
    # Forge Neo leaves the last one to the collector, which it calls itself when it unloads its models for a face.
    most = max(left_in_memory(pair.stock, *by_hand), left_in_memory(pair.stock, by_hand[0]))
    assert left_in_memory(pair.ours, *ours) <= most


def fails(sentence):
    """A function that does."""

    def fail(*_args, **_kwargs):
        raise RuntimeError(sentence)

    return fail


@pytest.mark.timeout(900)
def test_reload_ui_many_times(host, scale):
    process, before = psutil.Process(), {}
    for number in range(WARM_UP + scale.of(RELOADS // 10, RELOADS)):
        host.reload_ui()
        host.run(host.job(True, B))
        if number == WARM_UP:
            before = counts(host, process)
            assert before["depth"] > before["patched"] > 0
    assert counts(host, process) == before


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_memory_over_fifty_times_reload_ui():
    """In a process of its own, where nothing else settles; the page's own components need the collector."""
    command = [sys.executable, REPOSITORY / "tools" / "reloads.py", str(WARM_UP + RELOADS)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    resident = [int(number) for number in printed.splitlines()[-1].split()]
    assert len(resident) == WARM_UP + RELOADS
    print(f"{RELOADS} times Reload UI, a job after each: {slope(resident):.0f} bytes each")
    assert slope(resident) < steepest(resident)


def after_each(server, jobs) -> tuple[list[int], list[int]]:
    """Resident memory after each job, and how many checkpoints were read for it."""
    process, resident, reads = psutil.Process(server.process.pid), [], []
    for number, job in enumerate(jobs):
        server.client.txt2img(**hires("Lanczos" if number % 2 else "Latent"), **job, seed=number)
        reads.append(len(server.client.probe()["reads"]))  # the probe forgets, or it keeps all options of every pass
        resident.append(process.memory_info().rss)
    return resident, reads


@pytest.mark.real
@pytest.mark.timeout(1800)
def test_two_hundred_jobs_on_a_real_webui(pair):
    process = psutil.Process(pair.ours.process.pid)
    first, _ = after_each(pair.ours, [ticked(B)] * WARM_UP)
    before = process.num_threads(), process.num_fds()
    later, reads = after_each(pair.ours, [ticked(B)] * (ON_A_REAL_WEBUI - WARM_UP))
    print(f"{ON_A_REAL_WEBUI} jobs on {pair.ours.webui}: {slope([*first, *later]):.0f} bytes a job")
    assert not any(reads)
    assert slope([*first, *later]) < STEEPEST
    threads, files = process.num_threads(), process.num_fds()
    assert (threads <= before[0] + 2, files <= before[1] + 2) == (True, True), (before, threads, files)


@pytest.mark.real
@pytest.mark.timeout(1800)
def test_memory_that_every_load_takes_for_good_on_a_real_webui(pair, start):
    """Whoever loads a checkpoint: safetensors 0.4.2 and torch 2.1.2 forget some of it. A job must not add to that."""
    seconds = [(B, C)[number % 2] for number in range(LOADING_JOBS)]
    resident, reads = after_each(pair.ours, map(ticked, seconds))
    with start(multipass=False, config={"sd_checkpoints_limit": 1}) as stock:
        by_hand, read_by_hand = after_each(stock, [{"hr_checkpoint_name": second} for second in seconds])
    print(f"{LOADING_JOBS} jobs on {pair.ours.webui}, in each a load: {slope(resident):.0f} bytes a job")
    print(f"by hand, in each two loads: {slope(by_hand):.0f} bytes a job")
    assert (set(reads[WARM_UP:]), set(read_by_hand[WARM_UP:])) == ({1}, {2})
    assert slope(resident) < slope(by_hand) + STEEPEST
