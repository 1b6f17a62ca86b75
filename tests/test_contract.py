"""Holds our calls, and the miniature webui of the tests, to the sources of real webuis, which are not imported.

MULTIPASS_WEBUI names the root folders of one or more webuis, separated as in PATH; ADetailer is looked for in
their ``extensions`` folder, or where MULTIPASS_ADETAILER says.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from contract import Signature, Sources, bindings, own_attributes, parse
from contract_uses import Uses

ROOT = Path(__file__).resolve().parent.parent
MINIATURE = ROOT / "tests" / "webui"
OURS = [*sorted((ROOT / "lib_multipass" / "host").glob("*.py")), ROOT / "scripts" / "multipass.py"]
WEBUIS = [Path(folder) for folder in os.environ.get("MULTIPASS_WEBUI", "").split(os.pathsep) if folder]
HOW = "Set MULTIPASS_WEBUI to the folder of a webui (several: separated as in PATH) to run this."
HOW_ADETAILER = "Set MULTIPASS_ADETAILER to a folder of ADetailer, or install it into the webui, to run this."

# What came to the host after 1.6.0, with which release: names and their members, or a parameter of theirs.
SINCE = {
    "modules.options.OptionInfo(category_id)": "1.7.0",
    "modules.api.api.Api.apply_infotext": "1.8.0",
    "modules.api.api.Api.init_script_args(input_script_args)": "1.8.0",
    "modules.devices.fp8": "1.8.0",
    "modules.infotext_utils": "1.8.0",
    "modules.scripts.PostSampleArgs": "1.8.0",
    "modules.scripts.Script.controls": "1.8.0",
    "modules.scripts.*.on_mask_blend": "1.8.0",
    "modules.scripts.*.post_sample": "1.8.0",
    "modules.scripts.*.postprocess_maskoverlay": "1.8.0",
    "modules.scripts.*.postprocess_image_after_composite": "1.8.0",
    "modules.sd_models.reload_model_weights(forced_reload)": "1.8.0",
    "modules.shared_state.State.stopping_generation": "1.8.0",
    "modules.processing_scripts.sampler": "1.9.0",
    "modules.script_callbacks.on_*(name)": "1.9.0",
    "modules.scripts.*.process_before_every_sampling": "1.10.0",
}
ADETAILER_FIELDS = ["ad_model", "ad_tab_enable", "ad_use_checkpoint", "ad_checkpoint", "ad_use_vae", "ad_vae"]
ADETAILER_FIELDS += ["ad_prompt", "ad_negative_prompt", "ad_use_cfg_scale", "ad_cfg_scale", "ad_use_clip_skip"]
ADETAILER_FIELDS += ["ad_clip_skip", "ad_use_sampler", "ad_sampler", "ad_scheduler"]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def version_of(webui: Path) -> tuple[int, ...]:
    """The newest release that the webui's own list of changes names."""
    text = (webui / "CHANGELOG.md").read_text(encoding="utf-8")
    return numbers(re.search(r"^## v?(\d+(?:\.\d+)+)", text, re.MULTILINE)[1])


def too_new(name: str, version: tuple[int, ...]) -> bool:
    newer = (pattern for pattern, since in SINCE.items() if numbers(since) > version)
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*") for pattern in newer)


def public_names(root: Path) -> Iterator[str]:
    """The public names of a ``modules`` package: functions, classes, values, and the members of classes."""
    for file in sorted(root.glob("modules/**/*.py")):
        module = ".".join(part for part in file.relative_to(root).with_suffix("").parts if part != "__init__")
        yield from names_in(module, parse(file).body)


def names_in(owner: str, body: list[ast.stmt]) -> Iterator[str]:
    for name, node in bindings(body).items():
        if not name.startswith("_") and not isinstance(node, (ast.Import, ast.ImportFrom)):
            yield f"{owner}.{name}"
            if isinstance(node, ast.ClassDef):
                yield from names_in(f"{owner}.{name}", node.body)


def departures(miniature: Path, host: Sources, version: tuple[int, ...]) -> list[str]:
    """Where the miniature webui is not like the host."""
    small = Sources(miniature)
    found = (departure(name, small, host, version) for name in public_names(miniature))
    return [line for line in found if line]


def departure(name: str, small: Sources, host: Sources, version: tuple[int, ...]) -> str | None:
    here, there = small.find(name), host.find(name)
    if there is None:
        return None if too_new(name, version) else f"{name} does not exist there"
    ours, hosts = small.signature(here), host.signature(there)
    if ours is None or hosts is None:
        return None
    difference = unlike(ours.without(lambda parameter: too_new(f"{name}({parameter})", version)), hosts)
    return f"{name} {difference}" if difference else None


def unlike(ours: Signature, hosts: Signature) -> str | None:
    """How a stand-in for a host function differs; it may only lack optional parameters at the end."""
    if ours.positional != hosts.positional[: len(ours.positional)]:
        return f"takes ({', '.join(hosts.positional)}), not ({', '.join(ours.positional)})"
    missing = hosts.required - {*ours.positional, *ours.keyword_only}
    if missing:
        return f"also needs {', '.join(sorted(missing))}"
    if (ours.takes_more and not hosts.takes_more) or (ours.takes_any_keyword and not hosts.takes_any_keyword):
        return "does not take whatever it is given"
    unknown = ours.keyword_only - {*hosts.positional, *hosts.keyword_only}
    if unknown and not hosts.takes_any_keyword:
        return f"has no parameter {', '.join(sorted(unknown))}"
    easier = hosts.required - ours.required
    return f"cannot do without {', '.join(sorted(easier))}" if easier else None


@pytest.fixture(scope="module", params=WEBUIS or [None], ids=lambda folder: folder.name if folder else "none")
def webui(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.skip(HOW)
    return request.param


@pytest.fixture(scope="module")
def host(webui: Path) -> Sources:
    return Sources(webui)


@pytest.mark.real
@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_what_we_use_exists(file: Path, host: Sources) -> None:
    complaints = Uses(parse(file), host).complaints
    assert not complaints, "\n".join(complaints)


@pytest.mark.real
def test_classes_have_of_their_own_what_is_wrapped(host: Sources) -> None:
    """The webui's undo sets what was found before: an inherited method would stay behind on the class."""
    tree = parse(ROOT / "lib_multipass" / "host" / "patches.py")
    uses = Uses(tree, host)
    table = next(node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "_WRAPPED")
    wrapped = [(host.find(uses.meaning(row.elts[0])), row.elts[1].value) for row in table.elts]
    owners = [(owner.node, name) for owner, name in wrapped if owner.is_class()]
    assert len(owners) > 5
    assert [f"{owner.name}.{name}" for owner, name in owners if name not in own_attributes(owner)] == []


@pytest.mark.real
def test_the_miniature_is_like_the_webui(webui: Path, host: Sources) -> None:
    found = departures(MINIATURE, host, version_of(webui))
    assert not found, "\n".join(found)


@pytest.mark.real
@pytest.mark.parametrize("field", ADETAILER_FIELDS)
def test_adetailer_has_the_fields_that_we_set_and_read(field: str, webui: Path) -> None:
    folder = Path(os.environ.get("MULTIPASS_ADETAILER") or webui / "extensions" / "adetailer")
    if not folder.is_dir():
        pytest.skip(HOW_ADETAILER)
    assert Sources(folder).find(f"adetailer.args.ADetailerArgs.{field}") is not None


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
