"""The list of fields, and reading a job's arguments from page and API."""

import inspect
import re

import pytest

from lib_multipass import args
from lib_multipass.args import PassArgs
from lib_multipass.messages import MultipassError


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
    ],
)
def test_parse_takes_lists_and_objects(values, expected):
    assert PassArgs.parse(values) == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((1, "beta"), ["Multipass", "1", "true or false"]),
        (("yes",), ["Multipass", "'yes'", "true or false"]),
        ((True, 5), ["Second-pass checkpoint", "5", "text"]),
        ((True, ["beta"]), ["Second-pass checkpoint", "['beta']", "text"]),
        ((True, "beta", float("nan")), ["ADetailer checkpoint", "nan", "text"]),
        ((True, "x" * 1001), ["Second-pass checkpoint", "1000"]),
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
    labels = [args.label(name) for name in args.FIELDS]
    assert list(args.FIELDS) == ["enabled", "checkpoint", "adetailer"]
    assert labels == ["Multipass", "Second-pass checkpoint", "ADetailer checkpoint"]
    assert args.ADETAILER_MODES == ("Same as second pass", "Same as first pass", "As set in ADetailer")
    assert list(inspect.signature(PassArgs).parameters) == list(args.FIELDS)


def test_infotext_keys_can_be_parsed_by_the_webui():
    keys = [entry.metadata["infotext"] for entry in args.FIELDS.values() if entry.metadata["infotext"]]
    assert keys
    assert all(re.fullmatch(r"\w[\w \-/]+", key) for key in keys)
