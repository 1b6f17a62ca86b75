"""Axes in the webui's own X/Y/Z plot."""

from __future__ import annotations

import numpy as np
import pytest

from lib_multipass.plan import axes
from support.client import RefusedError
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer, warm, without
from support.plots import LABELS, assert_cells, plot

BY_FIELD = {axis.field: axis for axis in axes.AXES}


def alone(server, **own):
    return warm(server, **hires("Lanczos"), alwayson_scripts=multipass(own)).pictures[0]


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
def test_the_webuis_own_axis_of_the_first_checkpoint(pair):
    server, own = pair.ours, multipass({"checkpoint": A})
    jobs = [{"override_settings": {"sd_model_checkpoint": f"{name}.safetensors"}} for name in (A, B, C)]
    expected = [warm(server, **hires("Lanczos"), **job, alwayson_scripts=own).pictures[0] for job in jobs]
    given = plot(server, ("Checkpoint name", ", ".join(f"{name}.safetensors" for name in (A, B, C))))
    got = warm(server, **hires("Lanczos"), **given, alwayson_scripts=own)
    assert_cells(got, expected)
    assert [f"Hires checkpoint: {A}" in text for text in got.infotexts[-2:]] == [True, True]
    assert server.client.txt2img().same_as(warm(pair.stock))


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
