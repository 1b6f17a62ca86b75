"""What the tests of hooks share."""

from __future__ import annotations

from typing import Any

import pytest

from support.tight import job


@pytest.fixture
def small(bench, monkeypatch):
    """Estimates in the miniature's measure: computing takes 16 bytes a pixel, and nothing else does."""
    from lib_multipass.job import hooks
    from lib_multipass.memory import working
    from lib_multipass.plan.our_settings import RAM_RESERVE, VRAM_RESERVE
    from lib_multipass.state import kept

    for name, value in {"BASE": 0, "VAE_PER_PIXEL": 4, "UNET_PER_PIXEL": 8, "SAFETY": 1, "MOST": 99}.items():
        monkeypatch.setattr(working, name, value)
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


@pytest.fixture
def tight(host: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A webui with room for one checkpoint, which knows all files' hashes and keeps stages."""
    from lib_multipass.state import kept

    monkeypatch.setitem(host.shared.opts.data, "multipass_ram_reserve", 9999)
    host.run(job(host))
    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", 512)
    kept.stages.clear()
    yield kept
    monkeypatch.undo()  # what the test has set as well, in the right order
    kept.stages.clear()
    host.run(host.job())  # the selected checkpoint is active again, and nothing of a tight webui is left
