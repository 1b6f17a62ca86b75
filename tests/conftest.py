"""Webuis for the scenarios: each is started twice, with the extension and by hand, that is without it."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, BrowserContext

from lib_multipass.state import kept, running
from support import webuis
from support.browser import Tab, chromium
from support.closing import Closing
from support.hosts import NEO
from support.scale import ALL, SCALES, SMALL, Scale, leave_out
from support.workers import FromBothEnds, in_order

if TYPE_CHECKING:
    from support.inprocess import Host
    from support.pretended import Bench

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # or each page of the miniature waits for a connection
_closing = pytest.StashKey[Closing]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("multipass")
    group.addoption("--scale", choices=SCALES, default=SMALL, help="a sample, the full matrices, or all and new seeds")
    group.addoption("--fast-swaps", action="store_true", help="let Fast swaps work on the processor, in servers")
    group.addoption("--seeds", metavar="FIRST[:COUNT]", help="of random sequences: run these")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("fast_swaps"):
        os.environ["PROBE_FAST"] = "1"  # what each server inherits
    scale = _scale(config)
    exploring = scale.name == ALL
    settings.register_profile("ours", max_examples=scale.of(50, 600), deadline=None, derandomize=not exploring)
    settings.load_profile("ours")
    config.stash[_closing] = Closing()
    config.pluginmanager.register(config.stash[_closing])


def _scale(config: pytest.Config) -> Scale:
    return Scale(config.getoption("scale"), config.getoption("seeds"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    out = leave_out(items, _scale(config))
    items[:] = in_order(items)
    config.stash[_closing].left_out = {reason: len(gone) for reason, gone in out.items()}
    config.hook.pytest_deselected(items=[item for gone in out.values() for item in gone])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FromBothEnds | None:
    return FromBothEnds(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Scale:
    """How much is to run."""
    return _scale(request.config)


@dataclass(frozen=True)
class Pair:
    """One webui twice: ``ours`` with Multipass at the default limit, ``stock`` without it."""

    ours: webuis.Server
    stock: webuis.Server

    @property
    def real(self) -> bool:
        """Whether these are real webuis."""
        return self.ours.webui.real


@pytest.fixture(scope="session", params=[*webuis.miniatures(), *webuis.given()], ids=str)
def webui(request: pytest.FixtureRequest) -> webuis.Webui:
    """Every webui in turn."""
    return request.param


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[webuis.Webui], Pair]]:
    """Start the pair of a webui, or get it. Those of the miniature stay up; of the large real ones, one at a time."""
    with contextlib.ExitStack() as stays, contextlib.ExitStack() as goes:
        known: dict[str, Pair] = {}

        def pair_of(webui: webuis.Webui) -> Pair:
            if webui.name not in known:
                if webui.real:
                    goes.close()
                    for name in [name for name, pair in known.items() if pair.real]:
                        del known[name]
                stack = goes if webui.real else stays
                known[webui.name] = stack.enter_context(_running_pair(webui, tmp_path_factory.mktemp(webui.name)))
            return known[webui.name]

        yield pair_of


@contextlib.contextmanager
def _running_pair(webui: webuis.Webui, folder: Path) -> Iterator[Pair]:
    with (
        webuis.running(webui, folder / "ours") as ours,
        webuis.running(webui, folder / "stock", multipass=False, config={"sd_checkpoints_limit": 6}) as stock,
    ):
        stock.client.afresh = webui.kind is NEO
        yield Pair(ours, stock)


@pytest.fixture(scope="session")
def pair(webui: webuis.Webui, pairs: Callable[[webuis.Webui], Pair]) -> Pair:
    """The running pair; ``stock`` has room for all checkpoints, which is what one would set by hand."""
    return pairs(webui)


@pytest.fixture
def start(webui: webuis.Webui, tmp_path: Path) -> Callable:
    """Start a further server of this webui: ``with start("--flag", config={...}) as server``."""
    number = itertools.count()
    return lambda *flags, **kwargs: webuis.running(webui, tmp_path / str(next(number)), *flags, **kwargs)


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webuis.Server]:
    """The running miniature with Forge's function."""
    with webuis.running(webuis.miniatures()[0], tmp_path_factory.mktemp("fork") / "data", "--like", "forge") as server:
        yield server


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Chromium, which the test has made sure of."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(chromium())
        with request.config.stash[_closing].counting():
            stack.close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One for all tabs, which share what they have loaded."""
    made = browser.new_context()
    yield made
    made.close()


@pytest.fixture(scope="module")
def empty_tabs() -> list[Tab]:
    """Those that earlier tests have left; loading a page into one takes a third of what it takes in a new one."""
    return []


@pytest.fixture
def tab_of(context: BrowserContext, empty_tabs: list[Tab]) -> Iterator[Callable[..., Tab]]:
    """Open a tab on a server; at the end nobody may have complained."""
    tabs = []

    def make(server: webuis.Server, query: str = "", width: int = 1280) -> Tab:
        tabs.append(empty_tabs.pop() if empty_tabs else Tab(context.new_page()))
        tabs[-1].page.set_viewport_size({"width": width, "height": 1200})
        return tabs[-1].go_to(server, query)

    yield make
    complaints = [complaint for tab in tabs for complaint in tab.complaints]
    for tab in tabs:
        tab.leave()
    empty_tabs += tabs
    assert complaints == []


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The miniature inside the tests' own process."""
    from support.inprocess import start_miniature

    return start_miniature(tmp_path_factory.mktemp("in-process") / "data")


@pytest.fixture(params=[False, True], ids=["1.10.1", "1.6.0"])
def bench(host: Host, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The miniature in this process, ready to pretend a device, as both kinds of host."""
    import mini

    from support.pretended import Bench, empty

    host.run(host.job(enable_hr=False))  # a plain job: what Multipass kept is let go
    monkeypatch.setattr(mini, "old_host", request.param)
    with contextlib.ExitStack() as stack:
        yield Bench(host, stack, monkeypatch)
    empty(host)
    host.sd_models.load_model()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def little_to_collect() -> Iterator[None]:
    """What is still there at the end of a file stays, so the collector need not look through it again and again."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def without_a_grudge() -> Iterator[None]:
    """What ran out of memory in one test is forgotten before the next, and a job that was begun and never closed ends;
    the webui's next job would end it, but not that of a stand-in for another webui."""
    yield
    kept.lacks.clear()
    if running.job is not None:
        from lib_multipass.job.jobs import end_running

        end_running()
