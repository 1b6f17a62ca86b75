"""The pretended device in a running miniature."""

from __future__ import annotations

import pytest

from support import webuis
from support.client import RefusedError
from support.jobs import A, B, C, adetailer, hires, multipass


@pytest.fixture(scope="module", params=webuis.miniatures(), ids=str)
def servers(request, tmp_path_factory):
    """The same miniature with and without a device that two models fit onto."""
    folder = tmp_path_factory.mktemp(request.param.name)
    flags = (
        "--device-memory",
        "9000000",
        "--work-memory",
        "20",
        "--host-memory",
        "50000000",
        "--multipass-ram-reserve",
        "0",
    )
    with (
        webuis.running(request.param, folder / "with", *flags) as pretended,
        webuis.running(request.param, folder / "without") as plain,
    ):
        yield pretended, plain


def test_same_pictures(servers):
    scripts = multipass(True, B) | adetailer(servers[0], C)
    body = hires(alwayson_scripts=scripts, batch_size=2)
    pretended, plain = (server.client.txt2img(**body) for server in servers)
    assert pretended.same_as(plain)
    assert pretended.infotexts == plain.infotexts


def test_what_the_probe_tells(servers):
    pretended, plain = servers
    scripts = multipass(True, B)
    for server in servers:
        server.client.txt2img(**hires(alwayson_scripts=scripts, batch_size=3))
        server.client.probe()
        server.client.txt2img(**hires(alwayson_scripts=scripts, batch_size=3))
    seen, usual = pretended.client.probe(), plain.client.probe()
    assert (seen["places"][A], seen["places"][B]) == ("cpu", "cuda")
    moves = [["to cpu", B], ["to device", A], ["activate", A], ["to cpu", A], ["to device", B], ["activate", B]]
    assert seen["story"] == usual["story"] == moves
    assert pretended.client.probe()["story"] == []
    sizes = seen["bytes"]
    assert seen["device"]["total"] == 9000000
    assert seen["device"]["used"] == sizes[B]
    assert seen["device"]["peak"] == sizes[B] + 20 * 128 * 128 * 3
    parked = sum(size for name, size in sizes.items() if seen["places"][name] == "cpu")
    assert seen["device"]["available"] == 50000000 - parked
    assert seen["device"]["lowest_available"] <= seen["device"]["available"]
    assert usual["device"] is None
    assert set(usual["places"].values()) == {"cpu"}


def test_out_of_memory_over_http(servers):
    pretended, _ = servers
    pretended.client.probe()
    with pytest.raises(RefusedError) as caught:
        pretended.client.txt2img(width=1024, height=1024)
    assert caught.value.status == 500
    assert "OutOfMemoryError" in str(caught.value)
    seen = pretended.client.probe()
    assert seen["device"]["ooms"] == 1
    assert ["no room", A] in seen["story"]
    assert seen["device"]["used"] == seen["bytes"][A]
    pretended.client.txt2img()
