"""The axes of the X/Y/Z plot: their values and sentences, their cells in process, and plots on real webuis."""

from __future__ import annotations

import copy
from collections import namedtuple
from types import SimpleNamespace

import pytest

from lib_multipass.plan import args, axes
from lib_multipass.words import MultipassError
from support.jobs import B, C
from support.plots import LABELS, Option

BY_FIELD = {axis.field: axis for axis in axes.AXES}


def test_number_axes_keep_the_plots_ranges_and_leave_a_text_to_the_confirmation(options):
    cfg, clip_skip = options["cfg_scale"].type, options["clip_skip"].type
    assert [[kind for kind in (int, float) if kind == own] for own in (cfg, clip_skip)] == [[float], [int]]
    assert [[kind for kind in (int, float) if own == kind] for own in (cfg, clip_skip)] == [[float], [int]]
    assert (cfg("7"), clip_skip("2")) == (7.0, 2)
    assert (cfg("high"), clip_skip("2.5")) == ("high", "2.5")


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
