"""A running webui in which the start fails late: it runs as without us, and refuses ticked jobs."""

from __future__ import annotations

import pytest
import requests

from support.client import RefusedError
from support.jobs import B, hires, multipass, warm

pytestmark = pytest.mark.real

UNLIKE = """
import sys

from modules import script_callbacks

register, failed = script_callbacks.on_script_unloaded, []


def on_script_unloaded(*args, **kwargs):
    if not failed and sys._getframe(1).f_globals["__name__"].startswith("lib_multipass"):
        failed.append(args)
        raise RuntimeError("unlike the others")
    return register(*args, **kwargs)


script_callbacks.on_script_unloaded = on_script_unloaded
"""
"""Another extension, which comes before ours."""


def test_nothing_of_ours_stays_but_the_refusal(pair, start, tmp_path):
    scripts = tmp_path / "a-fork" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "unlike.py").write_text(UNLIKE, encoding="utf-8")
    expected = warm(pair.stock, **hires())
    with start(neighbours=[scripts.parent]) as server:
        client = server.client
        client.afresh, client.by_hand = pair.stock.client.afresh, pair.stock.client.by_hand
        assert "Multipass is off: this webui lacks something (unlike the others)" in server.log
        assert "Traceback" not in server.log
        assert not [name for name in client.get("/sdapi/v1/options") if name.startswith("multipass")]
        assert requests.get(f"{client.url}/multipass/v1/state", timeout=60).status_code == 404
        with pytest.raises(RefusedError, match="unlike the others"):
            client.txt2img(**hires(), alwayson_scripts=multipass(True, B))
        assert warm(server, **hires()).same_as(expected)
        assert warm(server, **hires(), hr_checkpoint_name=B).same_as(warm(pair.stock, **hires(), hr_checkpoint_name=B))
