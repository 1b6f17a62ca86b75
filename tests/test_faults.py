"""Whatever fails, is interrupted or skipped in a Multipass job: the next jobs are right and nothing is left behind.

Every function on the path is made to fail in every call, in several kinds of job. All of it takes a while, so usually
one fault in so many is injected; ``MULTIPASS_FAULTS=1 pytest -s tests/test_faults.py`` injects all, and prints how many
they were.
"""

from __future__ import annotations

import os
import zlib

import pytest

from support import faults
from support.switchboard import OF_OURS, OF_THE_MINIATURE, OF_THE_WEBUI, places, switchboard

WEBUI, OURS = places(OF_THE_WEBUI + OF_THE_MINIATURE), places(OF_OURS)
ONE_IN = int(os.environ.get("MULTIPASS_FAULTS", "29"))


@pytest.fixture(scope="module", params=[False, True], ids=["1.10.1", "1.6.0"])
def stage(host, request):
    """The miniature as each kind of host, with a switch in every function."""
    import mini

    old, mini.old_host = mini.old_host, request.param
    options = dict(host.shared.opts.data)
    # One that is not stored would keep what a job overrides it with, from 1.7.0 on; up to 1.6.0 the job would fail.
    host.shared.opts.data.update(dict.fromkeys(faults.SAVING, False))
    with switchboard(host, WEBUI, OURS) as board:
        made = faults.Stage(host, board)
        yield made
    host.shared.opts.data = options
    mini.old_host = old
    print(f"\n{made.injected} faults injected")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("place", [*WEBUI, *OURS], ids=str)
def test_the_next_jobs_are_right_after_a_fault(stage, place):
    there_are = stage.faults(place)
    first = zlib.crc32(f"{place}{stage.host.loaded}".encode()) % min(ONE_IN, max(1, len(there_are)))
    wrong = [sentence for fault in there_are[first::ONE_IN] for sentence in stage.inject(fault)]
    assert not wrong, "\n".join(wrong)
