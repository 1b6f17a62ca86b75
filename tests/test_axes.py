"""The axes of the X/Y/Z plot: their values and sentences, their cells in process, and plots on real webuis."""

from __future__ import annotations

import copy
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest

from lib_multipass import args, axes
from lib_multipass.messages import MultipassError
from support.client import RefusedError
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer, script_args, warm, without
from test_checkpoints import Info

BY_FIELD = {axis.field: axis for axis in axes.AXES}
LABELS = [
    "[Multipass] Second-pass checkpoint",
    "[Multipass] ADetailer checkpoint",
    "[Multipass] Second-pass VAE",
    "[Multipass] Second-pass CFG",
    "[Multipass] Second-pass clip skip",
]
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


def test_number_axes_keep_the_plots_ranges_and_leave_a_text_to_the_confirmation(options):
    cfg, clip_skip = options["cfg_scale"].type, options["clip_skip"].type
    assert [[kind for kind in (int, float) if kind == own] for own in (cfg, clip_skip)] == [[float], [int]]
    assert [[kind for kind in (int, float) if own == kind] for own in (cfg, clip_skip)] == [[float], [int]]
    assert (cfg("7"), clip_skip("2")) == (7.0, 2)
    assert (cfg("high"), clip_skip("2.5")) == ("high", "2.5")


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


class Option:
    """Stands for the plot's ``AxisOptionTxt2Img``."""

    def __init__(self, label, type, apply, format_value=None, confirm=None, cost=0.0, choices=None):
        self.label, self.type, self.apply, self.format_value = label, type, apply, format_value
        self.confirm, self.cost, self.choices = confirm, cost, choices


def plot_module():
    return SimpleNamespace(axis_options=[Option("Nothing", str, None)], AxisOptionTxt2Img=Option)


@pytest.fixture
def options(host, monkeypatch):
    """The axes by their fields, as a plot has them after the page was built."""
    module = plot_module()
    entry = namedtuple("Entry", "script_class path basedir module")(None, "/webui/scripts/xyz_grid.py", "", module)
    # Twice, since the module may hold several classes of scripts.
    monkeypatch.setattr(host.scripts, "scripts_data", [*host.scripts.scripts_data, entry, entry])
    host.script_callbacks.before_ui_callback()
    host.script_callbacks.before_ui_callback()
    assert [option.label for option in module.axis_options] == ["Nothing", *LABELS]
    host.run(host.job())
    yield dict(zip(BY_FIELD, module.axis_options[1:], strict=True))
    host.run(host.job())


def test_registered_again_in_the_new_module_after_reload_ui(host, options, monkeypatch):
    host.script_callbacks.script_unloaded_callback()
    host.initialize.initialize_rest(reload_script_modules=True)
    host.build_page()
    new = plot_module()
    entry = SimpleNamespace(path="/webui/scripts/xyz_grid.py", module=new)
    monkeypatch.setattr(host.scripts, "scripts_data", [*host.scripts.scripts_data, entry])
    host.script_callbacks.before_ui_callback()
    assert [option.label for option in new.axis_options] == ["Nothing", *LABELS]


def test_the_order_of_costs_swaps_least(options):
    costs = [option.cost for option in options.values()]
    assert costs == sorted(costs, reverse=True)
    assert 0.9 < options["checkpoint"].cost < 1.0
    assert not {0.7, 0.9} & set(costs)  # the webui's own VAE and FP8 axes


def test_choices_are_current(host, options):
    names = options["checkpoint"].choices()
    assert names == sorted(host.sd_models.checkpoint_tiles(), key=str.casefold)
    assert options["adetailer"].choices() == [*args.ADETAILER_MODES, *names]
    assert options["vae"].choices() == [*args.VAE_MODES, *host.sd_vae.vae_dict]
    assert options["cfg_scale"].choices is None


def cells(host, options, *values, panel=(False,)):
    """Copies of one job, each with values by field, as the plot makes them."""
    whole = host.job(*panel, prompt="a cat")
    made = []
    for given in values:
        cell = copy.copy(whole)
        for field, value in given.items():
            options[field].apply(cell, value, [value])
        made.append(cell)
    return whole, made


