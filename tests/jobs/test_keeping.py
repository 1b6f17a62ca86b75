"""Where checkpoints are kept, on running webuis: wishes, flags, reserves, the plan before the job, and release."""

from __future__ import annotations

import pytest
import requests

from support.client import RefusedError
from support.jobs import A, B, C, adetailer, hires, limit, multipass, need_adetailer, need_limits, warm

pytestmark = pytest.mark.both
TOO_MUCH = "1000"
"""GB of RAM to leave free: more than any machine here has, so nothing can be kept."""


def job(*args, **more):
    return {**hires("Lanczos", **more), "alwayson_scripts": multipass(*args)}


def wished(keep):
    return multipass({"checkpoint": B, "keep": keep})


@pytest.mark.parametrize("keep", ["Automatic", "In VRAM", "In RAM"])
def test_wishes_for_the_cpu_keep_in_ram(pair, keep):
    expected = warm(pair.stock, **hires("Lanczos"), hr_checkpoint_name=B)
    got = warm(pair.ours, **hires("Lanczos"), alwayson_scripts=wished(keep))
    state = pair.ours.client.probe()
    assert got.same_as(expected)
    assert (state["reads"], state["builds"], state["limit"]) == ([], [], limit(pair.ours, 2))
    assert sorted(state["loaded"]) == [A, B]


def test_as_the_webui_is_set(pair):
    warm(pair.ours, **job(True, B))
    expected = warm(pair.stock, **hires("Lanczos"), hr_checkpoint_name=B)
    got = warm(pair.ours, **hires("Lanczos"), alwayson_scripts=wished("As the webui is set"))
    state = pair.ours.client.probe()
    assert got.same_as(expected)
    assert sorted(state["reads"]) == [A, B]
    assert (state["limit"], state["loaded"], state["empty"]) == (limit(pair.ours, 1), [B], [])


def test_the_setting_stands_behind_automatic(start):
    with start(config={"multipass_keep": "As the webui is set"}) as server:
        warm(server, **job(True, B))
        assert len(server.client.probe()["reads"]) == 2
        warm(server, **hires("Lanczos"), alwayson_scripts=wished("In RAM"))
        assert server.client.probe()["reads"] == []


def test_the_flag_is_the_most(start):
    with start("--multipass-keep", "webui") as server:
        warm(server, **hires("Lanczos"), alwayson_scripts=wished("In RAM"))
        state = server.client.probe()
        assert (len(state["reads"]), state["limit"]) == (2, limit(server, 1))


def test_too_little_memory_keeps_nothing_and_is_right(pair, start):
    """The job is done as by hand, with loads; never with more memory than that."""
    need_adetailer(pair)

    def scripts(server, *ours, by_hand=None):
        return {"alwayson_scripts": {**adetailer(server, by_hand), **(multipass(*ours) if ours else {})}}

    expected = warm(pair.stock, **hires("Lanczos"), **scripts(pair.stock, by_hand=C), hr_checkpoint_name=B)
    with start("--multipass-ram-reserve", TOO_MUCH) as server:
        got = warm(server, **hires("Lanczos"), n_iter=1, **scripts(server, True, B, C))
        state = server.client.probe()
        assert got.same_as(expected)
        assert len(state["reads"]) == 3
        assert (state["limit"], state["loaded"], state["empty"]) == (limit(server, 1), [C], [])
        assert "alpha, beta, gamma are loaded every time" in server.log
        plan = server.client.post("/multipass/v1/plan", {**hires(), "alwayson_scripts": multipass(True, B)})
        assert [kept["then"] for kept in plan["checkpoints"]] == ["disk", "disk"]
        assert plan["reason"].startswith("alpha and beta will be loaded every time: 0 MB of RAM can be planned with")
        assert plan["memory"]["ram_reserve"] == 1000 * 10**9
        plain = server.client.txt2img()
        assert plain.same_as(warm(pair.stock))


