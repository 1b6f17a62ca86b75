"""Webuis for the scenarios: each is started twice, with the extension and by hand, that is without it."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support import webuis
from support.browser import Tab, chromium
from support.inprocess import Host, start_miniature
from support.pretended import Bench, empty


@dataclass(frozen=True)
class Pair:
    """One webui twice: ``ours`` with Multipass at the default limit, ``stock`` without it."""

    ours: webuis.Server
    stock: webuis.Server

    @property
    def real(self) -> bool:
        """Whether these are real webuis."""
        return self.ours.webui.real


def _all() -> list:
    real = webuis.given()
    missing = pytest.mark.skip(reason=webuis.HOW_TO_GIVE)
    return [*webuis.miniatures(), *(real or [pytest.param(None, id="real", marks=missing)])]


@pytest.fixture(scope="session", params=_all(), ids=str)
def webui(request: pytest.FixtureRequest) -> webuis.Webui:
    """Every webui in turn."""
    return request.param


@pytest.fixture(scope="session")
def pair(webui: webuis.Webui, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The running pair; ``stock`` has room for all checkpoints, which is what one would set by hand."""
    folder = tmp_path_factory.mktemp(webui.name)
    with (
        webuis.running(webui, folder / "ours") as ours,
        webuis.running(webui, folder / "stock", multipass=False, config={"sd_checkpoints_limit": 6}) as stock,
    ):
        yield Pair(ours, stock)


@pytest.fixture
def start(webui: webuis.Webui, tmp_path: Path) -> Callable:
    """Start a further server of this webui: ``with start("--flag", config={...}) as server``."""
    number = itertools.count()
    return lambda *flags, **kwargs: webuis.running(webui, tmp_path / str(next(number)), *flags, **kwargs)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, which the test has made sure of."""
    with chromium() as started:
        yield started


@pytest.fixture
def tab_of(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Open a tab on a server; at the end nobody may have complained."""
    tabs = []

    def make(server: webuis.Server, query: str = "", width: int = 1280) -> Tab:
        page = browser.new_page(viewport={"width": width, "height": 1200})
        tabs.append(Tab(page, server))
        return tabs[-1].open(query)

    yield make
    complaints = [complaint for tab in tabs for complaint in tab.complaints]
    for tab in tabs:
        tab.page.close()
    assert complaints == []


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The miniature inside the tests' own process."""
    return start_miniature(tmp_path_factory.mktemp("in-process") / "data")


@pytest.fixture(params=[False, True], ids=["1.10.1", "1.6.0"])
def bench(host: Host, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The miniature in this process, ready to pretend a device, as both kinds of host."""
    import mini

    host.run(host.job())  # a plain job: what Multipass kept is let go
    monkeypatch.setattr(mini, "old_host", request.param)
    with contextlib.ExitStack() as stack:
        yield Bench(host, stack, monkeypatch)
    empty(host)
    host.sd_models.load_model()


@pytest.fixture(autouse=True)
def without_a_grudge() -> Iterator[None]:
    """What ran out of memory in one test is forgotten before the next."""
    yield
    keeping = sys.modules.get("lib_multipass.host.keeping")
    if keeping is not None:
        keeping.forget()
