"""Ends jobs at an exact point, and shows what the webui holds beside the models. See ``multipass_probe.py``."""

import gc
from functools import wraps
from pathlib import Path

from modules import devices, processing, script_callbacks, sd_hijack, sd_models, shared

armed = vars(shared).setdefault("multipass_probe_armed", {})
"""``action`` ("interrupt" or "skip") the ``nth`` time that a sampling ``step`` comes, or when ``file`` is read."""


def act():
    action, _ = armed["action"], armed.clear()
    getattr(shared.state, action)()


def step_of(state):
    return vars(state).get("_probed_step", 0)


def set_step(state, step):
    vars(state)["_probed_step"] = step
    if armed.get("step") == step:
        armed["nth"] -= 1
        if armed["nth"] == 0:
            act()


def watch_reads():
    """Once, however often this script is run."""
    original = sd_models.get_checkpoint_state_dict
    if getattr(original, "is_watched", False):
        return

    @wraps(original)
    def wrapped(checkpoint_info, timer):
        if armed.get("file") == Path(checkpoint_info.filename).stem:
            act()
        return original(checkpoint_info, timer)

    wrapped.is_watched = True
    sd_models.get_checkpoint_state_dict = wrapped


type(shared.state).sampling_step = property(step_of, set_step)
watch_reads()


def arm(body: dict):
    armed.clear()
    armed.update({"nth": 1, **body})


def beside():
    """What belongs to the active model, or stays with the parked ones."""
    hijack, models = sd_hijack.model_hijack, sd_models.model_data.loaded_sd_models
    return {
        "embeddings": sorted(hijack.embedding_db.word_embeddings),
        "others": sorted(hijack.embedding_db.skipped_embeddings),
        "tokens": len(hijack.embedding_db.ids_lookup),
        "fp8": getattr(devices, "fp8", None),
        "layers of": [model.sd_checkpoint_info.name_for_extra for model in models if model in (hijack.layers or ())],
        "last alphas": {
            model.sd_checkpoint_info.name_for_extra: float(model.alphas_cumprod[-1])
            for model in models
            if hasattr(model, "alphas_cumprod")
        },
        "tiling": sorted(model.sd_checkpoint_info.name_for_extra for model in models if is_tiling(model)),
    }


def is_tiling(model):
    return any(getattr(layer, "padding_mode", "zeros") == "circular" for layer in model.modules())


def halve(body: dict):
    """Gives a loaded checkpoint's VAE the precision that it had before the webui turned to float32."""
    loaded = {model.sd_checkpoint_info.name_for_extra: model for model in sd_models.model_data.loaded_sd_models}
    loaded[body["checkpoint"]].first_stage_model.half()


def jobs(body: dict):
    """How many jobs are in memory now, and switches Python's collector off or on."""
    if body["collector"]:
        gc.enable()
    else:
        gc.collect()
        gc.disable()
    return sum(isinstance(thing, processing.StableDiffusionProcessing) for thing in gc.get_objects())


def add_api(_demo, app):
    app.add_api_route("/probe/halve", halve, methods=["POST"])
    app.add_api_route("/probe/jobs", jobs, methods=["POST"])
    app.add_api_route("/probe/arm", arm, methods=["POST"])
    app.add_api_route("/probe/beside", beside, methods=["GET"])


script_callbacks.on_app_started(add_api)
