"""The tabs that we write, put to ADetailer's own argument model, which forbids keys that it does not know."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from lib_multipass.plan import detailer
from support.adetailer_args import FACE

CHECKPOINTS = [
    "beta",
    "beta [0123456789]",
    "sub/folder/beta.safetensors [0123456789]",
    "sub\\folder\\beta.ckpt",
    'commas, colons: and "quotes"',
    "模型 × Ä",
]


@pytest.fixture
def from_page(adetailer_args: ModuleType) -> dict[str, Any]:
    """A tab as the page holds it: every field, and the mark that it is no API request."""
    return {**adetailer_args.ADetailerArgs(**FACE).dict(), "is_api": ()}


@pytest.fixture(params=["API request", "page", "own checkpoint", "own VAE"])
def tab(request: pytest.FixtureRequest, from_page: dict[str, Any]) -> dict[str, Any]:
    return {
        "API request": FACE,
        "page": from_page,
        "own checkpoint": {**FACE, "ad_use_checkpoint": True, "ad_checkpoint": "gamma"},
        "own VAE": {**FACE, "ad_use_vae": True, "ad_vae": "some.vae.pt"},
    }[request.param]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_an_aimed_tab_is_accepted(adetailer_args: ModuleType, tab: dict[str, Any], checkpoint: str) -> None:
    aimed = adetailer_args.ADetailerArgs(**detailer.aim(tab, checkpoint))
    assert (aimed.ad_use_checkpoint, aimed.ad_checkpoint) == (True, checkpoint)
    assert not aimed.need_skip()


def test_aiming_changes_nothing_else(adetailer_args: ModuleType, tab: dict[str, Any]) -> None:
    ours = {"ad_use_checkpoint", "ad_checkpoint"}
    before = adetailer_args.ADetailerArgs(**tab).dict(exclude=ours)
    assert adetailer_args.ADetailerArgs(**detailer.aim(tab, "beta")).dict(exclude=ours) == before


def test_the_infotext_of_an_aimed_tab_names_the_checkpoint(adetailer_args: ModuleType, tab: dict[str, Any]) -> None:
    written = adetailer_args.ADetailerArgs(**detailer.aim(tab, "beta")).extra_params()
    assert written["ADetailer use separate checkpoint"] is True
    assert written["ADetailer checkpoint"] == "beta"


@pytest.mark.parametrize(
    "tab",
    [{}, {"ad_model": "None"}, FACE, {**FACE, "ad_tab_enable": True}, {**FACE, "ad_tab_enable": False}],
)
def test_we_and_adetailer_agree_on_the_tabs_that_run(adetailer_args: ModuleType, tab: dict[str, Any]) -> None:
    assert bool(list(detailer.enabled_tabs([True, tab]))) is not adetailer_args.ADetailerArgs(**tab).need_skip()


def test_the_model_would_refuse_a_key_of_our_own(adetailer_args: ModuleType) -> None:
    with pytest.raises(ValueError, match="ad_multipass"):
        adetailer_args.ADetailerArgs(**detailer.aim(FACE, "beta"), ad_multipass=True)
