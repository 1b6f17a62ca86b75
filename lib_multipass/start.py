"""The first step in a webui: which family of hosts it belongs to, and which wrapper goes into which slot."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from lib_multipass import choice
from lib_multipass.webui import host


def start(extension: str) -> tuple[ModuleType, ModuleType]:
    """Install everything, or in a webui that Multipass cannot work in, nothing but the refusal.

    The modules that the webui's own ones are imported in are imported here, once it is known that they can be.

    Args:
        extension: name of this extension's folder.

    Returns:
        the modules of the hooks of a job, and of those of the page.
    """
    name, reason = choice.serving()
    if name is not None:
        try:
            return _serve(extension, name)
        except Exception as error:  # a fork that lacks what nobody has foreseen
            reason = choice.failing(error)
    from lib_multipass.page import off
    from lib_multipass.webui.none import family

    host.open(family)
    off.because(reason)
    host.slots.install(extension, off.wrappers(), (), lambda: None)
    return off, off


def _serve(extension: str, name: str) -> tuple[ModuleType, ModuleType]:
    host.open(import_module(f"lib_multipass.webui.{name}.family"))
    from lib_multipass.api import endpoints
    from lib_multipass.job import hooks, jobs
    from lib_multipass.page import panel, planline, plot, settings

    calls = ("app_started", endpoints.add), ("before_ui", plot.add), ("after_component", planline.at_the_top)
    try:
        host.slots.install(extension, wrappers(), calls, jobs.leave)
        settings.add()  # last: the page asks the family that serves for what they offer
    except Exception:
        host.slots.give_back()
        raise
    return hooks, panel


def wrappers() -> dict[str, Callable[[Callable], Callable]]:
    """By slot, what makes the wrapper of the webui's function."""
    from lib_multipass.api.endpoints import one_object
    from lib_multipass.job import closing, refusal, swap_wrappers
    from lib_multipass.passes import ahead, copies, first_pass, gauge, hires_pass, networks, once, progress, put_off

    def after_the_swap(original: Callable) -> Callable:
        """First the swap that was put off, then what holds for the second pass alone."""
        return progress.hires_pass(first_pass.swapping(hires_pass.of_its_own(once.in_hires(original))))

    return {
        "init": lambda original: refusal.raising(put_off.named(original)),
        "conds": put_off.decided,
        "close": closing.ending,
        "swap": swap_wrappers.governed,
        "read": swap_wrappers.counted,
        "file": ahead.with_what_is_ready,
        "first_pass": lambda original: progress.first_pass(first_pass.watched(original)),
        "hires_pass": after_the_swap,
        "sampler": once.sampler_watched,
        "decode": once.decoded_once,
        "resize": once.enlarged_once,
        "faces": progress.faces,
        "texts": hires_pass.conditioned_on_its_own,
        "tags": networks.fitted,
        "save": copies.true_to_itself,
        "hash": ahead.hash_taken_over,
        "report": gauge.told,
        "display": gauge.told,
        "request": one_object,
    }
