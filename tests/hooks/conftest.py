"""What the tests of hooks share."""

from __future__ import annotations

import pytest


@pytest.fixture
def small(bench, monkeypatch):
    """Estimates in the miniature's measure: computing takes 16 bytes a pixel, and nothing else does."""
    from lib_multipass import working
    from lib_multipass.host import keeping, outlook

    monkeypatch.setattr(working, "BASE", 0)
    monkeypatch.setattr(working, "PER_PIXEL", 8)
    monkeypatch.setattr(bench.host.shared.cmd_opts, "no_half", True)  # the painter's numbers are 4 bytes wide
    forecast = outlook.Outlook.forecast

    def remembered(self, *args):
        bench.forecast = forecast(self, *args)
        return bench.forecast

    monkeypatch.setattr(outlook.Outlook, "forecast", remembered)
    for name in (keeping.VRAM_RESERVE, keeping.RAM_RESERVE):
        monkeypatch.setitem(bench.host.shared.opts.data, name, 0)
    keeping._measured.clear()
    yield bench
    keeping._measured.clear()
