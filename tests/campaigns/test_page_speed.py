"""The panel with a thousand checkpoints: what building it and asking for a plan cost, in this process."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.jobs import A

MANY, FEW = 1000, 20
LIMIT = 0.05
"""Seconds."""


@pytest.fixture(scope="module")
def crowd(host, scale) -> Iterator[list]:
    """A thousand checkpoints in folders, listed by the webui, or a few; they share one file's contents."""
    file = Path(host.sd_models.checkpoints_list[_title(host)].filename)
    made = []
    for number in range(scale.of(FEW, MANY)):
        path = file.parent / "crowd" / f"style {number % 7}" / f"checkpoint_{number:04}_v1.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(file)
        made.append(path)
    host.sd_models.list_models()
    yield made
    shutil.rmtree(file.parent / "crowd")
    host.sd_models.list_models()


def _title(host) -> str:
    return next(title for title in host.sd_models.checkpoints_list if title.startswith(A))


def seconds(work: Callable[[], object], times: int = 7) -> float:
    """The median; one busy moment of the machine does not count."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


@pytest.mark.campaign
def test_building_the_panel_and_its_events(host, crowd, monkeypatch):
    from lib_multipass.page import panel as page
    from lib_multipass.page import planline

    spent = []

    def timed(function):
        def run(*args, **kwargs):
            begun = time.perf_counter()
            result = function(*args, **kwargs)
            spent.append(time.perf_counter() - begun)
            return result

        return run

    monkeypatch.setattr(page, "panel", timed(page.panel))
    monkeypatch.setattr(planline.PlanLine, "connect", timed(planline.PlanLine.connect))
    for _ in range(5):
        host.ui.create_ui()
    assert len(host.script().infotext_fields[1][0].choices) >= MANY
    assert len(spent) == 2 * 5
    assert statistics.median(spent[::2]) + statistics.median(spent[1::2]) < LIMIT


@pytest.mark.parametrize("name", ["checkpoint_0500_v1", "checkpoint_0500_v2", "crowd/style 3/checkpoint_0500_v1"])
@pytest.mark.campaign
def test_a_plan(host, crowd, name):
    from lib_multipass.page import planline
    from lib_multipass.plan import args

    ours = [True, name, *(args.default(field) for field in list(args.FIELDS)[2:])]
    assert "checkpoint_0500" in planline._html({"enable_hr": True}, ours, [])
    assert seconds(lambda: planline._html({"enable_hr": True}, ours, [])) < LIMIT


def test_names_without_folders(host, crowd, monkeypatch):
    from lib_multipass.webui.a1111 import checkpoints

    twin = crowd[0].with_name(crowd[1].name)
    twin.hardlink_to(crowd[0])
    crowd.append(twin)
    host.sd_models.list_models()
    monkeypatch.setitem(host.shared.opts.data, "sd_checkpoint_dropdown_use_short", True)
    names = checkpoints.tiles()
    assert "checkpoint_0010_v1" in names
    assert "checkpoint_0001_v1" not in names  # two files have this name
    assert sum(name.endswith("checkpoint_0001_v1.safetensors") for name in names) == 2
    assert len(names) == len(set(names))
    assert checkpoints.shown("crowd/style 3/checkpoint_0010_v1.safetensors") == "checkpoint_0010_v1"
    assert checkpoints.shown("nowhere") == "nowhere"
