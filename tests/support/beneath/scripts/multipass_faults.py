"""Lets calls on a job's path fail, interrupt or skip in a running webui if ``PROBE_SUPPORT`` names ``tests/support``.

Its folder is linked under a name that comes before the extension under test, so that this wraps what is replaced here,
as if the webui itself failed. What other modules import by name is replaced where they look it up.
"""

import gc
import importlib
import importlib.util
import os
import sys
from collections import Counter
from pathlib import Path

from modules import script_callbacks, shared


class Modules:
    """The webui's, by name."""

    def __getattr__(self, name):
        return importlib.import_module(f"modules.{name}")


def read(name):
    """A module of the tests' support, which is no package here."""
    known = f"multipass_tests_{name}"
    spec = importlib.util.spec_from_file_location(known, Path(os.environ["PROBE_SUPPORT"]) / f"{name}.py")
    sys.modules[known] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def put_in(wanted, all_are_there=True):
    for place in wanted:
        try:
            switches.replace(board, place)
        except (ImportError, AttributeError):
            missing.extend([place] * all_are_there)
        else:
            known[f"{place.module}:{place.name}"] = place


def arm(body: dict):
    """Arms a fault, or none; answers whether the one before has happened."""
    fired = board.fired
    board.disarm()
    board.fired = False
    if body:
        board.arm(known[body["place"]], body["nth"], body["how"])
    return {"fired": fired}


def count():
    board.calls = Counter()


def counted():
    calls, board.calls = board.calls, None
    return {name: calls[place] for name, place in known.items()}


def missing_places():
    return [f"{place.module}:{place.name}" for place in missing]


def idle():
    return {name: repr(value) for name, value in read("idle").idle_state(Modules()).items()}


def add_api(_demo, app):
    gc.freeze()  # otherwise most of the time goes into looking through everything that is imported
    if "lib_multipass" in sys.modules:
        put_in(switches.places(switches.OF_OURS), not is_neo)
        put_in(switches.places(switches.OF_OURS_IN_NEO) if is_neo else [])
    app.add_api_route("/probe/fault", arm, methods=["POST"])
    app.add_api_route("/probe/count", count, methods=["POST"])
    app.add_api_route("/probe/counted", counted, methods=["GET"])
    app.add_api_route("/probe/missing", missing_places, methods=["GET"])
    app.add_api_route("/probe/idle", idle, methods=["GET"])


if os.environ.get("PROBE_SUPPORT"):
    switches = read("switchboard")
    known, missing = {}, []
    board = switches.Switchboard()
    board.interrupts = {switches.INTERRUPT: shared.state.interrupt, switches.SKIP: shared.state.skip}
    is_real = not hasattr(importlib.import_module("modules.sd_samplers"), "_Sampler")
    own = switches.OF_A_REAL_WEBUI if is_real else switches.OF_THE_MINIATURE
    is_neo = importlib.util.find_spec("backend") is not None
    is_a_fork = is_neo or importlib.util.find_spec("modules_forge") is not None
    put_in(switches.places(switches.OF_THE_WEBUI + own), not is_a_fork)
    put_in(switches.places(switches.OF_NEO) if is_neo else [])
    script_callbacks.on_app_started(add_api)
