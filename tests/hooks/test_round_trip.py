"""Any settings, written into an infotext, read by the webui's own parser and pasted, are the same settings again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lib_multipass.plan import args
from lib_multipass.plan.args import PassArgs
from lib_multipass.plan.pasting import read
from lib_multipass.plan.roles import roles_of
from lib_multipass.words import MultipassError
from support import webuis
from support.listed import Info

BEFORE = {"Steps": 4, "Sampler": "Euler", "CFG scale": 5.0, "Seed": 7, "Size": "64x64", "Model": "base"}
AFTER = {"Version": "v1.10.1"}
CHARACTERS = st.one_of(
    st.sampled_from(",:;\"'[](){}<>\\/#%=|+-_. xX0äß猫🐈"),
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")),
)
STEMS = st.text(CHARACTERS, min_size=1, max_size=30).map(str.strip).filter(bool)
HASHES = st.one_of(st.none(), st.text("0123456789abcdef", min_size=64, max_size=64))
CHECKPOINTS = st.builds(Info, STEMS.map(lambda stem: f"{stem}.safetensors"), HASHES)


@st.composite
def jobs(draw) -> tuple[PassArgs, list[Info], list[str]]:
    """Settings, and the files that they name."""
    known = draw(st.lists(CHECKPOINTS, min_size=2, max_size=4, unique_by=lambda info: info.name.casefold()))
    vaes = [f"{stem}.vae.pt" for stem in draw(st.lists(STEMS, max_size=3, unique_by=str.casefold))]
    names = st.sampled_from([name for info in known[1:] for name in (info.name, info.title)])
    chosen = PassArgs(
        enabled=True,
        checkpoint=draw(names),
        adetailer=draw(st.sampled_from(args.ADETAILER_MODES) | names),
        vae=draw(st.sampled_from([*args.VAE_MODES, *vaes])),
        cfg_scale=draw(st.floats(0.0, 30.0)),
        clip_skip=draw(st.integers(0, 12)),
        adetailer_follows=draw(st.booleans()),
    )
    return chosen, known, vaes


@pytest.fixture(scope="module", params=["miniature", *webuis.given()], ids=str)
def parse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[dict], dict]]:
    """A webui's own way from the entries of an infotext and back."""
    if request.param == "miniature":
        utils = request.getfixturevalue("host").infotext_utils
        yield lambda entries: utils.parse_generation_parameters(
            "a cat\nNegative prompt: rain\n" + ", ".join(f"{k}: {utils.quote(v)}" for k, v in entries.items())
        )
        return
    script = Path(webuis.__file__).with_name("real_parser.py")
    command = [request.param.python, script, request.param.root, tmp_path_factory.mktemp("data")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8") as child:

        def ask(entries: dict) -> dict:
            child.stdin.write(json.dumps(entries) + "\n")
            child.stdin.flush()
            return json.loads(child.stdout.readline())

        yield ask
        child.stdin.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(job=jobs())
def test_settings_survive(parse, job):
    chosen, known, vaes = job
    try:
        plan = roles_of(chosen, known[0], known, vaes)
    except MultipassError:  # such as a name that is part of another one's
        assume(False)
    pasted = read(parse({**BEFORE, **plan.infotext, **AFTER}), known, vaes)
    assert pasted.notes == ()
    again = roles_of(PassArgs(**pasted.values), known[0], known, vaes)
    assert again == plan
    assert again.infotext == plan.infotext
    for name in ("cfg_scale", "clip_skip", "adetailer_follows"):
        assert pasted.values[name] == getattr(chosen, name)


@pytest.mark.parametrize("name", ['"a, b" c', "a: [b], {c}", "sub/a, b", "sub\\a, b", "猫, ü", 'a"', '"a', "512x512"])
def test_awkward_names_survive(parse, name):
    info = Info(f"{name}.safetensors", "ab" * 32)
    plan = roles_of(PassArgs(True, info.name), Info("base.safetensors"), [info, Info("base.safetensors")])
    pasted = read(parse({**BEFORE, **plan.infotext, **AFTER}), [info], [])
    assert pasted.found["checkpoint"] is info
    assert pasted.notes == ()


def test_a_real_parser_is_a_real_one(parse):
    """Guards the tests above: what is written is not simply handed back."""
    params = parse({**BEFORE, "Multipass checkpoint": "a, b", "Note": '"x", y'})
    assert params["Steps"] == "4"
    assert params["Size-1"] == "64"
    assert params["Multipass checkpoint"] == "a, b"