def test_cells_do_not_affect_each_other(host, options):
    values = {"checkpoint": B, "cfg_scale": 3.0}, {"checkpoint": C}, {}
    whole, made = cells(host, options, *values)
    results = [host.run(cell) for cell in made]
    names = [cell.hr_checkpoint_name for cell in made]
    assert [names[0].split(" ")[0], names[1].split(" ")[0], names[2]] == [B, C, None]
    assert "Multipass CFG scale: 3.0" in results[0].infotexts[0]
    assert "Multipass checkpoint: gamma" in results[1].infotexts[0]
    assert "CFG scale: 3" not in results[1].infotexts[0]
    assert "Multipass" not in results[2].infotexts[0]
    assert not hasattr(whole, "_multipass_axes")


def test_an_axis_wins_over_the_panel(host, options):
    _, (cell,) = cells(host, options, {"checkpoint": C}, panel=(True, B, "Same as second pass", "Use same VAE", 4.0))
    text = host.run(cell).infotexts[0]
    assert "Multipass checkpoint: gamma" in text
    assert "Multipass CFG scale: 4.0" in text


def test_without_a_second_checkpoint_the_cell_fails_with_the_usual_sentence(host, options):
    _, (cell,) = cells(host, options, {"cfg_scale": 3.0})
    with pytest.raises(MultipassError, match="Second-pass checkpoint: no checkpoint is chosen"):
        host.run(cell)


def plot(server, *given, **more):
    """A request's script part with axes ``(type, values)`` for X, Y and Z."""
    values = {}
    for letter, (kind, texts) in zip("xyz", given, strict=False):
        values |= {f"{letter}_type": kind, f"{letter}_values": texts}
    fixed = {"include_sub_images": True, "draw_legend": False, "use_text_inputs_instead_of_dropdowns": True}
    return script_args(server, "X/Y/Z plot", **values, **{**fixed, **more})


def alone(server, **own):
    return warm(server, **hires("Lanczos"), alwayson_scripts=multipass(own)).pictures[0]


def assert_cells(got, expected):
    """The plot's single pictures, which stand behind its grid."""
    pictures = got.pictures[-len(expected) :]
    assert len(got.pictures) == len(expected) + 1
    assert [np.array_equal(*both) for both in zip(pictures, expected, strict=True)] == [True] * len(expected)


@pytest.mark.real
def test_cells_are_single_jobs(pair):
    server = pair.ours
    expected = [alone(server, checkpoint=name) for name in (B, C)]
    got = warm(server, **hires("Lanczos"), **plot(server, (LABELS[0], f"{B}, {C}.safetensors")))
    assert_cells(got, expected)
    assert not np.array_equal(*expected)
    for text, name in zip(got.infotexts[-2:], (B, C), strict=True):
        assert f"Multipass checkpoint: {name}.safetensors" in text
        assert f"Hires checkpoint: {name}" in text
    assert f'X Type: {LABELS[0]}, X Values: "{B}, {C}.safetensors"' in got.infotexts[0]
    assert server.client.txt2img().same_as(warm(pair.stock))


@pytest.mark.real
def test_checkpoints_change_in_the_outermost_loop(pair):
    server = pair.ours
    seeds = (1, 2)
    jobs = [(seed, multipass({"checkpoint": name})) for seed in seeds for name in (B, C)]
    expected = [warm(server, **hires("Lanczos"), seed=seed, alwayson_scripts=job).pictures[0] for seed, job in jobs]
    server.client.probe()
    given = plot(server, (LABELS[0], f"{B}, {C}"), ("Seed", "1, 2"))
    assert_cells(server.client.txt2img(**hires("Lanczos"), **given), expected)
    # It begins with the one that the last job did not have.
    assert server.client.probe()["reads"] == [B, C]


@pytest.mark.real
def test_axes_combine_and_win_over_the_panel(pair):
    server = pair.ours
    combinations = [(cfg, name, skip) for skip in (1, 3) for name in (B, A) for cfg in (0, 9)]
    expected = [alone(server, checkpoint=name, cfg_scale=cfg, clip_skip=skip) for cfg, name, skip in combinations]
    given = plot(server, (LABELS[3], "0, 9"), (LABELS[0], f"{B}, {A}"), (LABELS[4], "1, 3"), include_sub_grids=False)
    got = warm(server, **hires("Lanczos"), **given, alwayson_scripts=multipass({"checkpoint": C, "cfg_scale": 2}))
    pictures = got.pictures[-len(expected) :]
    assert [np.array_equal(*both) for both in zip(pictures, expected, strict=True)] == [True] * len(expected)


