"""Lets *Fast swaps* work on a processor if ``PROBE_FAST`` is set: the device that the webui computes on is the same
processor under another name, so what was copied there lies elsewhere than what is at home.

What has left the device is overwritten, so that a picture shows if anything still points there.
"""

import os
import sys

import torch
from modules import devices, script_callbacks, sd_models, shared

counts = vars(shared).setdefault("multipass_probe_fast", {"gone": 0, "come": 0})


def poisoned(come):
    def wrapped(self):
        copies = [chunk.copy for chunk in self.chunks if chunk.copy is not None]
        come(self)
        for copy in copies:
            copy.fill_(255)  # not a number, in every float
        counts["come"] += bool(copies)

    return wrapped


def counted(go):
    def wrapped(self, device):
        was_away = self.is_away
        go(self, device)
        counts["gone"] += self.is_away and not was_away

    return wrapped


def force(*_args):
    if "lib_multipass.webui.a1111.homes" not in sys.modules:
        return
    from lib_multipass.webui.a1111 import fast_swaps, homes

    devices.device = shared.device = torch.device("cpu", 0)
    shared.opts.data["multipass_fast_swaps"] = True
    if "cpu" not in fast_swaps.KINDS:
        fast_swaps.KINDS += ("cpu",)
        homes.Home.come, homes.Home.go = poisoned(homes.Home.come), counted(homes.Home.go)


def add(_demo, app):
    @app.get("/multipass-probe/fast")
    def fast():
        """What has moved so far, and what is left of it in the loaded models now."""
        from lib_multipass.state import kept

        loaded = sd_models.model_data.loaded_sd_models
        modules = [module for model in loaded for module in model.modules()]
        return {
            **counts,
            "replaced": sum("to" in vars(module) for module in modules),
            "lent": sum(hasattr(_copy(module), "is_lent") for module in modules),
            "locked": 0 if kept.pins is None else kept.pins.used,
            "movers": len(kept.movers),
        }


def _copy(module):
    copy = getattr(module, "network_weights_backup", None)
    return copy[0] if isinstance(copy, tuple) else copy


if os.environ.get("PROBE_FAST"):
    script_callbacks.on_app_started(add)
    script_callbacks.on_app_started(force)