def test_release(pair):
    expected = warm(pair.stock)
    first = warm(pair.ours, **job(True, B))
    sizes = pair.ours.client.probe()["bytes"]
    answer = pair.ours.client.post("/multipass/v1/release")
    state = pair.ours.client.probe()
    assert (answer["released"], answer["kept"]) == ([B], [A])
    assert answer["bytes"] == pytest.approx(sizes[B], rel=0.04)
    assert (state["loaded"], state["limit"], state["empty"]) == ([A], limit(pair.ours, 1), [])
    again = pair.ours.client.post("/multipass/v1/release")
    assert again["released"] == []
    assert pair.ours.client.txt2img().same_as(expected)
    assert pair.ours.client.probe()["reads"] == []
    assert warm(pair.ours, **job(True, B)).same_as(first)


def test_a_users_own_limit_survives_a_release(webui, start):
    need_limits(webui)
    with start(config={"sd_checkpoints_limit": 2}) as server:
        warm(server, **hires(), alwayson_scripts={**adetailer(server), **multipass(True, B, C)})
        answer = server.client.post("/multipass/v1/release")
        assert len(answer["released"]) == 1
        assert len(server.client.probe()["loaded"]) == 2


def test_the_plan_before_the_job_is_what_the_console_says_after_it(pair):
    need_adetailer(pair)
    scripts = {**adetailer(pair.ours), **multipass(True, B)}
    warm(pair.ours, **hires("Lanczos"), alwayson_scripts=scripts)
    pair.ours.client.probe()
    plan = pair.ours.client.post("/multipass/v1/plan", {**hires("Lanczos"), "alwayson_scripts": scripts})
    state = pair.ours.client.probe()
    assert (state["reads"], state["options"]) == ([], [])
    assert [(made["role"], made["checkpoint"]) for made in plan["passes"]] == [
        ("first pass", A),
        ("second pass", B),
        ("faces", B),
    ]
    places = [(kept["checkpoint"], kept["now"], kept["then"]) for kept in plan["checkpoints"]]
    assert places == [(A, "RAM", "RAM"), (B, "RAM", "RAM")]
    for kept in plan["checkpoints"]:
        assert kept["bytes"] == pytest.approx(state["bytes"][kept["checkpoint"]], rel=0.04)
    assert plan["memory"]["ram_free"] > plan["memory"]["ram_needed"]
    assert plan["memory"]["vram_free"] is None
    assert (plan["warnings"], plan["reason"], plan["keep"]) == ([], "", "Automatic")
    start = len(pair.ours.log)
    pair.ours.client.txt2img(**hires("Lanczos"), alwayson_scripts=scripts)
    line = next(line for line in pair.ours.log[start:].splitlines() if "[Multipass] 1 " in line)
    assert f"→ 2 {B} · {plan['passes'][1]['architecture']} · " in line
    assert "— 2 checkpoints stay in RAM (" in line


def test_a_plan_names_what_is_wrong(pair):
    plan = pair.ours.client.post("/multipass/v1/plan", {"alwayson_scripts": multipass({"checkpoint": B})})
    assert plan["warnings"] == ["Hires. fix is off; Multipass will switch it on."]
    for body, words in (
        ({"alwayson_scripts": multipass(True, "alpah")}, ["'alpah'", "alpha"]),
        ({"width": 0, "alwayson_scripts": multipass(True, B)}, ["width", "0"]),
        ({"hr_scale": 1e9, "alwayson_scripts": multipass(True, B)}, ["hr_scale"]),
        ({"alwayson_scripts": multipass({"checkpoint": B, "keep": "VRAM"})}, ["Keep checkpoints", "'VRAM'"]),
        (
            {"override_settings": {"sd_model_checkpoint": "nowhere"}, "alwayson_scripts": multipass(True, B)},
            ["nowhere"],
        ),
        ({"width": "wide", "alwayson_scripts": multipass(True, B)}, ["width"]),
    ):
        with pytest.raises(RefusedError) as caught:
            pair.ours.client.post("/multipass/v1/plan", body)
        assert caught.value.status == 422
        assert all(word in str(caught.value.detail) for word in words)


def test_our_endpoints_ask_for_the_apis_password(start):
    with start("--api-auth", "ann:secret,bob:word", multipass=True) as server:
        for path in ("plan", "release"):
            url = f"{server.client.url}/multipass/v1/{path}"
            for credentials in (None, ("ann", "word"), ("eve", "secret")):
                assert requests.post(url, json={}, auth=credentials, timeout=60).status_code == 401
            body = {"alwayson_scripts": multipass(True, B)}
            assert requests.post(url, json=body, auth=("bob", "word"), timeout=60).status_code == 200
