"""What the webui's Reload UI leaves of the extension, in the middle of a job that nobody ended: nothing."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.as_before import in_rows, look, ours_in_the_webui
from support.jobs import A
from support.stage import ANEW, FAILED_LATE, OWN, Stage, stages

ON_UNLOADING = {
    "before_unload": {"state.running.job", "Ahead._next", "Ahead.reader._reading", "PassVae.vaes"},
    "pass_vae.settle": {"sd_vae.loaded_vae_file"},
    "pass_vae.forget": {"state.kept.vae"},
    "models.let_go": {"state.kept.decision"},
    "patches.undo": {"wrappers"},
    "limits.uninstall": {"properties"},
}
"""What the extension does when the webui unloads it, and what is as without it then."""


@pytest.fixture
def stage(host: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The miniature with one checkpoint loaded."""
    with stages(host, monkeypatch) as stage_of:
        yield stage_of(ANEW)


def left(before: dict[str, Any], stage: Stage) -> set[str]:
    """The rows of what is not as it was, or of ours in the webui."""
    rows = {row for some in ON_UNLOADING.values() for row in some}
    names = stage.differing(before, stage.look())
    ours = ours_in_the_webui().values()
    return {row for row in rows if in_rows(names, [row])} | {"properties" if one else "wrappers" for one in ours}


@pytest.fixture
def left_open(host: Any, stage: Stage) -> Iterator[Callable[[], set[str]]]:
    """A job that failed and that nobody ended; unloads the extension, disabled, and says what is left.

    That it is disabled counts from the next Reload UI on. It is loaded again at the end.
    """
    before = look(host)
    stage.run(stage.job({**OWN, "checkpoint": A}), FAILED_LATE, close=False)
    assert left(before, stage) == {row for some in ON_UNLOADING.values() for row in some}
    host.shared.opts.data["disabled_extensions"] = ["multipass"]

    def unload() -> set[str]:
        host.script_callbacks.script_unloaded_callback()
        return left(before, stage)

    yield unload
    host.shared.opts.data["disabled_extensions"] = []
    host.script_callbacks.script_unloaded_callback()
    host.initialize.initialize_rest(reload_script_modules=True)
    host.build_page()
    host.start_app()


def test_nothing_is_left(left_open: Callable[[], set[str]]) -> None:
    assert left_open() == set()


@pytest.mark.parametrize("step", ON_UNLOADING)
def test_without_a_step_its_rows_are_left(
    host: Any, monkeypatch: pytest.MonkeyPatch, left_open: Callable[[], set[str]], step: str
) -> None:
    from lib_multipass.webui import wrapping
    from lib_multipass.webui.a1111 import slots

    module, _, name = step.rpartition(".")
    uninstall, nothing = wrapping._uninstall, lambda *_args: None
    with monkeypatch.context() as patch:
        if not module:
            patch.setattr(wrapping, "_uninstall", lambda extension, _before: uninstall(extension, nothing))
        else:
            patch.setattr(getattr(wrapping if module == "patches" else slots, module), name, nothing)
        assert left_open() >= ON_UNLOADING[step]


def test_every_step_is_in_a_row() -> None:
    from lib_multipass.webui import wrapping
    from lib_multipass.webui.a1111 import limits, slots

    sources = [inspect.getsource(one) for one in (wrapping._uninstall, wrapping.give_back, slots.let_go)]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    calls = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    assert {"more.uninstall" if step == "limits.uninstall" else step for step in ON_UNLOADING} == calls - {
        *("host.options.disables", "host.slots.let_go", "give_back"),
        "script_callbacks.remove_current_script_callbacks",  # the webui clears all of them then
        "fast_swaps.leave",  # on a card alone: test_fast_swaps.py
    }
    assert list(slots.MORE) == [limits]
