"""What the axes of the X/Y/Z plot take."""

from __future__ import annotations

import pytest

from lib_multipass.plan import args, axes
from lib_multipass.words import MultipassError
from support.listed import Info
from support.plots import LABELS

BY_FIELD = {axis.field: axis for axis in axes.AXES}


KNOWN = [Info("photo.safetensors"), Info("a/toon.safetensors"), Info("b/toon.safetensors")]


VAES = ["mse.safetensors"]


def test_the_labels_are_public():
    assert [axis.label for axis in axes.AXES] == LABELS


def test_values_win_over_the_panel_and_switch_multipass_on():
    panel = args.PassArgs(enabled=False, checkpoint="photo", cfg_scale=3.0)
    assert axes.over(panel, {}) is panel
    assert axes.over(panel, {"cfg_scale": 7.0}) == args.PassArgs(enabled=True, checkpoint="photo", cfg_scale=7.0)


GOOD = {
    "checkpoint": ["photo", "a/toon.safetensors"],
    "adetailer": ["Same as first pass", "As set in ADetailer", "photo"],
    "vae": ["Use same VAE", "Automatic", "None", "mse"],
    "cfg_scale": [0.0, 30.0],
    "clip_skip": [0, 12],
}


BAD = [
    ("checkpoint", [], ["no values"]),
    ("checkpoint", ["photo", "phto"], ["'phto'", "the nearest are photo.safetensors"]),
    ("checkpoint", ["toon"], ["'toon'", "2 checkpoints", "a/toon.safetensors"]),
    ("checkpoint", ["Same as first pass"], ["there is no checkpoint"]),
    ("checkpoint", [""], ["no checkpoint is chosen"]),
    ("adetailer", ["same"], ["'same'", "'Same as second pass'", "'As set in ADetailer'"]),
    ("vae", ["msee"], ["'msee'", "mse.safetensors"]),
    ("cfg_scale", [3.0, 31.0], ["31", "from 0 to 30"]),
    ("cfg_scale", [float("nan")], ["nan", "from 0 to 30"]),
    ("clip_skip", [-1], ["-1", "from 0 to 12"]),
]


@pytest.mark.parametrize("field", GOOD)
def test_good_values_are_let_through(field):
    axes.confirm(BY_FIELD[field], GOOD[field], KNOWN, VAES)


@pytest.mark.parametrize(("field", "values", "words"), BAD)
def test_bad_values_are_named_with_what_is_allowed(field, values, words):
    with pytest.raises(MultipassError) as caught:
        axes.confirm(BY_FIELD[field], values, KNOWN, VAES)
    assert all(word in caught.value.detail for word in [BY_FIELD[field].name, *words])


LEGENDS = [
    ("checkpoint", "photo.safetensors", "Second-pass checkpoint: photo"),
    ("checkpoint", "a/toon.safetensors", "Second-pass checkpoint: a/toon.safetensors"),
    ("adetailer", "Same as first pass", "ADetailer checkpoint: Same as first pass"),
    ("adetailer", "photo.safetensors", "ADetailer checkpoint: photo"),
    ("vae", "mse.safetensors", "Second-pass VAE: mse.safetensors"),
    ("cfg_scale", 0.1 + 0.2, "Second-pass CFG: 0.3"),
    ("clip_skip", 2, "Second-pass clip skip: 2"),
]


@pytest.mark.parametrize(("field", "value", "text"), LEGENDS)
def test_the_legend_is_short_and_clear(field, value, text):
    assert axes.legend(BY_FIELD[field], value, KNOWN) == text
