"""Full-size checkpoints in a real webui: the estimate against what is loaded, and against the process's memory.

Needs MULTIPASS_FULL_SIZE=1, MULTIPASS_WEBUI, some 7 GB of disk and 15 GB of memory (11 GB for two checkpoints). The
files are made by the model code of a stock webui, which has to be among those given.
"""

import os
import re

import psutil
import pytest

from lib_multipass.memory.footprint import Loading, loaded_bytes
from lib_multipass.memory.headers import read_facts
from support import webuis
from support.jobs import A, B, C, multipass
from support.measured import CLOSE, misjudged

ROUNDS, GROWTH = 3, 1.03
"""Of a job and a release, and of resident memory from the first to the last."""
MODEL = 4.3e9
"""Bytes of SD 1.5 in float32, as it is loaded under ``--no-half``."""
OVERHEAD = 2.5e9
JOB = {"width": 64, "height": 64, "steps": 1, "enable_hr": True, "hr_scale": 1, "hr_upscaler": "Latent"}
LINE = re.compile(r"\[Multipass\] .*keeping (\d+) checkpoints?, about ([\d.]+) GB")

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif("MULTIPASS_FULL_SIZE" not in os.environ, reason="set MULTIPASS_FULL_SIZE=1 to run this"),
]


@pytest.fixture
def names(webui):
    """As many checkpoints as fit into memory, three at most."""
    fitting = int((psutil.virtual_memory().available - OVERHEAD) / MODEL)
    if fitting < 2:
        pytest.skip("there is not enough memory for two full-size models")
    return [A, B, C][:fitting]


@pytest.fixture
def maker():
    """The webui that makes the files."""
    return webuis.maker() or pytest.skip("a stock webui has to be among those given: it makes the files")


def test_estimate_against_reality(webui, maker, tmp_path, names):
    data = tmp_path / "data"
    webuis.make_full_size(maker, data, *names)
    third = {"refiner_checkpoint": C, "refiner_switch_at": 0.5} if C in names else {}
    with webuis.running(webui, data, checkpoints=False) as server:
        before = server.client.get("/probe/times")["resident"]
        server.client.txt2img(
            **JOB, **third, hr_second_pass_steps=4, denoising_strength=0.9, alwayson_scripts=multipass(True, B)
        )
        state = server.client.get("/probe/state")
        after = server.client.get("/probe/times")["resident"]
        line = LINE.search(server.log)
    folder = data / "models" / "Stable-diffusion"
    rows = [(read_facts(folder / f"{name}.safetensors"), Loading(half=False), state["bytes"][name]) for name in names]
    for (facts, loading, real), name in zip(rows, names, strict=True):
        print(f"{name}: estimate {loaded_bytes(facts, loading):,}, loaded {real:,}")
    print(f"{line[0]}; resident memory {before:,} before, {after:,} after")
    assert sorted(state["loaded"]) == sorted(names)
    assert misjudged(rows) == []
    assert int(line[1]) == len(names)
    total = sum(state["bytes"].values())
    assert float(line[2]) * 1e9 == pytest.approx(total, rel=CLOSE)
    grown = total - state["bytes"][A]
    assert 0.9 * grown < after - before < 1.5 * grown


def test_what_release_gives_back(webui, maker, tmp_path):
    """No model is left but the active one, and memory is the same however often."""
    data, resident = tmp_path / "data", []
    webuis.make_full_size(maker, data, A, B)
    with webuis.running(webui, data, checkpoints=False) as server:
        for _ in range(ROUNDS):
            server.client.txt2img(**JOB, hr_second_pass_steps=1, alwayson_scripts=multipass(True, B))
            both = server.client.get("/probe/times")["resident"]
            assert sorted(server.client.get("/probe/state")["loaded"]) == [A, B]
            server.client.post("/multipass/v1/release")
            assert len(server.client.get("/probe/state")["loaded"]) == 1
            resident.append(server.client.get("/probe/times")["resident"])
            assert both - resident[-1] > 0.3 * resident[-1], (both, resident)
    print(f"{webui}: resident after each release {', '.join(f'{size:,}' for size in resident)}")
    assert resident[-1] < GROWTH * resident[0]
