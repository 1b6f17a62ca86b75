"""Which webui a given folder holds, and which interpreter and ADetailer go with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support import webuis
from support.hosts import A1111, REFORGE, kind_of, one_each

FOLDERS = {A1111: ["modules", "repositories"], REFORGE: ["modules", "modules_forge", "ldm_patched"]}
LOGS = {
    A1111: "Startup time: 9.9s (import torch: 4s).\nModel loaded in 0.3s (load weights from disk: 0.1s).\n",
    REFORGE: "Startup time: 9.9s (import torch: 4s).\nModel a.safetensors [012345] loaded in 1.0s (load VAE: 0.5s).\n",
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
    first, second = LOGS[kind].splitlines(keepends=True)
    assert kind.is_ready(first + second)
    assert not kind.is_ready(first)
    assert not kind.is_ready(second)


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
