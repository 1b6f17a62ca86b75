"""Whole jobs on running webuis: the miniature always, real ones when given.

Every picture is compared with the one that the same webui makes without the extension when hires checkpoint, ADetailer
checkpoint and cache limit are set by hand.
"""

from __future__ import annotations

import json

import pytest

from support.client import RefusedError, Rendered
from support.jobs import (
    A,
    B,
    C,
    adetailer,
    differences,
    hires,
    limit,
    multipass,
    need_adetailer,
    need_limits,
    vae_override,
    warm,
    without,
)
from support.scale import matrix
from support.webuis import Server

UPSCALERS = ("Latent", "Lanczos")
COUNTS = ({"n_iter": 1}, {"n_iter": 3}, {"batch_size": 2})

MODES = {
    "no ADetailer": (None, None),
    "faces as second": ("Same as second pass", B),
    "faces as first": ("Same as first pass", None),
    "faces as set": ("As set in ADetailer", C),
    "faces on a third": (C, C),
}


@pytest.mark.parametrize(("mode", "upscaler", "count"), matrix(MODES, UPSCALERS, COUNTS))
@pytest.mark.both
@pytest.mark.in_turn
def test_equals_the_job_set_by_hand(pair, mode, upscaler, count):
    choice, by_hand = MODES[mode]
    ours, stock = {}, {}
    if choice:
        need_adetailer(pair)
        ours = adetailer(pair.ours, C if mode == "faces as set" else None)
        stock = adetailer(pair.stock, by_hand)
    job = {**hires(upscaler), **count}
    expected = warm(pair.stock, **job, hr_checkpoint_name=B, alwayson_scripts=stock)
    for first in (B, A):  # the webui notes the hash of what it reads, for an override of an earlier job too
        pair.ours.client.txt2img(override_settings={"sd_model_checkpoint": f"{first}.safetensors"})
    pair.ours.client.txt2img()
    before, config = pair.ours.client.get("/sdapi/v1/options"), pair.ours.config

    got = warm(pair.ours, **job, alwayson_scripts={**ours, **multipass(True, B, choice)})

    assert got.same_as(expected)
    assert len(got.pictures) == len(expected.pictures)
    assert without(got.infotext, "Multipass") == without(expected.infotext)
    state = pair.ours.client.probe()
    assert state["reads"] == []
    assert state["builds"] == []
    assert state["empty"] == []
    assert all(seen["sd_checkpoints_limit"] == 1 for seen in state["options"] if "sd_checkpoints_limit" in seen)
    assert pair.ours.client.get("/sdapi/v1/options") == before
    assert pair.ours.config == config


def test_the_two_passes_and_the_faces_differ(pair):
    """Guards the comparisons above: each checkpoint paints its own picture."""
    need_adetailer(pair)
    plain = warm(pair.stock, **hires())
    second = warm(pair.stock, **hires(), hr_checkpoint_name=B)
    faces = [
        warm(pair.stock, **hires(), hr_checkpoint_name=B, alwayson_scripts=adetailer(pair.stock, checkpoint))
        for checkpoint in (A, B, C)
    ]
    for index, one in enumerate((plain, second, *faces)):
        assert not any(one.like(other) for other in (plain, second, *faces)[index + 1 :])


@pytest.mark.both
def test_options_are_equal_during_the_job(pair):
    pair.ours.client.txt2img()  # see above
    before = pair.ours.client.probe()["data"]
    pair.ours.client.txt2img(**hires(), n_iter=2, alwayson_scripts=multipass(True, B))
    seen = pair.ours.client.probe()["options"]
    assert len(seen) == 4
    assert [differences(before, options) for options in seen] == [{}] * 4


@pytest.mark.both
def test_base_from_override_settings(pair):
    job = {**hires(), "n_iter": 2, "override_settings": {"sd_model_checkpoint": C}}
    expected = warm(pair.stock, **job, hr_checkpoint_name=B)
    got = warm(pair.ours, **job, alwayson_scripts=multipass(True, B))
    state = pair.ours.client.probe()
    assert got.same_as(expected)
    assert (state["reads"], state["builds"]) == ([], [])
    assert pair.ours.client.get("/sdapi/v1/options")["sd_model_checkpoint"].startswith(A)


@pytest.mark.both
def test_another_pair_next(pair):
    first = warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    second = warm(pair.ours, **hires(), alwayson_scripts=multipass(True, C))
    third = warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    state = pair.ours.client.probe()
    assert sorted(state["loaded"]) == [A, B]
    assert state["empty"] == []
    assert first.same_as(third)
    assert not first.like(second)
    assert second.same_as(warm(pair.stock, **hires(), hr_checkpoint_name=C))


