"""What a request, an infotext or a file can make us do: no pickle is taken apart, and no file is looked for that the
webui does not list."""

from __future__ import annotations

import ast
import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib_multipass.memory.reader import Reader
from lib_multipass.plan.args import AS_IN_ADETAILER, SAME_AS_SECOND, SAME_VAE
from lib_multipass.words import MultipassError, reason_of
from support import layouts
from support.jobs import A, B, multipass
from support.touched import watching
from support.webuis import REPOSITORY

OURS = [
    *sorted((REPOSITORY / "lib_multipass").rglob("*.py")),
    *sorted((REPOSITORY / "scripts").glob("*.py")),
    *(REPOSITORY / name for name in ("preload.py", "install.py")),
]
UNPICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
LOADERS = {"torch.load", "torch.jit.load", "numpy.load", "np.load", "eval", "exec", "compile"}
LOADERS |= {"read_state_dict", "load_torch_file", "unsafe_torch_load", "get_checkpoint_state_dict"}


def unpickling(source: str) -> list[str]:
    """What in this source can take a pickle apart or run text as code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in UNPICKLERS]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            found += [name for name in names if name.split(".")[0] in UNPICKLERS or name in LOADERS]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found += [called] if called in LOADERS or called.split(".")[-1] in LOADERS - {"compile"} else []
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, dill as d",
        "from pickle import loads",
        "from torch import load",
        "def f():\n    import _pickle",
        "x = torch.load(path)",
        "sd_models.read_state_dict(path)",
        "eval(text)",
    ],
)
def test_the_check_sees_what_takes_pickles_apart(source):
    assert unpickling(source)
    assert unpickling("import json, re, torch\nre.compile('x')\njson.load(file)") == []


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_nothing_of_ours_takes_pickles_apart(path):
    assert unpickling(path.read_text(encoding="utf-8")) == []


@pytest.fixture
def listed(host):
    """Adds a file to the webui's checkpoint list, for this test."""
    from mini.checkpoint_info import CheckpointInfo

    lists = host.sd_models.checkpoints_list, host.sd_models.checkpoint_aliases
    before = [dict(one) for one in lists]

    def add(path):
        info = CheckpointInfo(path)
        info.register()
        return info

    yield add
    for now, then in zip(lists, before, strict=True):
        now.clear()
        now.update(then)


@pytest.fixture
def asks(host):
    from lib_multipass.api import endpoints as api

    app = FastAPI()
    api.add(None, app)
    host.run(host.job())
    with TestClient(app) as client:
        plan(client, multipass(True, B))
        yield client


def plan(client, scripts, **more):
    return client.post("/multipass/v1/plan", json={"enable_hr": True, **more, "alwayson_scripts": scripts})