@pytest.mark.real
def test_vae_and_the_base_checkpoint(pair):
    server = pair.ours
    expected = [alone(server, checkpoint=B, vae=vae) for vae in ("Use same VAE", "other.safetensors")]
    own = {"enabled": False, "checkpoint": B}
    given = plot(server, (LABELS[2], "Use same VAE, other"))
    assert_cells(warm(server, **hires("Lanczos"), **given, alwayson_scripts=multipass(own)), expected)


@pytest.mark.real
def test_the_faces(pair):
    need_adetailer(pair)
    server, faces = pair.ours, adetailer(pair.ours)
    modes = ("Same as second pass", "Same as first pass", C)
    expected = [
        warm(server, **hires("Lanczos"), alwayson_scripts={**faces, **multipass(True, B, mode)}) for mode in modes
    ]
    given = plot(server, (LABELS[1], ", ".join(modes)))
    got = warm(server, **hires("Lanczos"), **given, alwayson_scripts={**faces, **multipass(True, B)})
    assert_cells(got, [picture.pictures[0] for picture in expected])
    for text, job in zip(got.infotexts[-3:], expected, strict=True):
        assert without(text, "Script", "X ") == without(job.infotext, "Script", "X ")


@pytest.mark.real
def test_dropdown_values(pair):
    server = pair.ours
    expected = [alone(server, checkpoint=name) for name in (B, C)]
    titles = {m["model_name"]: m["title"] for m in server.client.get("/sdapi/v1/sd-models")}
    given = plot(server, (LABELS[0], ""), use_text_inputs_instead_of_dropdowns=False)
    given["script_args"][2] = [titles[B], titles[C]]
    assert_cells(warm(server, **hires("Lanczos"), **given), expected)


@pytest.mark.real
def test_with_hires_fix_off(pair):
    server = pair.ours
    given = plot(server, (LABELS[0], f"{B}, {C}"))
    got = warm(server, **given)
    expected = [warm(server, alwayson_scripts=multipass({"checkpoint": name})).pictures[0] for name in (B, C)]
    assert_cells(got, expected)


REFUSED = [
    (0, f"{B}, alpah", ["Second-pass checkpoint", "'alpah'", "alpha.safetensors"]),
    (1, "same", ["ADetailer checkpoint", "'same'", "'Same as second pass'"]),
    (2, "ohter", ["Second-pass VAE", "'ohter'", "other.safetensors"]),
    (3, "3, 31", ["Second-pass CFG", "31", "from 0 to 30"]),
    (3, "7, high", ["Second-pass CFG", "'high'", "a number"]),
    (4, "1-13", ["Second-pass clip skip", "13", "from 0 to 12"]),
    (4, "1, 2.5", ["Second-pass clip skip", "'2.5'", "a whole number"]),
    (0, "", ["Second-pass checkpoint", "no values"]),
]


@pytest.mark.parametrize(("number", "values", "words"), REFUSED)
@pytest.mark.real
def test_bad_values_are_refused_before_the_run(pair, number, values, words):
    client, given = pair.ours.client, plot(pair.ours, (LABELS[number], values))
    client.probe()
    with pytest.raises(RefusedError) as caught:
        client.txt2img(**hires(), **given, alwayson_scripts=multipass(True, B))
    assert caught.value.status == 422
    assert all(word in caught.value.detail for word in words)
    state = client.probe()
    assert (state["options"], state["reads"]) == ([], [])


@pytest.mark.real
def test_no_second_checkpoint_reaches_the_user(pair):
    with pytest.raises(RefusedError) as caught:
        pair.ours.client.txt2img(**hires(), **plot(pair.ours, (LABELS[3], "3, 5")))
    assert "no checkpoint is chosen" in caught.value.detail
    assert pair.ours.client.txt2img().same_as(warm(pair.stock))


@pytest.mark.real
def test_listed_once_in_txt2img_alone(pair):
    controls = pair.ours.client.get("/probe/script?title=X/Y/Z plot")
    kinds = next(c["choices"] for c in controls if c["label"] == "X type")
    assert [kinds.count(label) for label in LABELS] == [1] * len(LABELS)
