"""Tells which weights were made ready ahead and who has their memory, if ``PROBE_READY`` is set.

A pass then begins when everything is ready: tiny ones would be over before.
"""

import os
import sys
from pathlib import Path

import multipass_models
from modules import script_callbacks, shared

seen = vars(shared).setdefault("multipass_probe_ready", [])
"""Of each swap: the checkpoint, and where what was handed out lies."""


def waiting(read):
    def wrapped(self):
        read(self)
        self.reader.wait(60)

    return wrapped


def noted(hand_out):
    def wrapped(self, state):
        result = hand_out(self, state)
        made = {name: tensor for name, tensor in result.items() if tensor is not state[name]}
        seen.append((self.path, [tensor.data_ptr() for tensor in made.values()]))
        return result

    return wrapped


def watch(*_args):
    ready = sys.modules.get("lib_multipass.webui.a1111.ready")
    if ready is None or hasattr(ready.Ready, "is_watched"):
        return
    from lib_multipass.passes.ahead import Ahead

    Ahead.read, ready.Ready.hand_out = waiting(Ahead.read), noted(ready.Ready.hand_out)
    ready.Ready.is_watched = True


def add(_demo, app):
    watch()

    @app.get("/multipass-probe/ready")
    def ready():
        """What was handed out since the last call, and how much of that lies in loaded models now."""
        found = [
            parameter for model in multipass_models.loaded() for parameter in multipass_models.parameters_of(model)
        ]
        places, kinds = {one.data_ptr() for one in found}, {type(one).__name__ for one in found}
        told = [
            {"file": Path(path).name, "made": len(made), "taken": len(places & {*made}), "kinds": sorted(kinds)}
            for path, made in seen
        ]
        seen.clear()
        return told


if os.environ.get("PROBE_READY"):
    script_callbacks.on_app_started(add)