class Bomb:
    """As a pickle, it makes a file when it is taken apart."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def write_bomb(path: Path, mark: Path, form: str) -> Path:
    if form == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": Bomb(mark)}))
    else:
        torch.save({"state_dict": Bomb(mark)}, path)
    return path


@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_the_bomb_goes_off_where_it_is_taken_apart(tmp_path, form):
    mark = tmp_path / "mark"
    path = write_bomb(tmp_path / "bomb.ckpt", mark, form)
    with watching() as touched:
        pickle.loads(path.read_bytes()) if form == "pickle" else torch.load(path, weights_only=False)
    assert mark.exists()
    assert str(path) in touched.opened
    assert touched.unpickled


@pytest.mark.parametrize("form", ["pickle", "torch"])
@pytest.mark.parametrize("name", ["bomb.ckpt", "bomb.pt", "bomb.safetensors"])
def test_a_pickle_in_the_list_is_never_taken_apart(host, asks, listed, tmp_path, name, form):
    from lib_multipass.webui.a1111 import files

    mark = tmp_path / "mark"
    info = listed(write_bomb(tmp_path / name, mark, form))
    with watching() as touched:
        files.facts_of(info)
        assert asks.get("/multipass/v1/state").status_code == 200
        about = {one["name"]: one for one in asks.get("/multipass/v1/checkpoints").json()}[name]
        for scripts in (multipass(True, name), multipass(True, B, name)):
            assert plan(asks, scripts).status_code in (200, 422)
        assert plan(asks, multipass(True, B), override_settings={"sd_model_checkpoint": name}).status_code in (200, 422)
    assert (about["file_bytes"], about["parameters"]) == (info_size(info), {})
    assert touched.unpickled == []
    assert not mark.exists()
    if not name.endswith(".safetensors"):  # of such a file the first bytes are read: a length
        assert info.filename not in touched.opened


def info_size(info):
    return Path(info.filename).stat().st_size


def test_reading_ahead_takes_a_pickle_for_bytes(tmp_path):
    mark, reader = tmp_path / "mark", Reader()
    path = write_bomb(tmp_path / "bomb.ckpt", mark, "torch")
    with watching() as touched:
        reader.start(str(path), True, lambda: True)
        assert reader.wait(20)
    assert touched.opened == [str(path)]
    assert touched.unpickled == []
    assert reader.digest
    assert not mark.exists()
    reader.stop()


@pytest.fixture
def bait(host, tmp_path):
    """A true checkpoint that the webui does not list."""
    folder = tmp_path / "outside"
    folder.mkdir()
    return layouts.write_hollow(folder / "secret.safetensors", layouts.header({"model.a": [3]}))


NAMES = {
    "absolute": lambda bait, folder: str(bait),
    "from the model folder": lambda bait, folder: os.path.relpath(bait, folder),
    "from where we run": lambda bait, folder: os.path.relpath(bait),
    "through a checkpoint": lambda bait, folder: f"{A}.safetensors/../{os.path.relpath(bait, folder)}",
    "with a hash": lambda bait, folder: f"{bait} [0123456789]",
    "without extension": lambda bait, folder: str(bait.with_suffix("")),
    "an address": lambda bait, folder: bait.as_uri(),
    "in the system": lambda bait, folder: "../../../../../../../../etc/passwd",
    "a device": lambda bait, folder: "/dev/zero",
    "of the process": lambda bait, folder: "/proc/self/environ",
    "of another computer": lambda bait, folder: r"\\127.0.0.1\share\secret.safetensors",
    "with slashes": lambda bait, folder: "//127.0.0.1/share/secret.safetensors",
    "of Windows": lambda bait, folder: r"C:\Windows\win.ini",
    "with a zero": lambda bait, folder: f"{A}.safetensors\0{bait}",
}

PLACES = {
    "checkpoint": lambda name: {"alwayson_scripts": multipass({"checkpoint": name})},
    "adetailer": lambda name: {"alwayson_scripts": multipass(True, B, name)},
    "vae": lambda name: {"alwayson_scripts": multipass(True, B, SAME_AS_SECOND, name)},
    "selected": lambda name: {"override_settings": {"sd_model_checkpoint": name}},
    "SD VAE": lambda name: {"override_settings": {"sd_vae": name}},
    "refiner": lambda name: {"refiner_checkpoint": name, "refiner_switch_at": 0.5},
    "upscaler": lambda name: {"hr_upscaler": name},
    "LoRA": lambda name: {"prompt": f"a cat <lora:{name}:1>", "hr_prompt": f"<lyco:{name}>"},
    "a tab": lambda name: {
        "alwayson_scripts": {**multipass(True, B, AS_IN_ADETAILER), "ADetailer": {"args": [True, tab_of(name)]}}
    },
}


def tab_of(name):
    return {
        "ad_model": "face_yolov8n.pt",
        "ad_use_checkpoint": True,
        "ad_checkpoint": name,
        "ad_use_vae": True,
        "ad_vae": name,
    }


def lists_of(host):
    checkpoints = [info.filename for info in host.sd_models.checkpoints_list.values()]
    return [*checkpoints, *host.sd_vae.vae_dict.values()]


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_looks_for_no_file_that_is_not_listed(host, asks, bait, name):
    given = NAMES[name](bait, host.sd_models.model_path)
    usual = {"enable_hr": True, "alwayson_scripts": multipass(True, B)}
    for place, fill in PLACES.items():
        with watching() as touched:
            answer = asks.post("/multipass/v1/plan", json={**usual, **fill(given)})
        assert touched.beyond(*lists_of(host)) == [], place
        refused = place in ("checkpoint", "adetailer", "vae", "selected", "refiner")
        assert answer.status_code == (422 if refused else 200), place
        assert str(host.paths.data_path) not in answer.text


@pytest.mark.parametrize("name", NAMES)
def test_a_job_looks_for_no_file_that_is_not_listed(host, bait, name):
    given = NAMES[name](bait, host.sd_models.model_path)
    loaded = sorted(host.loaded)
    for args in ((True, given), (True, B, given), (True, B, SAME_AS_SECOND, given)):
        with watching() as touched, pytest.raises(MultipassError) as refused:
            host.run(host.job(*args))
        assert touched.beyond(host.paths.data_path) == []
        assert str(host.paths.data_path) not in refused.value.detail
        assert sorted(host.loaded) == loaded


@pytest.mark.parametrize("name", ["absolute", "from the model folder", "of another computer"])
def test_a_job_that_is_made_all_the_same_looks_for_none(host, bait, name):
    """Names in a tab of ADetailer's and in tags are dropped by those who read them."""
    given = NAMES[name](bait, host.sd_models.model_path)
    with watching() as touched:
        host.run(host.job(True, B, AS_IN_ADETAILER, SAME_VAE, prompt=f"a cat <lora:{given}:1>", faces=tab_of(given)))
    assert touched.beyond(host.paths.data_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_infotext_makes_us_look_for_no_file(host, bait, name):
    from lib_multipass.page import paste, planline

    given = NAMES[name](bait, host.sd_models.model_path)
    with watching() as touched:
        pasted = paste.read(dict.fromkeys(("Multipass checkpoint", "Multipass ADetailer", "Multipass VAE"), given))
        offer = planline._offer(given)
    assert touched.beyond(*lists_of(host)) == []
    assert (pasted.found, len(pasted.notes)) == ({}, 3)
    assert str(host.paths.data_path) not in " ".join(pasted.notes) + offer


def test_the_check_sees_a_file_that_is_not_listed(host, bait):
    from lib_multipass.memory.headers import read_facts

    with watching() as touched:
        read_facts(bait)
    assert set(touched.beyond(*lists_of(host))) == {str(bait)}
    with watching() as touched:
        read_facts(r"\\127.0.0.1\share\secret.ckpt")
    assert touched.opened == []
    assert len(touched.beyond(*lists_of(host))) == 1


@pytest.mark.parametrize("kind", ["gone", "broken", "a folder"])
def test_what_is_said_about_a_file_does_not_tell_where_it_lies(host, asks, listed, tmp_path, kind):
    path = tmp_path / "hidden away" / "odd.safetensors"
    path.parent.mkdir()
    shutil.copy(host.sd_models.checkpoint_aliases[B].filename, path)
    listed(path)
    path.unlink()
    if kind == "broken":
        path.write_bytes(b"broken")
    elif kind == "a folder":
        path.mkdir()
    answer = plan(asks, multipass(True, path.name))
    assert answer.status_code == 422
    assert f"{path.name} cannot be used. " in answer.json()["detail"]
    about = asks.get("/multipass/v1/checkpoints")
    assert {one["name"]: bool(one["problem"]) for one in about.json()}[path.name]
    for text in (answer.text, about.text, asks.get("/multipass/v1/state").text):
        assert "hidden away" not in text


@pytest.mark.parametrize("setting", [[], {}, ["other.safetensors"], [[[]]]], ids=str)
def test_an_sd_vae_that_is_no_text_is_refused_by_name(asks, setting):
    answer = plan(asks, multipass(True, B), override_settings={"sd_vae": setting})
    assert answer.status_code == 422
    assert f"override_settings.sd_vae: {setting!r} is not allowed here" in answer.json()["detail"]


FAILURES = {
    "of the system": lambda path: FileNotFoundError(2, "No such file or directory", path),
    "of safetensors": lambda path: FileNotFoundError(f'No such file or directory: "{path}"'),
    "of something else": lambda path: RuntimeError(f"cannot read {path} at 5\nand more about {path}"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_vae_that_fails_does_not_tell_where_it_lies(host, monkeypatch, kind):
    path = host.sd_vae.vae_dict["other.safetensors"]
    host.run(host.job(True, B, SAME_AS_SECOND))
    original = host.sd_vae.load_vae_dict

    def fail(filename, map_location):
        if filename != path:
            return original(filename, map_location)
        raise FAILURES[kind](path)

    monkeypatch.setattr(host.sd_vae, "load_vae_dict", fail)
    with pytest.raises(MultipassError, match=r"other\.safetensors could not be put on beta\.safetensors") as caught:
        host.run(host.job(True, B, SAME_AS_SECOND, "other.safetensors"))
    assert str(host.paths.data_path) not in caught.value.detail
    assert "models" not in caught.value.detail


@pytest.mark.parametrize("kind", FAILURES)
def test_a_preparation_that_fails_does_not_tell_where_files_lie(host, monkeypatch, kind):
    from lib_multipass.job import hooks as job

    def fail(*args):
        raise FAILURES[kind]("/home/zoe/webui/models/a b.ckpt")

    monkeypatch.setattr(job, "decide", fail)
    with pytest.raises(MultipassError, match=r"could not prepare the job: .*a b\.ckpt") as caught:
        host.run(host.job(True, B))
    assert "zoe" not in caught.value.detail


REASONS = [
    (OSError(2, "No such file", "/home/ann/x.pt"), "[Errno 2] No such file: 'x.pt'"),
    (OSError(2, "No such file", r"C:\Users\ann\x.pt"), "[Errno 2] No such file: 'x.pt'"),
    (OSError(2, "No such file", "/home/o'brien/x.pt"), '[Errno 2] No such file: "x.pt"'),
    (OSError(18, "Other device", "/home/ann/x.pt", None, "/mnt/bob/y.pt"), "[Errno 18] Other device: 'x.pt' -> 'y.pt'"),
    (RuntimeError(r"\\server\ann\x.pt is broken"), "x.pt is broken"),
    (ValueError("width and/or height of 1/8"), "width and/or height of 1/8"),
    (KeyError("surprise"), "'surprise'"),
    (RuntimeError("size mismatch for a.b:\nmore"), "size mismatch for a.b:"),
]


@pytest.mark.parametrize(("error", "text"), REASONS)
def test_reasons_name_files_without_their_folders(error, text):
    assert reason_of(error) == text


def test_nothing_that_we_answer_is_a_place(host, asks):
    for path in ("checkpoints", "state"):
        answer = asks.get(f"/multipass/v1/{path}").json()
        places = [text for text in _texts(answer) if os.path.isabs(text)]  # noqa: PTH117
        assert places == []
    refused = [plan(asks, multipass(True, name)).json()["detail"] for name in ("nowhere", "", "a")]
    assert not any(str(host.paths.data_path) in detail for detail in refused)
    assert json.dumps(refused)


def _texts(value):
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []
