"""Our endpoints, asked inside this process."""

from __future__ import annotations

import json

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.testclient import TestClient

from lib_multipass import __version__
from lib_multipass.words import MultipassError
from support.jobs import A, B, C, multipass

PATHS = {
    "/multipass/v1/checkpoints": "get",
    "/multipass/v1/state": "get",
    "/multipass/v1/plan": "post",
    "/multipass/v1/release": "post",
}


def app_of(host):
    from lib_multipass.api import endpoints as api

    app = FastAPI()
    api.add(None, app)
    return app


@pytest.fixture
def asks(host):
    host.run(host.job())
    with TestClient(app_of(host)) as client:
        yield client


def test_checkpoints(host, asks):
    answer = asks.get("/multipass/v1/checkpoints").json()
    assert [about["name"] for about in answer] == sorted(info.name for info in host.sd_models.checkpoints_list.values())
    alpha = next(about for about in answer if about["name"] == f"{A}.safetensors")
    info = host.sd_models.checkpoint_aliases[A]
    assert (alpha["title"], alpha["hash"], alpha["sha256"]) == (info.title, info.shorthash, info.sha256)
    assert (alpha["place"], alpha["problem"]) == ("RAM", None)
    assert alpha["file_bytes"] > 0
    assert alpha["loaded_bytes"] > 0
    assert str(host.sd_models.model_path) not in json.dumps(answer)
    assert {about["place"] for about in answer if about is not alpha} == {"disk"}


def test_what_speaks_against_a_file_is_said(host, asks, monkeypatch):
    from lib_multipass.memory.headers import LORA, SD1, Facts
    from lib_multipass.webui.a1111 import files

    facts = Facts(7, SD1, LORA, parameters={"other": {"F16": 3, "F32": 4}})
    monkeypatch.setattr(files, "facts_of", lambda checkpoint: facts)
    about = asks.get("/multipass/v1/checkpoints").json()[0]
    assert (about["architecture"], about["kind"], about["file_bytes"]) == (SD1, LORA, 7)
    assert (about["parameters"], about["dtypes"]) == ({"other": 7}, ["F16", "F32"])
    assert "is no checkpoint but a LoRA" in about["problem"]


def test_state(host, asks):
    before = asks.get("/multipass/v1/state").json()
    assert (before["version"], before["busy"], before["keeping"], before["limit"]) == (__version__, False, False, 1)
    assert [(one["checkpoint"], one["active"], one["kept"]) for one in before["loaded"]] == [(A, True, "")]
    assert before["selected"] == host.sd_models.checkpoint_aliases[A].title
    host.run(host.job(True, B))
    after = asks.get("/multipass/v1/state").json()
    assert after["keeping"] is True
    assert {(one["checkpoint"], one["active"], one["kept"]) for one in after["loaded"]} == {
        (A, False, "RAM"),
        (B, True, "RAM"),
    }
    assert all(one["bytes"] > 0 for one in after["loaded"])
    assert after["memory"]["vram_free"] is None
    assert after["memory"]["ram_free"] > 0
    released = asks.post("/multipass/v1/release").json()
    assert (released["released"], released["kept"]) == ([B], [A])


def test_a_job_that_is_being_prepared_elsewhere_does_not_disturb(host, asks, monkeypatch):
    """Another thread may have put a model into the list that is not whole yet, or is no more."""
    import torch

    models = host.sd_models.model_data.loaded_sd_models
    monkeypatch.setattr(host.sd_models.model_data, "loaded_sd_models", [torch.nn.Module(), *models])
    assert [one["checkpoint"] for one in asks.get("/multipass/v1/state").json()["loaded"]] == [A]


def test_a_plan_takes_one_object(asks):
    body = {"enable_hr": True, "alwayson_scripts": {"Multipass": {"args": {"checkpoint": B}}}}
    assert [made["checkpoint"] for made in asks.post("/multipass/v1/plan", json=body).json()["passes"]] == [A, B]


def test_a_plan_takes_what_a_txt2img_request_may_leave_empty(asks):
    empty = dict.fromkeys(("hr_upscaler", "refiner_checkpoint", "refiner_switch_at", "override_settings"))
    plan = asks.post("/multipass/v1/plan", json={**empty, "seed": 5, "alwayson_scripts": multipass(True, B)})
    assert plan.status_code == 200
    assert asks.post("/multipass/v1/plan", json={**empty, "alwayson_scripts": None}).status_code == 422


