"""ADetailer's arguments: which tabs run, and copies of them aimed at a checkpoint."""

import copy

import pytest

from lib_multipass.plan import detailer

FACE = {"ad_model": "face.pt", "is_api": ()}
HAND = {"ad_model": "hand.pt", "ad_use_checkpoint": True, "ad_checkpoint": "gamma"}
OFF = {"ad_model": "None"}
UNTICKED = {"ad_model": "face.pt", "ad_tab_enable": False}


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([True, False, FACE, OFF, HAND, UNTICKED], [2, 4]),
        ((True, FACE), [1]),
        ([FACE, HAND], [0, 1]),
        ([False, False, FACE], []),
        ([True, False, OFF, {}], []),
        ([True, False, {**FACE, "ad_tab_enable": 0}, {"ad_model": None}], []),
        ([True, False], []),
        ([], []),
        ([True, None, FACE, "surplus"], [2]),
    ],
)
def test_enabled_tabs(args, expected):
    assert [index for index, _ in detailer.enabled_tabs(args)] == expected


@pytest.mark.parametrize(
    ("tab", "expected"),
    [
        (FACE, None),
        (HAND, "gamma"),
        ({**HAND, "ad_use_checkpoint": False}, None),
        ({**HAND, "ad_checkpoint": "Use same checkpoint"}, None),
        ({**HAND, "ad_checkpoint": "None"}, None),
        ({**HAND, "ad_checkpoint": None}, None),
    ],
)
def test_own_checkpoint(tab, expected):
    assert detailer.own_checkpoint(tab) == expected


def test_a_tab_is_aimed_on_a_copy():
    before = copy.deepcopy(FACE)
    aimed = detailer.aim(FACE, "beta")
    assert before == FACE
    assert detailer.own_checkpoint(aimed) == "beta"
    assert set(aimed) - set(FACE) == {"ad_use_checkpoint", "ad_checkpoint"}
