"""Whatever fails, is interrupted or skipped in a Multipass job on a running webui: the next jobs are right.

As in ``test_faults``, with the webui's own functions, networks and X/Y/Z plot. One fault in so many is injected;
``--scale all -s`` injects all, and prints how many they were. The miniature has a few of them at ``--scale full``, for
machines without a webui.
"""

from __future__ import annotations

import zlib

import pytest

from support import webuis
from support.faults import SAVING, TIGHT, JobKind
from support.jobs import B, C, adetailer, hires, multipass
from support.plots import LABELS, plot
from support.real_faults import Stage
from support.switchboard import (
    OF_A_REAL_WEBUI,
    OF_NEO,
    OF_OURS,
    OF_OURS_IN_NEO,
    OF_THE_MINIATURE,
    OF_THE_WEBUI,
    places,
)

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.timeout(36000)]
PLACES = places(OF_A_REAL_WEBUI + OF_THE_WEBUI + OF_OURS + OF_THE_MINIATURE + OF_NEO + OF_OURS_IN_NEO)
ONE_IN = 307
FACES = JobKind("faces", faces=True)
KINDS = [
    JobKind("single", saves=True),
    FACES,
    JobKind("three", n_iter=3, kept=True),
    JobKind("three-faces", faces=True, n_iter=3, kept=True),
]
ON_A_REAL_WEBUI = [
    JobKind("grid", grid=True, kept=True),
    JobKind("pass-by-pass", n_iter=3, tight=True),
    JobKind("put-off", n_iter=2, tight=True, again=True),
]


def body_of(kind: JobKind, server: webuis.Server) -> dict:
    """The request of a job."""
    scripts = multipass({"checkpoint": B, "adetailer": C})
    if kind.faces and server.webui.adetailer:
        scripts |= adetailer(server)
    body = {**hires(hr_second_pass_steps=2), "steps": 2, "n_iter": kind.n_iter, "alwayson_scripts": scripts}
    if kind.saves:
        body |= {"save_images": True, "override_settings": SAVING}
    if kind.tight:
        body |= {"override_settings": TIGHT}
    if kind.grid:
        body |= plot(server, (LABELS[0], f"{B}, {C}"))
    return body


@pytest.fixture(scope="module")
def stage(webui, tmp_path_factory):
    """A webui with a switch in every function."""
    folder = tmp_path_factory.mktemp("faults")
    config = {"outdir_txt2img_samples": str(folder / "saved"), **dict.fromkeys(SAVING, False)}
    config["uni_pc_order"] = 3  # X/Y/Z plot stores it, up to 1.9.4
    environment = {"PROBE_SUPPORT": str(webuis.REPOSITORY / "tests" / "support")}
    with webuis.running(webui, folder / "data", config=config, environment=environment) as server:
        kinds = [*KINDS, *ON_A_REAL_WEBUI] if webui.real else KINDS
        made = Stage(server, {kind: body_of(kind, server) for kind in kinds}, FACES)
        yield made
    print(f"\n{made.injected} faults injected, {made.armed} armed")


def test_every_place_is_there(stage):
    missing = stage.client.get("/probe/missing")
    assert missing == []


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_next_jobs_are_right_after_a_fault(stage, place, scale):
    there_are = stage.faults(place)
    if not there_are:
        pytest.skip("no job on this webui comes here")
    # At least one of each place; not on the miniature, where test_faults does it without a server.
    one_in = scale.of(ONE_IN, ONE_IN, 1)
    most = min(one_in, len(there_are)) if stage.server.webui.real else one_in
    first = zlib.crc32(f"{place}{stage.server.webui}".encode()) % most
    wrong = [sentence for fault in there_are[first::one_in] for sentence in stage.inject(fault)]
    assert not wrong, "\n".join(wrong)