BAD = [
    ('{"hr_scale": NaN, %s}', ["hr_scale", "nan", "from 0 to 64"]),
    ('{"hr_scale": 1e999, %s}', ["hr_scale", "inf", "from 0 to 64"]),
    ('{"hr_scale": 1' + "0" * 400 + ", %s}", ["hr_scale"]),
    ('{"width": Infinity, %s}', ["width"]),
    ('{"width": 1e30, %s}', ["width"]),
    ('{"width": -8, %s}', ["width", "-8", "from 1 to 16384"]),
    ('{"width": null, %s}', ["width"]),
    ("{%s}", ["there is no checkpoint", "zeta"]),
    ('{"width": "wide", %s}', ["width"]),
    ('{"prompt": ["a"], %s}', ["prompt"]),
    ('{"override_settings": {"sd_model_checkpoint": {"a": 1}}, %s}', ["override_settings.sd_model_checkpoint"]),
    ('{"override_settings": {"sd_model_checkpoint": "\\ud800"}, %s}', ["override_settings.sd_model_checkpoint"]),
    ('{"alwayson_scripts": {"multipass": {"args": {"checkpoint": "\\ud800"}}}}', ["no checkpoint"]),
    ('{"alwayson_scripts": {"multipass": {"args": {"cfg_scale": NaN}}}}', ["cfg_scale (", "nan", "from 0 to 30"]),
    ('{"alwayson_scripts": {"multipass": {"args": {"\\ud800": NaN}}}}', ["does not know the argument '\\ud800'"]),
    ('{"alwayson_scripts": {"multipass": {"args": [[]]}}}', ["Multipass", "[]", "true or false"]),
    ('{"alwayson_scripts": {"multipass": {"args": "beta"}}}', ["no checkpoint is chosen"]),
    ('{"alwayson_scripts": {"multipass": 5}}', ["no checkpoint is chosen"]),
    ('{"alwayson_scripts": 5}', ["alwayson_scripts"]),
    ("5", [""]),
    ("", [""]),
    ("{", [""]),
]


