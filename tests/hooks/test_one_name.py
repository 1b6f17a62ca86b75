"""Two files of one name in two folders, as people with sub-folders have them: nothing that is told confuses them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from support.jobs import A, B, multipass

FIRST, SECOND = "cartoons/v1.safetensors", "photos/v1.safetensors"


@pytest.fixture
def namesakes(host):
    """The webui with both, the first one selected and loaded."""
    known = host.sd_models
    before = [dict(one) for one in (known.checkpoints_list, known.checkpoint_aliases)]
    selected, folder = host.shared.opts.data["sd_model_checkpoint"], Path(known.model_path)
    for name, source in ((FIRST, A), (SECOND, B)):
        file = folder / name
        file.parent.mkdir()
        shutil.copy(known.checkpoint_aliases[source].filename, file)
    known.list_models()
    host.shared.opts.data["sd_model_checkpoint"] = FIRST
    host.run(host.job())
    yield host
    host.shared.opts.data["sd_model_checkpoint"] = selected
    host.run(host.job())
    for name in (FIRST, SECOND):
        shutil.rmtree(folder / Path(name).parent)
    for now, then in zip((known.checkpoints_list, known.checkpoint_aliases), before, strict=True):
        now.clear()
        now.update(then)


@pytest.fixture
def asks(namesakes):
    from lib_multipass.api import endpoints

    app = FastAPI()
    endpoints.add(None, app)
    with TestClient(app) as client:
        yield client


def test_a_plan_tells_them_apart(asks):
    body = {"enable_hr": True, "alwayson_scripts": multipass(True, SECOND)}
    plan = asks.post("/multipass/v1/plan", json=body).json()
    assert [made["checkpoint"] for made in plan["passes"]] == [FIRST, SECOND]
    assert [(one["checkpoint"], one["now"]) for one in plan["checkpoints"]] == [(FIRST, "RAM"), (SECOND, "disk")]


def test_the_panel_draws_each_where_it_lies(namesakes):
    from lib_multipass.page import planline
    from lib_multipass.plan import args

    given = {"enabled": True, "checkpoint": SECOND}
    text = planline._html({"enable_hr": True}, [given.get(name, args.default(name)) for name in args.FIELDS], [])
    first, _, second = text.partition("second</span>")
    assert 'data-mark="RAM"' in first
    assert 'data-mark="disk"' in second
    assert "multipass-told" not in text
    assert f"1 {FIRST} · unknown · " in text
    assert f"→ 2 {SECOND} · unknown · " in text


def test_the_last_job_and_a_release_tell_them_apart(asks, namesakes):
    from lib_multipass.page.last_job import rows
    from lib_multipass.state import kept

    namesakes.run(namesakes.job(True, SECOND))
    told = [row[:2] for row in rows(kept.last)]
    assert told[:3] == [("First pass", FIRST), ("Second pass", SECOND), ("Swap", SECOND)]
    state = asks.get("/multipass/v1/state").json()
    assert {one["checkpoint"] for one in state["loaded"]} == {FIRST, SECOND}
    assert asks.post("/multipass/v1/release").json()["released"] == [SECOND]
