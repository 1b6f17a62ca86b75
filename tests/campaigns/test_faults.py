"""Whatever fails, is interrupted or skipped in a Multipass job: the next jobs are right and nothing is left behind.

Every function on the path is made to fail in every call, in several kinds of job. All of it takes a while, so usually
one fault in so many is injected, by default one of each function; ``--scale all -s`` injects all, and prints how many
they were.
"""

from __future__ import annotations

import zlib

import pytest

from support import faults
from support.switchboard import OF_OURS, OF_THE_MINIATURE, OF_THE_WEBUI, places, switchboard

pytestmark = pytest.mark.slow
WEBUI, OURS = places(OF_THE_WEBUI + OF_THE_MINIATURE), places(OF_OURS)
SMALL, FULL = 10**6, 29
"""One fault in so many."""


@pytest.fixture(scope="module", params=[False, True], ids=["1.10.1", "1.6.0"])
def stage(host, request):
    """The miniature as each kind of host, with a switch in every function."""
    import mini

    old, mini.old_host = mini.old_host, request.param
    options = dict(host.shared.opts.data)
    # One that is not stored would keep what a job overrides it with, from 1.7.0 on; up to 1.6.0 the job would fail.
    host.shared.opts.data.update({**dict.fromkeys(faults.SAVING, False), "multipass_ram_reserve": 0})
    with switchboard(host, WEBUI, OURS) as board:
        made = faults.Stage(host, board)
        yield made
    host.shared.opts.data = options
    mini.old_host = old
    print(f"\n{made.injected} faults injected")


@pytest.mark.timeout(3600)
@pytest.mark.in_turn
@pytest.mark.parametrize("place", [*WEBUI, *OURS], ids=str)
def test_the_next_jobs_are_right_after_a_fault(stage, place, scale):
    there_are, one_in = stage.faults(place), scale.of(SMALL, FULL, 1)
    first = zlib.crc32(f"{place}{stage.host.loaded}".encode()) % min(one_in, max(1, len(there_are)))
    wrong = [sentence for fault in there_are[first::one_in] for sentence in stage.inject(fault)]
    assert not wrong, "\n".join(wrong)
