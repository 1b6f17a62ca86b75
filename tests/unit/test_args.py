"""The list of fields, and reading a job's arguments from page and API."""

import inspect
import re

import pytest

from lib_multipass.plan import args
from lib_multipass.plan.args import PassArgs
from lib_multipass.words import MultipassError


def test_defaults_do_nothing():
    assert PassArgs() == PassArgs(enabled=False, checkpoint="", adetailer="Same as second pass")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), PassArgs()),
        ((True, "beta"), PassArgs(True, "beta")),
        ([True, "beta", "Same as first pass"], PassArgs(True, "beta", "Same as first pass")),
        ((None, None, None), PassArgs()),
        ((True, None), PassArgs(True)),
        (({"checkpoint": "beta"}, "", "Same as second pass"), PassArgs(True, "beta")),
        (({"checkpoint": "beta", "enabled": False},), PassArgs(False, "beta")),
        (({"checkpoint": "beta", "adetailer": None},), PassArgs(True, "beta")),
        (({},), PassArgs(True)),
        (
            ({"checkpoint": "beta", "cfg_scale": 5, "clip_skip": 2.0},),
            PassArgs(True, "beta", cfg_scale=5.0, clip_skip=2),
        ),
        (
            (True, "beta", None, "None", 1.5, 12, False, "In RAM", True),
            PassArgs(
                True,
                "beta",
                vae="None",
                cfg_scale=1.5,
                clip_skip=12,
                adetailer_follows=False,
                keep="In RAM",
                show_first_pass=True,
            ),
        ),
    ],
)
def test_parse_takes_lists_and_objects(values, expected):
    assert PassArgs.parse(values) == expected


def nested(depth):
    """Lists in lists, deeper than Python writes them down."""
    outer = inner = []
    for _ in range(depth):
        inner.append([])
        inner = inner[0]
    return outer


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((True, nested(3000)), ["Second-pass checkpoint", "this list is not allowed", "text"]),
        (({"keep": {"a": nested(3000)}},), ["Keep checkpoints", "this dict is not allowed", "text"]),
        (({"clip_skip": 10**5000},), ["Second-pass clip skip", "from 0 to 12"]),
        ((1, "beta"), ["Multipass", "1", "true or false"]),
        (("yes",), ["Multipass", "'yes'", "true or false"]),
        ((True, 5), ["Second-pass checkpoint", "5", "text"]),
        ((True, ["beta"]), ["Second-pass checkpoint", "['beta']", "text"]),
        ((True, "beta", float("nan")), ["ADetailer checkpoint", "nan", "text"]),
        (({"vae": 5},), ["vae (Second-pass VAE)", "5", "a text, or a list of texts"]),
        (({"vae": ["ema.pt", 5]},), ["vae (Second-pass VAE)", "5", "a text, or a list of texts"]),
        (({"vae": [nested(3000)]},), ["vae (Second-pass VAE)", "this list is not allowed"]),
        (({"vae": ["x"] * 21},), ["vae (Second-pass VAE)", "has 21 entries", "20 are allowed"]),
        (({"vae": ["x" * 1001]},), ["vae (Second-pass VAE)", "1000"]),
        ((True, "x" * 1001), ["Second-pass checkpoint", "1000"]),
        (({"cfg_scale": float("nan")},), ["Second-pass CFG scale", "nan", "from 0 to 30"]),
        (({"cfg_scale": 30.5},), ["Second-pass CFG scale", "30.5", "from 0 to 30"]),
        (({"cfg_scale": True},), ["Second-pass CFG scale", "True", "a number"]),
        (({"clip_skip": -1},), ["Second-pass clip skip", "-1", "from 0 to 12"]),
        (({"clip_skip": 1.5},), ["Second-pass clip skip", "1.5", "whole number"]),
        (({"clip_skip": 10**400},), ["Second-pass clip skip", "from 0 to 12"]),
        (({"cfg_scale": 10**400},), ["Second-pass CFG scale", "from 0 to 30"]),
        (({"cfg_scale": float("inf")},), ["Second-pass CFG scale", "inf", "from 0 to 30"]),
        (({"keep": "VRAM"},), ["Keep checkpoints", "'VRAM'", "'In VRAM', 'In RAM'"]),
        (({"chekpoint": "beta"},), ["chekpoint", "enabled, checkpoint, adetailer"]),
    ],
)
def test_parse_names_what_is_wrong(values, words):
    with pytest.raises(MultipassError) as caught:
        PassArgs.parse(values)
    for word in words:
        assert word in caught.value.detail
    assert caught.value.status_code == 422
    assert len(caught.value.detail) < 250


def test_request_objects_are_not_changed():
    request = {"checkpoint": "beta"}
    PassArgs.parse((request,))
    assert request == {"checkpoint": "beta"}


def test_public_names_stay():
    labels = {
        "enabled": "Multipass",
        "checkpoint": "Second-pass checkpoint",
        "adetailer": "ADetailer checkpoint",
        "vae": "Second-pass VAE",
        "cfg_scale": "Second-pass CFG scale",
        "clip_skip": "Second-pass clip skip",
        "adetailer_follows": "ADetailer follows second-pass settings",
        "keep": "Keep checkpoints",
        "show_first_pass": "Show the first pass",
    }
    assert [(name, args.label(name)) for name in args.FIELDS] == [*labels.items()]
    assert args.ADETAILER_MODES == ("Same as second pass", "Same as first pass", "As set in ADetailer")
    assert args.VAE_MODES == ("Use same VAE", "Automatic", "None")
    assert args.WISHES == ("Automatic", "In VRAM", "In RAM", "As the webui is set")
    assert list(inspect.signature(PassArgs).parameters) == list(args.FIELDS)


def test_infotext_keys_can_be_parsed_by_the_webui():
    keys = [entry.metadata["infotext"] for entry in args.FIELDS.values() if entry.metadata["infotext"]]
    assert keys
    assert all(re.fullmatch(r"\w[\w \-/]+", key) for key in keys)