@pytest.mark.both
def test_a_third_checkpoint_is_let_go_when_two_are_enough(pair):
    need_adetailer(pair)
    scripts = {**adetailer(pair.ours), **multipass(True, B, C)}
    warm(pair.ours, **hires(), alwayson_scripts=scripts)
    assert sorted(pair.ours.client.probe()["loaded"]) == [A, B, C]
    pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
    state = pair.ours.client.probe()
    assert sorted(state["loaded"]) == [A, B]
    assert (state["reads"], state["empty"]) == ([], [])


@pytest.mark.both
def test_a_plain_job_gives_the_memory_back(pair):
    expected = warm(pair.stock)
    warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    assert pair.ours.client.probe()["limit"] == limit(pair.ours, 2)
    got = pair.ours.client.txt2img()
    state = pair.ours.client.probe()
    assert got.same_as(expected)
    assert got.infotexts == expected.infotexts
    assert state["loaded"] == [A]
    assert (state["reads"], state["builds"], state["empty"], state["limit"]) == ([], [], [], limit(pair.ours, 1))
    assert pair.ours.client.txt2img().same_as(expected)


@pytest.mark.both
def test_a_plain_job_on_the_kept_second_checkpoint_keeps_that_one(pair):
    warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    got = pair.ours.client.txt2img(override_settings={"sd_model_checkpoint": B})
    state = pair.ours.client.probe()
    assert state["loaded"] == [B]
    assert (state["reads"], state["empty"]) == ([], [])
    assert got.same_as(warm(pair.stock, override_settings={"sd_model_checkpoint": B}))


@pytest.mark.both
def test_a_plain_job_on_a_new_checkpoint(pair):
    warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    got = pair.ours.client.txt2img(override_settings={"sd_model_checkpoint": C})
    state = pair.ours.client.probe()
    assert state["loaded"] == [C]
    assert state["empty"] == []
    assert got.same_as(warm(pair.stock, override_settings={"sd_model_checkpoint": C}))


@pytest.mark.both
def test_img2img_between_two_jobs_keeps_everything(pair):
    job = {**hires(), "alwayson_scripts": multipass(True, B)}
    first = warm(pair.ours, **job)
    pair.ours.client.img2img(first.encoded[0])
    again = pair.ours.client.txt2img(**job)
    state = pair.ours.client.probe()
    assert state["reads"] == []
    assert again.same_as(first)


@pytest.mark.both
def test_loads_for_three_pictures(pair, start):
    """Why anyone would want this: what the webui reads from disk at its default settings, and what it reads with us."""
    with start(multipass=False) as server:
        by_hand = loads_of_three(server, {"hr_checkpoint_name": B})
        faces = loads_of_three(server, {"hr_checkpoint_name": B, "alwayson_scripts": adetailer(server, C)})
    ours = loads_of_three(pair.ours, {"alwayson_scripts": multipass(True, B)})
    our_faces = loads_of_three(pair.ours, {"alwayson_scripts": {**adetailer(pair.ours), **multipass(True, B, C)}})
    assert by_hand == 6
    assert faces in (8, 9)
    assert (ours, our_faces) == (0, 0)


def loads_of_three(server: Server, job: dict) -> int:
    warm(server, **hires(), n_iter=3, **job)
    server.client.probe()
    server.client.txt2img(**hires(), n_iter=3, **job)
    return len(server.client.probe()["reads"])


@pytest.mark.both
def test_unticked_is_as_without_the_extension(start):
    with start(multipass=False) as server:
        expected = _unticked(server)
    with start(multipass=True) as server:
        got = _unticked(server)
    for ours, stock in zip(got[0], expected[0], strict=True):
        assert ours.same_as(stock)
        assert ours.infotexts == stock.infotexts
    assert got[1:] == expected[1:]


def _unticked(server: Server):
    server.client.probe()
    jobs = [
        server.client.txt2img(),
        server.client.txt2img(**hires(), hr_checkpoint_name=B, n_iter=3),
        server.client.txt2img(override_settings={"sd_model_checkpoint": C}),
        server.client.txt2img(),
    ]
    state = server.client.probe()
    options = {k: v for k, v in server.client.get("/sdapi/v1/options").items() if not k.startswith("multipass_")}
    options = json.dumps(options).replace(str(server.data), "")
    return jobs, state["reads"], state["builds"], state["loaded"], options


def denoising_by_hand(stock: Server) -> dict:
    """What has to be added to a request with a hires pass: nothing up to 1.6.0, whose API has a default of its own."""
    try:
        stock.client.txt2img(enable_hr=True)
    except RefusedError:
        return {"denoising_strength": stock.webui.kind.denoising}
    return {}


