"""Lets a test begin anew on a running webui, and look at all of it. See ``multipass_probe.py``."""

import copy
import gc

import torch
from modules import call_queue, script_callbacks, scripts, sd_models, sd_vae, shared
from multipass_models import IS_NEO

if IS_NEO:
    import multipass_neo_whole
    from multipass_neo_whole import seen
else:
    from multipass_whole import seen

first = vars(shared).setdefault("multipass_probe_first", {})
"""The settings as they were when a test began for the first time; once it did, noise is steady, see :class:`Steady`."""


class Steady(scripts.Script):
    """Lets the VAE encode an img2img picture with the same noise every time.

    The webui (1.6.0 to 1.10.1) takes it from torch's own generator as the jobs before and the models made meanwhile
    have left it.
    """

    def title(self):
        return "Multipass probe: steady"

    def show(self, is_img2img):
        return is_img2img and scripts.AlwaysVisible

    def process(self, p, *args):
        if first:
            torch.manual_seed(0)


def begin(options: dict):
    """As just started with these settings: nothing is loaded but the selected checkpoint."""
    first.update(first or copy.deepcopy(shared.opts.data))
    if IS_NEO:
        multipass_neo_whole.begin(options, first)
        return
    from modules import sd_hijack

    with call_queue.queue_lock:
        sd_models.model_data.loaded_sd_models.clear()
        sd_models.model_data.sd_model = None
        sd_hijack.model_hijack.layers = sd_hijack.model_hijack.clip = None
        sd_vae.base_vae = sd_vae.loaded_vae_file = sd_vae.checkpoint_info = None
        gc.collect()
        shared.opts.data = {**copy.deepcopy(first), **options}
        sd_models.list_models()
        shared.opts.save(shared.config_filename)
        sd_models.load_model()


def reload_ui():
    shared.state.request_restart()


def add_api(_demo, app):
    app.add_api_route("/probe/begin", begin, methods=["POST"])
    app.add_api_route("/probe/seen", seen, methods=["GET"])
    app.add_api_route("/probe/reload_ui", reload_ui, methods=["POST"])


script_callbacks.on_app_started(add_api)
