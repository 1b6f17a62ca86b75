"""What the tests of hooks share."""

from __future__ import annotations

import pytest


@pytest.fixture
def small(bench, monkeypatch):
    """Estimates in the miniature's measure: computing takes 16 bytes a pixel, and nothing else does."""
    from lib_multipass.job import hooks
    from lib_multipass.memory import working
    from lib_multipass.plan.our_settings import RAM_RESERVE, VRAM_RESERVE
    from lib_multipass.state import kept

    monkeypatch.setattr(working, "BASE", 0)
    monkeypatch.setattr(working, "PER_PIXEL", 8)
    monkeypatch.setattr(bench.host.shared.cmd_opts, "no_half", True)  # the painter's numbers are 4 bytes wide
    decide = hooks.decide

    def remembered(*args):
        plan = decide(*args)
        bench.forecast = plan.forecast
        return plan

    monkeypatch.setattr(hooks, "decide", remembered)
    for name in (VRAM_RESERVE, RAM_RESERVE):
        monkeypatch.setitem(bench.host.shared.opts.data, name, 0)
    kept.measured.clear()
    yield bench
    kept.measured.clear()