@pytest.mark.both
def test_hires_is_switched_on_and_filled(pair):
    filled = {"enable_hr": True, "hr_upscaler": "Latent", "hr_scale": 2, "hr_cfg": 0, **denoising_by_hand(pair.stock)}
    expected = warm(pair.stock, **filled, hr_checkpoint_name=B)
    got = warm(pair.ours, alwayson_scripts=multipass(True, B))
    assert got.same_as(expected)
    assert without(got.infotext, "Multipass") == without(expected.infotext)


@pytest.mark.both
def test_a_hires_request_without_denoising_strength_is_filled(pair):
    job = {"enable_hr": True, "hr_upscaler": "Lanczos"}
    expected = warm(pair.stock, **job, hr_cfg=0, **denoising_by_hand(pair.stock), hr_checkpoint_name=B)
    assert warm(pair.ours, **job, alwayson_scripts=multipass(True, B)).same_as(expected)


@pytest.mark.both
def test_multipass_wins_over_the_webuis_own_hires_checkpoint(pair):
    expected = warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    got = warm(pair.ours, **hires(), hr_checkpoint_name=C, alwayson_scripts=multipass(True, B))
    assert got.same_as(expected)
    assert sorted(pair.ours.client.probe()["loaded"]) == [A, B]


@pytest.mark.both
def test_the_first_passes_checkpoint_as_second_is_a_plain_hires_job(pair):
    expected = warm(pair.stock, **hires())
    got = warm(pair.ours, **hires(), hr_checkpoint_name=C, alwayson_scripts=multipass(True, f"{A}.safetensors"))
    assert got.same_as(expected)
    assert got.infotexts == expected.infotexts


def test_an_adetailer_that_has_nothing_to_do(pair):
    need_adetailer(pair)
    expected = warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    off = {"ADetailer": {"args": [False, False, {"ad_model": "always.pt"}]}}
    no_tab = {"ADetailer": {"args": [True, False, {"ad_model": "None"}]}}
    for scripts in (off, no_tab):
        got = warm(pair.ours, **hires(), alwayson_scripts={**scripts, **multipass(True, B)})
        assert got.same_as(expected)
        assert "ad_" not in got.infotext
        assert "separate checkpoint" not in got.infotext


def test_two_adetailer_tabs(pair):
    need_adetailer(pair)

    def tabs(server, first, second):
        one = adetailer(server, first)["ADetailer"]["args"]
        return {"ADetailer": {"args": [*one, adetailer(server, second)["ADetailer"]["args"][2]]}}

    job = hires("Lanczos", n_iter=2)
    expected = warm(pair.stock, **job, hr_checkpoint_name=B, alwayson_scripts=tabs(pair.stock, B, B))
    got = warm(pair.ours, **job, alwayson_scripts={**tabs(pair.ours, None, C), **multipass(True, B)})
    assert got.same_as(expected)
    assert "ADetailer checkpoint 2nd: beta" in got.infotext


def test_without_adetailers_script_filter(pair):
    """Then ADetailer's inner jobs run all scripts of the outer job, ours too."""
    need_adetailer(pair)
    setting = {"override_settings": {"ad_only_selected_scripts": False}} if pair.real else {}
    job = {**hires(), **setting, "n_iter": 2}
    expected = warm(pair.stock, **job, hr_checkpoint_name=B, alwayson_scripts=adetailer(pair.stock, B))
    got = warm(pair.ours, **job, alwayson_scripts={**adetailer(pair.ours), **multipass(True, B)})
    assert got.same_as(expected)
    assert pair.ours.client.probe()["reads"] == []


BAD = {
    "unknown": ([True, "alpah"], ["Second-pass checkpoint", "'alpah'", "alpha.safetensors"]),
    "several": ([True, "a.safetensors"], ["Second-pass checkpoint", "'a.safetensors' means", "gamma.safetensors"]),
    "none": ([True], ["Second-pass checkpoint", "no checkpoint is chosen"]),
    "number": ([True, 5], ["Second-pass checkpoint", "5", "text"]),
    "not a tick": (["yes", B], ["Multipass", "'yes'", "true or false"]),
    "unknown for faces": ([True, B, "delta"], ["ADetailer checkpoint", "'delta'"]),
    "unknown key": ([{"checkpint": B}], ["checkpint", "checkpoint"]),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_arguments_stop_the_job(pair, bad):
    args, words = BAD[bad]
    before = warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    pair.ours.client.probe()
    with pytest.raises(RefusedError) as caught:
        pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(*args))
    assert caught.value.status == 422
    for word in words:
        assert word in caught.value.detail
    again = pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
    state = pair.ours.client.probe()
    assert again.same_as(before)
    assert state["reads"] == []
    assert len(state["options"]) == 2  # the stopped job never came to a batch


