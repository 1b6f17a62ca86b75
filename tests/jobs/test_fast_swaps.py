"""*Fast swaps* in running webuis, on the processor: the device is the same processor under another name (the probe),
and what has left it is overwritten.
"""

from __future__ import annotations

import pytest

from support.hosts import A1111
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer, warm, without

pytestmark = pytest.mark.both
FAST = {"PROBE_FAST": "1"}
LATENT, PIXELS = "Latent", "Lanczos"


@pytest.fixture
def fast(start, webui):
    """Starts a webui whose swaps are fast."""
    if webui.kind is not A1111:
        pytest.skip("this webui moves models by itself")
    return lambda *flags, **more: start(*flags, environment=FAST, **more)


def told(server):
    return server.client.get("/multipass-probe/fast")


def loras(first, second):
    """Fields with a LoRA in the prompts of these passes."""
    tag = " <lora:style-sd1:0.8>"
    return {"prompt": f"a cat{tag * first}", "hr_prompt": f"a dog{tag * second}"}


@pytest.mark.parametrize("upscaler", [LATENT, PIXELS])
@pytest.mark.parametrize("parts", [[], ["--medvram"], ["--lowvram"]], ids=lambda flags: "".join(flags) or "whole")
def test_pictures_are_those_of_the_job_by_hand(pair, fast, parts, upscaler):
    plain = warm(pair.stock)
    expected = warm(pair.stock, **hires(upscaler), hr_checkpoint_name=B)
    with fast(*parts) as server:
        for _ in range(3):
            got = server.client.txt2img(**hires(upscaler), alwayson_scripts=multipass(True, B))
            assert got.same_as(expected)
            assert without(got.infotext, "Multipass") == without(expected.infotext)
        state = told(server)
        assert state["gone"] >= 4
        assert state["come"] >= 3
        assert state["movers"] == 2
        assert server.client.txt2img().same_as(plain)
        assert told(server)["replaced"] == 0


@pytest.mark.parametrize("way", [(1, 0), (0, 1), (1, 1)], ids=["first", "second", "both"])
@pytest.mark.parametrize("parts", [[], ["--medvram"]], ids=lambda flags: "".join(flags) or "whole")
def test_networks_come_and_go(pair, fast, parts, way):
    """Their layers are left as the webui leaves them, and the next use finds whole weights."""
    if not pair.real:
        pytest.skip("the miniature has no networks")
    plain, expected, without_any = (
        warm(pair.stock, **hires(LATENT), **fields, hr_checkpoint_name=B)
        for fields in (loras(0, 0), loras(*way), loras(0, 0))
    )
    assert plain.same_as(without_any)
    assert not plain.same_as(expected)
    with fast(*parts) as server:
        jobs = {"alwayson_scripts": multipass(True, B), **hires(LATENT)}
        for _ in range(2):
            assert server.client.txt2img(**jobs, **loras(*way)).same_as(expected)
            assert server.client.txt2img(**jobs, **loras(0, 0)).same_as(plain)
        assert server.client.txt2img(**jobs, **loras(*way)).same_as(expected)
        assert parts or told(server)["lent"] > 0  # of parts, the one that is left there is the VAE
        by_hand = pair.stock.client.txt2img(**loras(1, 0))
        assert server.client.txt2img(**loras(1, 0)).same_as(by_hand)
        assert told(server)["lent"] == 0


def test_the_webuis_old_way_of_networks_takes_nothing_away(pair, fast):
    """It puts copies back at every step: of a layer's weights and, where there is none of its bias, no bias."""
    if not pair.real:
        pytest.skip("the miniature has no networks")

    def made(server, way, old, **job):
        server.client.post("/sdapi/v1/options", {"lora_functional": old})  # 1.6.0 overrides only what was stored
        return server.client.txt2img(**hires(LATENT), **loras(way, way), **job)

    by_hand = {"hr_checkpoint_name": B}
    expected, plain = ([made(pair.stock, way, way == 1, **by_hand) for _ in range(2)][-1] for way in (1, 0))
    with fast() as server:
        for _ in range(2):
            assert made(server, 1, True, alwayson_scripts=multipass(True, B)).same_as(expected)
            assert made(server, 0, False, alwayson_scripts=multipass(True, B)).same_as(plain)


def test_a_vae_comes_and_goes(pair, fast):
    expected = warm(pair.stock, **hires(PIXELS), hr_checkpoint_name=B)
    with fast() as server:
        for _ in range(2):
            server.client.txt2img(**hires(PIXELS), alwayson_scripts=multipass({"checkpoint": B, "vae": "other"}))
            server.client.txt2img(
                **hires(PIXELS), override_settings={"sd_vae": "other.safetensors"}, alwayson_scripts=multipass(True, B)
            )
            got = server.client.txt2img(**hires(PIXELS), alwayson_scripts=multipass(True, B))
            assert got.same_as(expected)


def test_three_checkpoints_with_faces(pair, fast):
    need_adetailer(pair)
    faces = adetailer(pair.stock, C)
    expected = warm(pair.stock, **hires(LATENT), hr_checkpoint_name=B, alwayson_scripts=faces)
    with fast() as server:
        scripts = {**adetailer(server), **multipass(True, B, C)}
        for _ in range(2):
            got = server.client.txt2img(**hires(LATENT), alwayson_scripts=scripts)
            assert got.same_as(expected)
        assert told(server)["movers"] == 3


def test_nothing_is_left_after_release(pair, fast):
    expected = warm(pair.stock)
    with fast() as server:
        for _ in range(2):
            server.client.txt2img(**hires(LATENT), alwayson_scripts=multipass(True, B))
            server.client.post("/multipass/v1/release", {})
            state = told(server)
            assert (state["replaced"], state["lent"], state["locked"], state["movers"]) == (0, 0, 0, 0)
            assert server.client.probe()["loaded"] == [A]
        assert server.client.txt2img().same_as(expected)


def test_it_is_off_where_nobody_wants_it(pair, start):
    with start("--multipass-fast-swaps", "off", environment=FAST) as server:
        for _ in range(2):
            server.client.txt2img(**hires(LATENT), alwayson_scripts=multipass(True, B))
        assert told(server)["gone"] == told(server)["movers"] == 0
