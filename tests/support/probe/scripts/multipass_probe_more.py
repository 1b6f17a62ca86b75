"""Ends jobs at an exact point, and shows what the webui holds beside the models. See ``multipass_probe.py``."""

import gc
from functools import wraps
from pathlib import Path

import multipass_models
from modules import devices, processing, script_callbacks, sd_models, shared

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
    name = "forge_loader" if multipass_models.IS_NEO else "get_checkpoint_state_dict"
    original = getattr(sd_models, name)
    if getattr(original, "is_watched", False):
        return

    @wraps(original)
    def wrapped(checkpoint, *args, **kwargs):
        if armed.get("file") == Path(getattr(checkpoint, "filename", checkpoint)).stem:
            act()
        return original(checkpoint, *args, **kwargs)

    wrapped.is_watched = True
    setattr(sd_models, name, wrapped)


type(shared.state).sampling_step = property(step_of, set_step)
watch_reads()


def arm(body: dict):
    armed.clear()
    armed.update({"nth": 1, **body})


def layers_at_hand(models):
    """Whose layers the webui has noted for tiling, and the tokens of its textual inversions."""
    if multipass_models.IS_NEO:
        return {"layers of": [], "tokens": 0}
    from modules import sd_hijack

    hijack = sd_hijack.model_hijack
    return {
        "layers of": [model.sd_checkpoint_info.name_for_extra for model in models if model in (hijack.layers or ())],
        "tokens": len(hijack.embedding_db.ids_lookup),
    }


def beside():
    """What belongs to the active model, or stays with the parked ones."""
    models = multipass_models.loaded()
    fitting, others = multipass_models.embeddings_of(multipass_models.active())
    last_alphas = {model.sd_checkpoint_info.name_for_extra: multipass_models.last_alpha(model) for model in models}
    return {
        **layers_at_hand(models),
        "embeddings": sorted(fitting),
        "others": sorted(others),
        "fp8": getattr(devices, "fp8", None),
        "last alphas": {name: alpha for name, alpha in last_alphas.items() if alpha is not None},
        "tiling": sorted(model.sd_checkpoint_info.name_for_extra for model in models if is_tiling(model)),
    }


def is_tiling(model):
    layers = (layer for part in multipass_models.parts_of(model) for layer in part.modules())
    return any(getattr(layer, "padding_mode", "zeros") == "circular" for layer in layers)


def halve(body: dict):
    """Gives a loaded checkpoint's VAE the precision that it had before the webui turned to float32."""
    loaded = {model.sd_checkpoint_info.name_for_extra: model for model in multipass_models.loaded()}
    multipass_models.vae_of(loaded[body["checkpoint"]]).half()


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
