"""What we use exists in these webuis, and the miniature is like them."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

from support.contract import Sources, own_attributes, parse
from support.contract_uses import Uses
from support.departures import departures, numbers
from support.hosts import A1111, NEO, kind_of
from support.webuis import MINIATURE, REPOSITORY

OURS = [*sorted((REPOSITORY / "lib_multipass").rglob("*.py")), REPOSITORY / "scripts" / "multipass.py"]


HOW_ADETAILER = "Set MULTIPASS_ADETAILER to a folder of ADetailer, or install it into the webui, to run this."


ADETAILER_FIELDS = ["ad_model", "ad_tab_enable", "ad_use_checkpoint", "ad_checkpoint", "ad_use_vae", "ad_vae"]
ADETAILER_FIELDS += ["ad_prompt", "ad_negative_prompt", "ad_use_cfg_scale", "ad_cfg_scale", "ad_use_clip_skip"]
ADETAILER_FIELDS += ["ad_clip_skip", "ad_use_sampler", "ad_sampler", "ad_scheduler"]


def version_of(webui: Path) -> tuple[int, ...]:
    """The newest release that the webui's own list of changes names."""
    text = (webui / "CHANGELOG.md").read_text(encoding="utf-8")
    return numbers(re.search(r"^## v?(\d+(?:\.\d+)+)", text, re.MULTILINE)[1])


@pytest.fixture(scope="module")
def host(source: Path) -> Sources:
    return Sources(source)


@pytest.mark.real
@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_what_we_use_exists(file: Path, source: Path, host: Sources) -> None:
    of_another = "a1111" if kind_of(source) is NEO else "forge"
    if file.parent.name == of_another:
        pytest.skip("another family of webuis has this")
    if file.name == "forge_models.py" and kind_of(source) is A1111:
        pytest.skip("what is in it is for the forks' models alone")
    complaints = Uses(parse(file), host).complaints
    assert not complaints, "\n".join(complaints)


@pytest.mark.real
def test_classes_have_of_their_own_what_is_wrapped(host: Sources) -> None:
    """The webui's undo sets what was found before: an inherited method would stay behind on the class."""
    tree = parse(REPOSITORY / "lib_multipass" / "webui" / "a1111" / "slots.py")
    uses = Uses(tree, host)
    tables = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    rows = [*(row.elts[1:] for row in tables["SLOTS"].elts), *(row.elts[:2] for row in tables["OWN"].elts)]
    wrapped = [(host.find(uses.meaning(owner)), name.value) for owner, name in rows]
    owners = [(owner.node, name) for owner, name in wrapped if owner.is_class()]
    assert len(owners) > 5
    assert [f"{owner.name}.{name}" for owner, name in owners if name not in own_attributes(owner)] == []


@pytest.mark.real
def test_the_miniature_is_like_the_webui(source: Path, host: Sources) -> None:
    if kind_of(source) is not A1111:
        pytest.skip("the miniature is none of the forks")
    found = departures(MINIATURE, host, version_of(source))
    assert not found, "\n".join(found)


@pytest.mark.real
@pytest.mark.parametrize("field", ADETAILER_FIELDS)
def test_adetailer_has_the_fields_that_we_set_and_read(field: str, source: Path) -> None:
    folder = Path(os.environ.get("MULTIPASS_ADETAILER") or source / "extensions" / "adetailer")
    if not folder.is_dir():
        pytest.skip(HOW_ADETAILER)
    assert Sources(folder).find(f"adetailer.args.ADetailerArgs.{field}") is not None