@pytest.mark.parametrize(("body", "words"), BAD)
def test_a_bad_plan_is_refused_by_name(asks, body, words):
    if "%s" in body:
        body = body % '"alwayson_scripts": {"Multipass": {"args": {"checkpoint": "zeta"}}}'
    answer = asks.post("/multipass/v1/plan", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert all(word in json.dumps(answer.json(), ensure_ascii=False).replace("\\\\", "\\") for word in words)


@pytest.mark.parametrize("tab", [{"ad_use_checkpoint": True, "ad_checkpoint": {"a": 1}}, {"ad_model": 5}])
def test_strange_arguments_of_adetailer_are_left_to_it(asks, tab):
    scripts = {**multipass(True, B, "As set in ADetailer"), "ADetailer": {"args": [True, {"ad_model": "x", **tab}]}}
    assert asks.post("/multipass/v1/plan", json={"alwayson_scripts": scripts}).status_code == 200


def test_the_openapi_page_describes_everything(host):
    document = app_of(host).openapi()
    assert {path: next(iter(methods)) for path, methods in document["paths"].items()} == PATHS
    for path, methods in document["paths"].items():
        (about,) = methods.values()
        assert about["tags"] == ["Multipass"]
        assert len(about["description"]) > 40, path
        assert "$ref" in json.dumps(about["responses"]["200"]), path
    ours = {name: model for name, model in document["components"]["schemas"].items() if "Validation" not in name}
    for name, model in ours.items():
        assert model["description"], name
    body = ours["PlanBody"]
    assert body["example"]["alwayson_scripts"]["Multipass"]["args"] == {"checkpoint": "photo.safetensors"}
    assert body["properties"]["width"]["maximum"] == 16384
    assert all("description" in field for field in body["properties"].values())


def test_they_are_absent_when_the_api_is_off(host, monkeypatch):
    monkeypatch.setattr(host.shared.cmd_opts, "api", False)
    monkeypatch.setattr(host.shared.cmd_opts, "nowebui", False)
    assert app_of(host).openapi()["paths"] == {}


@pytest.mark.parametrize("path", PATHS)
def test_all_ask_for_the_apis_password(host, monkeypatch, path):
    monkeypatch.setattr(host.shared.cmd_opts, "api_auth", "ann:secret,bob:word")
    app = app_of(host)
    assert "401" in app.openapi()["paths"][path][PATHS[path]]["responses"]
    with TestClient(app) as client:
        body = {"json": {"alwayson_scripts": multipass(True, B)}} if path.endswith("plan") else {}
        for credentials in (None, ("ann", "word"), ("eve", "secret")):
            assert client.request(PATHS[path], path, auth=credentials, **body).status_code == 401
        assert client.request(PATHS[path], path, auth=("bob", "word"), **body).status_code == 200


def test_files_under_one_name_are_listed_by_folder(asks):
    names = [about["name"] for about in asks.get("/multipass/v1/checkpoints").json()]
    assert len(names) == len(set(names))
    assert f"{C}.safetensors" in names


SETTINGS = [("multipass_keep", "vram"), ("multipass_ram_reserve", "2"), ("multipass_stages", -1)]


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_a_setting_that_was_stored_wrong_is_named(host, asks, monkeypatch, name, value):
    """The webui's API takes any value for it."""
    monkeypatch.setitem(host.shared.opts.data, name, value)
    body = {"enable_hr": True, "alwayson_scripts": multipass(True, B)}
    answer = asks.post("/multipass/v1/plan", json=body)
    assert (answer.status_code, f"({name}): {value!r} is not allowed" in answer.json()["detail"]) == (422, True)
    p = host.job(True, B, enable_hr=False)
    with pytest.raises(MultipassError) as told:
        host.run(p)
    assert told.value.detail == answer.json()["detail"]
    assert p.enable_hr is False  # left as it was asked for


@pytest.mark.parametrize("value", [[], {"a": 1}])
def test_a_setting_of_the_webui_that_is_no_text_is_as_none(asks, value):
    body = {"refiner_checkpoint": C, "override_settings": {"hires_fix_refiner_pass": value}}
    answer = asks.post("/multipass/v1/plan", json={**body, "alwayson_scripts": multipass(True, B)})
    assert answer.status_code == 200
    assert [made["role"] for made in answer.json()["passes"]] == ["first pass", "second pass", "refiner"]


def test_a_release_says_that_passes_were_kept(host, asks):
    from lib_multipass.api.release import release
    from lib_multipass.state import kept

    assert release().text() == "Nothing was kept beyond the webui's own settings."
    kept.stages.put("a pass", object(), 7_000_000, 10_000_000)
    assert release().text() == "Released the passes of earlier jobs: 7 MB."
    host.run(host.job(True, B))
    kept.stages.put("a pass", object(), 7_000_000, 10_000_000)
    told = release().text()
    assert told.startswith(f"Released {B}: ")
    assert told.endswith(" and the passes of earlier jobs: 7 MB.")


@pytest.mark.parametrize("body", [b'{"prompt": "\xff"}', b'{"width": ' + b"[" * 3000 + b"]" * 3000 + b"}"])
def test_a_body_that_cannot_be_read_is_another_matter(asks, body):
    """docs/api.md says so."""
    assert asks.post("/multipass/v1/plan", content=body).status_code == 400


def test_a_wrong_type_is_told_without_what_was_sent(host):
    """With pydantic 2 fastapi's list quotes it, and where that is no JSON answers with HTTP 500 instead."""
    from lib_multipass.api import endpoints

    class ToldError(RequestValidationError):
        def __init__(self):
            super().__init__([])

        def errors(self):
            place = {"loc": ("body", "width"), "msg": "no number", "type": "finite_number"}
            return [{**place, "input": float("nan"), "ctx": {"error": ValueError("no number")}}]

    def fail():
        raise ToldError

    router = APIRouter(route_class=endpoints.Route)
    router.add_api_route("/fail", fail)
    app = FastAPI()
    app.include_router(router)
    with TestClient(app) as client:
        answer = client.get("/fail")
    told = [{"loc": ["body", "width"], "msg": "no number", "type": "finite_number"}]
    assert (answer.status_code, answer.json()) == (422, {"detail": told})
    assert {type(route) for route in app_of(host).routes if route.path.startswith("/multipass/")} == {endpoints.Route}


def test_a_request_overrides_what_is_kept_as_it_overrides_other_settings(host, asks):
    from lib_multipass.state import kept

    def plan(**overrides):
        body = {"enable_hr": True, "override_settings": overrides, "alwayson_scripts": multipass(True, B)}
        return asks.post("/multipass/v1/plan", json=body).json()

    assert plan(multipass_keep="As the webui is set")["keep"] == "As the webui is set"
    assert {one["then"] for one in plan()["checkpoints"]} == {"RAM"}
    assert {one["then"] for one in plan(multipass_ram_reserve=9999)["checkpoints"]} == {"disk"}
    host.run(host.job(True, B, override_settings={"multipass_ram_reserve": 9999}))
    assert {*kept.decision.places.values()} == {"disk"}
    host.run(host.job(True, B))
    assert {*kept.decision.places.values()} == {"RAM"}


def test_an_override_is_taken_back_although_the_setting_was_never_saved(host):
    """The webui gives back what is stored, and leaves the rest overridden for good; 1.6.0 fails on it."""
    from lib_multipass.plan.our_settings import DEFAULTS, ORDER

    host.run(host.job(True, B, override_settings={ORDER: "Pass by pass"}))
    assert host.shared.opts.multipass_order == DEFAULTS[ORDER]
