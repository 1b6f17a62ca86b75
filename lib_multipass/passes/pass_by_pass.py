"""Pass by pass: first passes of later batches are made before the swap to the second checkpoint.

So n pictures take two swaps instead of 2n where memory holds one checkpoint. Each waits for its batch, which finds it
as it finds one of an earlier job: see :mod:`lib_multipass.passes.put_off`.
"""

from __future__ import annotations

from typing import Any

from lib_multipass.passes.put_off import PutOff
from lib_multipass.state import running
from lib_multipass.webui import host


def make_ahead(p: Any) -> None:
    """Make first passes of later batches, while the checkpoint is active, up to one that cannot be kept.

    Args:
        p: the job, whose first pass is made and whose second one comes next.
    """
    part = running.part(PutOff)
    numbers = range(0) if part is None else part.ahead(p)
    if not numbers or host.status.is_stopping():
        return
    with part.making_ahead(), host.beginnings.ahead(p, len(numbers)):
        for number in numbers:
            host.beginnings.make(p, number)
            if not part.wait(p) or host.status.is_stopping():
                break