def test_an_override_that_names_no_checkpoint_stops_the_job(pair):
    with pytest.raises(RefusedError) as caught:
        pair.ours.client.txt2img(
            override_settings={"sd_model_checkpoint": "nowhere"}, alwayson_scripts=multipass(True, B)
        )
    assert caught.value.status == 422
    assert "'nowhere'" in caught.value.detail


@pytest.mark.parametrize("name", [B, f"{B}.safetensors", "title", "short title", "hash"])
def test_every_kind_of_name_is_taken(pair, name):
    warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))  # from now on its hash is known
    info = next(m for m in pair.ours.client.get("/sdapi/v1/sd-models") if m["model_name"] == B)
    kinds = {"title": info["title"], "short title": f"{B} [{info['hash']}]", "hash": info["hash"]}
    got = warm(pair.ours, **hires(), alwayson_scripts=multipass(True, kinds.get(name, name)))
    assert f"Hires checkpoint: {B} [{info['hash']}]" in got.infotext
    assert f"Multipass checkpoint: {B}.safetensors [{info['hash']}]" in got.infotext


def test_the_object_form_of_the_arguments(pair):
    expected = warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    assert warm(pair.ours, **hires(), alwayson_scripts=multipass({"checkpoint": B})).same_as(expected)


@pytest.mark.both
def test_a_temporary_vae_comes_off_again(pair, start):
    """Without the extension it stays on a model that was kept and activated again; so compared at the default limit."""
    expected, other = warm(pair.stock), vae_override(pair.ours)
    with start(multipass=False) as server:
        expected_other = warm(server, override_settings=vae_override(server))
    warm(pair.ours, **hires(), n_iter=2, alwayson_scripts=multipass(True, B))
    with_vae = pair.ours.client.txt2img(
        **hires(), n_iter=2, override_settings=other, alwayson_scripts=multipass(True, B)
    )
    got = pair.ours.client.txt2img()
    assert not got.like(Rendered(with_vae.pictures[:1], [], [], {}))
    assert got.same_as(expected)
    assert warm(pair.ours, override_settings=other).same_as(expected_other)
    assert pair.ours.client.txt2img().same_as(expected)


@pytest.mark.both
def test_a_users_higher_limit_stays(webui, start):
    need_limits(webui)
    with start(config={"sd_checkpoints_limit": 3}) as server:
        for checkpoint in (B, C, B):
            server.client.txt2img(**hires(), alwayson_scripts=multipass(True, checkpoint))
        server.client.probe()
        server.client.txt2img(**hires(), alwayson_scripts=multipass(True, C))
        state = server.client.probe()
        assert (state["reads"], state["limit"], len(state["loaded"])) == ([], 3, 3)
        server.client.txt2img()
        assert len(server.client.probe()["loaded"]) == 3


@pytest.mark.both
def test_frozen_settings(start):
    with start("--freeze-settings") as server:
        job = {**hires(), "n_iter": 2, "alwayson_scripts": multipass(True, B)}
        if server.webui.kind.vaes_are_modules:  # it cannot swap
            with pytest.raises(RefusedError) as caught:
                server.client.txt2img(**job)
            assert caught.value.status == 422
            assert "settings are frozen" in caught.value.detail
            assert server.client.txt2img(**{**job, "alwayson_scripts": multipass(True, A)}).pictures
            return
        warm(server, **job)
        assert server.client.probe()["reads"] == []
        job["alwayson_scripts"] |= adetailer(server)
        with pytest.raises(RefusedError) as caught:
            server.client.txt2img(**job)
        assert "settings are frozen" in caught.value.detail
        job["alwayson_scripts"] = {**adetailer(server), **multipass(True, B, "Same as first pass")}
        assert f"Hires checkpoint: {B}" in server.client.txt2img(**job).infotext


def test_one_console_line_per_job(pair):
    need_adetailer(pair)
    start = len(pair.ours.log)
    scripts = {**adetailer(pair.ours), **multipass(True, B)}
    warm(pair.ours, **hires(), n_iter=2, batch_size=2, alwayson_scripts=scripts)
    lines = [line for line in pair.ours.log[start:].splitlines() if "[Multipass] 1 " in line]
    assert len(lines) == 2
    assert f"1 {A} · " in lines[1]
    assert f" → 2 {B} · " in lines[1]
    assert f" → faces: {B} — 2 checkpoints stay in RAM (" in lines[1]
    assert lines[1].endswith(", 0 loads from disk")
    assert "4 swaps" in lines[1]
