"""Holds our calls, and the miniature webui of the tests, to the sources of real webuis, which are not imported.

MULTIPASS_WEBUI names the root folders of one or more webuis, separated as in PATH; ADetailer is looked for in
their ``extensions`` folder, or where MULTIPASS_ADETAILER says.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from support.contract import Sources
from support.contract_uses import Uses
from support.departures import departures

HOST = {
    "sd_models": """
from modules.options import Options
import torch
class CheckpointInfo:
    def __init__(self, filename):
        self.filename = filename
class ModelData:
    def __init__(self):
        self.loaded_sd_models = []
    def set_sd_model(self, v, already_loaded=False): pass
model_data = ModelData()
network: torch.nn.Module = None
def load(info, timer, *, quiet=False): pass
def reload(sd_model=None, info=None): pass
def later():
    global made_later
""",
    "options": """
class Options:
    def __init__(self, labels):
        self.data = {}
    def __getattr__(self, name): pass
""",
    "shared": "opts = None",
    "shared_options": "templates = {'limit': OptionInfo(1), 'other': 3}",
    "scripts": """
class Script:
    section = None
    def before_process(self, p, *args): pass
    def show(self, is_img2img): pass
""",
}


def write(folder: Path, modules: dict[str, str]) -> Path:
    (folder / "modules").mkdir(parents=True)
    for name, source in modules.items():
        (folder / "modules" / f"{name}.py").write_text(source, encoding="utf-8")
    return folder


USE = "from modules import scripts, sd_models, shared\n"
WRONG_USES = [
    ("from modules import nothing", "modules.nothing does not exist there"),
    ("from modules.nothing import x", "modules.nothing does not exist there"),
    ("from modules.sd_models import nothing", "modules.sd_models.nothing does not exist there"),
    ("import modules.sd_models as m\nm.nothing", "modules.sd_models.nothing does not exist there"),
    ("sd_models.nothing()", "modules.sd_models.nothing does not exist there"),
    ("sd_models.model_data.nothing", "modules.sd_models.model_data.nothing does not exist there"),
    ("shared.opts.nothing", "modules.shared.opts.nothing does not exist there"),
    ("shared.opts.other", "modules.shared.opts.other does not exist there"),
    ("sd_models.load(1)", "modules.sd_models.load also needs timer"),
    ("sd_models.load(1, 2, 3)", "modules.sd_models.load takes 2 positional arguments, not 3"),
    ("sd_models.reload(inf=1)", "modules.sd_models.reload has no parameter inf"),
    ("sd_models.CheckpointInfo()", "modules.sd_models.CheckpointInfo also needs filename"),
    ("sd_models.model_data.set_sd_model()", "modules.sd_models.model_data.set_sd_model also needs v"),
    ("W = (sd_models, 'nothing', f)", "modules.sd_models.nothing does not exist there"),
    ("def f():\n def reload(info): 0\nW = (sd_models, 'reload', f)", "is called with (sd_model, info), not (info)"),
    ("class A(scripts.Script):\n def befor_process(self, p, *args): 0", "befor_process does not exist there"),
    ("class A(scripts.Script):\n def before_process(self, p): 0", "is called with more positional arguments"),
    ("class A(scripts.Script):\n sections = 1", "modules.scripts.Script.sections does not exist there"),
]
RIGHT_USES = [
    "sd_models.reload(info=1)\nsd_models.load(1, timer=2, quiet=True)\nsd_models.CheckpointInfo('x').anything",
    "sd_models.model_data.loaded_sd_models.anything\nsd_models.network.anything\nsd_models.made_later",
    "shared.opts.limit, shared.opts.data",
    "hasattr(sd_models, 'nothing') and sd_models.nothing()",
    "class A(scripts.Script):\n section = 1\n def before_process(self, p, *args): 0\n def _own(self): 0",
    "def f():\n def reload(*args, **kwargs): 0\nW = (sd_models, 'reload', f)",
]


@pytest.mark.parametrize(("source", "sentence"), WRONG_USES)
def test_a_wrong_use_is_found(source: str, sentence: str, tmp_path: Path) -> None:
    complaints = Uses(ast.parse(USE + source), Sources(write(tmp_path, HOST))).complaints
    assert len(complaints) == 1
    assert sentence in complaints[0]


@pytest.mark.parametrize("source", RIGHT_USES)
def test_a_right_use_is_left_alone(source: str, tmp_path: Path) -> None:
    assert Uses(ast.parse(USE + source), Sources(write(tmp_path, HOST))).complaints == []


SMALL = "def load(info, timer): pass\ndef reload(sd_model=None): pass\ndef _own(): pass"
DEPARTURES = [
    ("def nothing(): pass", "modules.sd_models.nothing does not exist there"),
    ("class ModelData:\n nothing = 1", "modules.sd_models.ModelData.nothing does not exist there"),
    ("nothing = 1", "modules.sd_models.nothing does not exist there"),
    ("def load(timer, info): pass", "modules.sd_models.load takes (info, timer), not (timer, info)"),
    ("def load(info): pass", "modules.sd_models.load also needs timer"),
    ("def load(info, timer=None): pass", "modules.sd_models.load cannot do without timer"),
    ("def load(info, timer, **more): pass", "modules.sd_models.load does not take whatever it is given"),
    ("def load(info, timer, *, loud): pass", "modules.sd_models.load has no parameter loud"),
]


@pytest.mark.parametrize(("source", "sentence"), DEPARTURES)
def test_a_departure_of_the_miniature_is_found(source: str, sentence: str, tmp_path: Path) -> None:
    host = Sources(write(tmp_path / "host", HOST))
    assert departures(write(tmp_path / "small", {"sd_models": source}), host, (1, 6, 0)) == [sentence]


def test_a_miniature_may_have_less(tmp_path: Path) -> None:
    host = Sources(write(tmp_path / "host", HOST))
    assert departures(write(tmp_path / "small", {"sd_models": SMALL}), host, (1, 6, 0)) == []


@pytest.mark.parametrize(("version", "more"), [((1, 6, 0), 0), ((1, 7, 0), 0), ((1, 8, 0), 2)])
def test_what_is_newer_than_a_webui_is_not_asked_of_it(version: tuple, more: int, tmp_path: Path) -> None:
    host = Sources(write(tmp_path / "host", {"sd_models": "def reload_model_weights(info=None): pass"}))
    source = "def reload_model_weights(info=None, forced_reload=False): pass"
    small = write(tmp_path / "small", {"sd_models": source, "infotext_utils": "def paste(): pass"})
    assert len(departures(small, host, version)) == more
