"""Which webui a given folder holds, and which interpreter and ADetailer go with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support import webuis
from support.hosts import A1111, NEO, REFORGE, kind_of, one_each

FOLDERS = {
    A1111: ["modules", "repositories"],
    REFORGE: ["modules", "modules_forge", "ldm_patched"],
    NEO: ["modules", "modules_forge", "backend"],
}
LOGS = {
    A1111: "Startup time: 9.9s (import torch: 4s).\nModel loaded in 0.3s (load weights from disk: 0.1s).\n",
    REFORGE: "Startup time: 9.9s (import torch: 4s).\nModel a.safetensors [012345] loaded in 1.0s (load VAE: 0.5s).\n",
    NEO: "ControlNet preprocessor location: /somewhere\nStartup time: 9.9s (import torch: 4s).\n",
}


def webui_folder(root: Path, kind) -> Path:
    for folder in FOLDERS[kind]:
        (root / folder).mkdir(parents=True)
    return root


@pytest.mark.parametrize("kind", FOLDERS, ids=lambda kind: kind.name)
def test_a_webui_is_known_by_what_is_in_it(tmp_path, kind):
    assert kind_of(webui_folder(tmp_path / "stable", kind)) is kind


def test_a_folder_without_a_webui_is_told(tmp_path):
    with pytest.raises(ValueError, match="holds none of the webuis"):
        kind_of(tmp_path)


@pytest.mark.parametrize("kind", LOGS, ids=lambda kind: kind.name)
def test_a_webui_is_ready_when_its_first_model_is_there(kind):
    """Forge Neo loads it for the first job."""
    first, second = LOGS[kind].splitlines(keepends=True)
    assert kind.is_ready(first + second)
    assert not kind.is_ready(first)
    assert kind.is_ready(second) == (kind is NEO)


def test_a_request_is_fitted_to_forge_neo():
    body = {"enable_hr": True, "hr_upscaler": "Latent", "hr_cfg": 0, "cfg_scale": 5}
    body["alwayson_scripts"] = {"Multipass": {"args": [True, "beta"]}}
    ours = {**body, "hr_upscaler": "None", "hr_cfg": 5}
    assert NEO.fitted(body, by_hand=False) == ours
    assert NEO.fitted(body, by_hand=True) == {**ours, "hr_additional_modules": ["Use same choices"]}
    for unticked in ([], [None], [False], {"enabled": False}):
        off = {"enable_hr": True, "alwayson_scripts": {"multipass": {"args": unticked}}}
        assert "hr_additional_modules" in NEO.fitted(off, by_hand=False)
    assert NEO.fitted({"steps": 3}, by_hand=True) == {"steps": 3}
    assert A1111.fitted(body, by_hand=True) == body


def test_files_made_elsewhere_are_named_if_there_are_none(monkeypatch, tmp_path):
    monkeypatch.setenv(webuis.FILES, str(tmp_path))
    neo = webuis.Webui("neo", tmp_path, "", None, True, kind=NEO)
    with pytest.raises(RuntimeError, match=f"let {webuis.FILES} name a folder"):
        webuis._real_files(neo)
    (tmp_path / "multipass-tiny.json").touch()
    assert webuis._real_files(neo) == tmp_path


def test_a_value_is_for_all_webuis_or_for_one_each(monkeypatch):
    monkeypatch.delenv("SOME", raising=False)
    assert one_each("SOME", 2) == ["", ""]
    monkeypatch.setenv("SOME", "a")
    assert one_each("SOME", 2) == ["a", "a"]
    monkeypatch.setenv("SOME", os.pathsep.join("ab"))
    assert one_each("SOME", 2) == ["a", "b"]
    with pytest.raises(ValueError, match="SOME holds 2 values"):
        one_each("SOME", 3)


def test_each_given_webui_has_its_own(monkeypatch, tmp_path):
    roots = [webui_folder(tmp_path / name, kind) for name, kind in (("one", A1111), ("two", REFORGE))]
    (tmp_path / "faces").mkdir()
    monkeypatch.setenv(webuis.GIVEN, os.pathsep.join(map(str, roots)))
    monkeypatch.setenv("MULTIPASS_WEBUI_PYTHON", os.pathsep.join(["python-one", "python-two"]))
    monkeypatch.setenv("MULTIPASS_ADETAILER", os.pathsep.join([str(tmp_path / "faces"), ""]))
    told = [(webui.name, webui.kind, webui.python, webui.adetailer) for webui in webuis.given()]
    assert told == [("one", A1111, "python-one", tmp_path / "faces"), ("two", REFORGE, "python-two", None)]
