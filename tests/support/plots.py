"""Requests for the X/Y/Z plot and what comes back."""

from __future__ import annotations

import numpy as np

from support.jobs import script_args

LABELS = [
    "[Multipass] Second-pass checkpoint",
    "[Multipass] ADetailer checkpoint",
    "[Multipass] Second-pass VAE",
    "[Multipass] Second-pass CFG",
    "[Multipass] Second-pass clip skip",
]


class Option:
    """Stands for the plot's ``AxisOptionTxt2Img``."""

    def __init__(self, label, type, apply, format_value=None, confirm=None, cost=0.0, choices=None):
        self.label, self.type, self.apply, self.format_value = label, type, apply, format_value
        self.confirm, self.cost, self.choices = confirm, cost, choices


def plot(server, *given, **more):
    """A request's script part with axes ``(type, values)`` for X, Y and Z."""
    values = {}
    for letter, (kind, texts) in zip("xyz", given, strict=False):
        values |= {f"{letter}_type": kind, f"{letter}_values": texts}
    fixed = {"include_sub_images": True, "draw_legend": False, "use_text_inputs_instead_of_dropdowns": True}
    return script_args(server, "X/Y/Z plot", **values, **{**fixed, **more})


def assert_cells(got, expected):
    """The plot's single pictures, which stand behind its grid."""
    pictures = got.pictures[-len(expected) :]
    assert len(got.pictures) == len(expected) + 1
    assert [np.array_equal(*both) for both in zip(pictures, expected, strict=True)] == [True] * len(expected)
