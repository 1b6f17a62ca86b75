"""A running fork that Multipass cannot work in."""

from __future__ import annotations

import pytest
import requests

from lib_multipass.plan.args import FIELDS
from support.client import RefusedError
from support.jobs import B, hires, multipass


def test_a_running_fork_has_nothing_of_ours_but_the_sentence(fork):
    client = fork.client
    assert [line for line in fork.log.splitlines() if "[Multipass]" in line] == [
        line for line in fork.log.splitlines() if "Multipass is off" in line
    ]
    assert "Traceback" not in fork.log
    assert not [name for name in client.get("/sdapi/v1/options") if name.startswith("multipass")]
    assert requests.get(f"{client.url}/multipass/v1/state", timeout=60).status_code == 404
    (about,) = (one for one in client.get("/sdapi/v1/script-info") if one["name"] == "multipass")
    assert len(about["args"]) == len(FIELDS)


def test_jobs_of_a_running_fork(fork):
    client = fork.client
    plain = client.txt2img(**hires())
    with pytest.raises(RefusedError) as caught:
        client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
    assert caught.value.status == 422
    assert "forge_model_reload" in caught.value.detail
    assert client.txt2img(**hires(), alwayson_scripts=multipass(False, B)).same_as(plain)
    assert client.img2img(plain.encoded[0]).pictures[0].shape == (64, 64, 3)
