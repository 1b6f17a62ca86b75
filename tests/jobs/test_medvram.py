"""Running webuis with ``--medvram``: their own functions move the parts of models, if only from the CPU to the CPU."""

from __future__ import annotations

import pytest

from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer, warm


@pytest.mark.parametrize("flag", ["--medvram", "--lowvram"])
def test_a_checkpoint_that_is_loaded_every_time(pair, start, flag):
    """It is thrown away while a part of it is in use; the webui moves that part in the next job."""
    need_adetailer(pair)
    expected = warm(pair.stock)
    with start(flag, "--multipass-ram-reserve", "0") as server:
        server.client.txt2img()
        size = server.client.probe()["bytes"][A]
        server.client.post("/probe/ram", {"bytes": int(2.5 * size)})
        scripts = {**adetailer(server, C, B), **multipass(True, B, "As set in ADetailer")}
        for _ in range(2):  # the second is kept, as it is used twice; the first goes while its UNet is in use
            got = server.client.txt2img(**hires("Lanczos"), alwayson_scripts=scripts)
        assert "alpha, gamma are loaded every time" in server.log
        assert server.client.txt2img().same_as(expected)
        state = server.client.probe()
        assert (state["loaded"], state["empty"]) == ([A], [])
        assert server.client.txt2img().same_as(expected)
    faces = adetailer(pair.stock, C, B)
    by_hand = warm(pair.stock, **hires("Lanczos"), hr_checkpoint_name=B, alwayson_scripts=faces)
    assert got.difference(by_hand) <= 1


@pytest.mark.parametrize("keep", [True, False])
def test_all_are_kept_and_let_go(pair, start, keep):
    """With this setting off the webui leaves the part where it is, of a model that is let go next."""
    expected = warm(pair.stock)
    by_hand = warm(pair.stock, **hires("Lanczos"), hr_checkpoint_name=B)
    with start("--medvram", config={"sd_checkpoints_keep_in_cpu": keep}) as server:
        for _ in range(2):
            got = warm(server, **hires("Lanczos"), alwayson_scripts=multipass(True, B))
            assert got.same_as(by_hand)
            assert server.client.probe()["reads"] == []
            assert server.client.txt2img().same_as(expected)
            assert server.client.txt2img().same_as(expected)
