"""The flags on the command line."""

from __future__ import annotations

import argparse
import importlib.util

import pytest

from support.webuis import REPOSITORY

pytestmark = pytest.mark.both


@pytest.fixture
def flags():
    spec = importlib.util.spec_from_file_location("preload", REPOSITORY / "preload.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parser = argparse.ArgumentParser()
    module.preload(parser)
    return parser


def test_flags(flags):
    usual = flags.parse_args([])
    assert (usual.multipass_keep, usual.multipass_vram_reserve, usual.multipass_ram_reserve) == (None, None, None)
    given = flags.parse_args(
        ["--multipass-keep", "VRAM", "--multipass-vram-reserve", "1.5", "--multipass-ram-reserve", "0"]
    )
    assert (given.multipass_keep, given.multipass_vram_reserve, given.multipass_ram_reserve) == ("vram", 1.5, 0.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--multipass-keep", "disk"], ["--multipass-keep", "'disk'", "automatic", "webui"]),
        (["--multipass-vram-reserve", "much"], ["--multipass-vram-reserve", "'much' is no size", "GB"]),
        (["--multipass-ram-reserve", "-1"], ["--multipass-ram-reserve", "'-1' is no size"]),
        (["--multipass-ram-reserve", "nan"], ["--multipass-ram-reserve", "'nan' is no size"]),
    ],
)
def test_wrong_flags_are_named(flags, capsys, given, words):
    with pytest.raises(SystemExit):
        flags.parse_args(given)
    said = capsys.readouterr().err
    assert all(word in said for word in words)
