"""Checkpoints whose header is longer than is read here, for a thumbnail among its texts: the webui loads them."""

from __future__ import annotations

import shutil

from safetensors.torch import load_file, save_file

from lib_multipass.memory.header_text import LONGEST_READ
from support.jobs import B, adetailer, hires, multipass, warm

NAME = "with thumbnail"


def test_a_checkpoint_with_a_thumbnail_makes_every_later_pass(start):
    with start() as server:
        folder = server.data / "models" / "Stable-diffusion"
        plain = folder / f"{B}.safetensors"
        save_file(load_file(plain), folder / f"{NAME}.safetensors", {"thumbnail": "x" * LONGEST_READ})
        if plain.with_suffix(".yaml").exists():
            shutil.copy(plain.with_suffix(".yaml"), folder / f"{NAME}.yaml")
        client = server.client
        client.post("/sdapi/v1/refresh-checkpoints")
        faces = adetailer(server) if server.webui.adetailer else {}
        job = {**hires(), "alwayson_scripts": {**multipass(True, NAME), **faces}}
        about = next(one for one in client.get("/multipass/v1/checkpoints") if NAME in one["name"])
        assert (about["architecture"], about["problem"]) == ("unknown", None)
        assert client.post("/multipass/v1/plan", job)["passes"][1]["architecture"] == "unknown"
        got = warm(server, **job)
        expected = warm(server, **hires(), alwayson_scripts={**multipass(True, B), **faces})
        assert got.same_as(expected)
        assert f"Multipass checkpoint: {NAME}.safetensors" in got.infotext
        # The miniature's models have names of their own, and of what Forge Neo loads nothing is learnt.
        if server.webui.real and not server.webui.kind.vaes_are_modules:
            after = client.post("/multipass/v1/plan", job)["passes"][1]
            assert after["architecture"] == "SD 1.x"
            other = client.post("/multipass/v1/plan", {**job, "alwayson_scripts": multipass(True, B)})["passes"][1]
            assert abs(after["bytes"] - other["bytes"]) < 0.02 * other["bytes"]
