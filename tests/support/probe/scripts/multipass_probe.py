"""Looks into a running webui for the tests: what was read and built, what is loaded, what the options hold.

Linked beside the extension under test, or alone into the webui that everything is compared with. It wraps the webui's
functions from outside, so its counts do not depend on the extension's own.
"""

import base64
import copy
import gc
import os
import time
from pathlib import Path

import multipass_models
import psutil
import torch
from modules import processing, script_callbacks, scripts, sd_models, sd_vae, shared

try:  # the miniature's
    from mini import device, events
except ImportError:
    device = events = None

KEYS = ("reads", "vaes", "builds", "options", "foreign_args", "comments")
seen = vars(shared).setdefault("multipass_probe_seen", {key: [] for key in KEYS})
"""Outlives Reload UI, which runs this script again, as the functions do that are wrapped once and note into it."""
by_hand = {}
"""``cfg_scale`` and ``clip_skip`` for the hires pass alone, set in the hooks in which other extensions do so."""


def note_calls(name, key, filename_of, owner=sd_models):
    """Notes the checkpoint of each call of one of the webui's functions; once, however often this script is run."""
    original = getattr(owner, name)
    if getattr(original, "is_probed", False):
        return

    def wrapped(*args, **kwargs):
        filename = filename_of(*args, **kwargs)
        if filename in {info.filename for info in sd_models.checkpoints_list.values()}:
            seen[key].append(Path(filename).stem)
        elif filename in sd_vae.vae_dict.values():
            seen["vaes"].append(Path(filename).stem)
        return original(*args, **kwargs)

    wrapped.is_probed = True
    setattr(owner, name, wrapped)


def built_file(checkpoint_info=None, *_args, **_kwargs):
    return (checkpoint_info or sd_models.select_checkpoint()).filename


if not multipass_models.IS_NEO:
    note_calls("read_state_dict", "reads", lambda checkpoint_file, *_args, **_kwargs: checkpoint_file)
FORGE_LOADER = getattr(sd_models, "forge_loader", None)
if multipass_models.IS_NEO:
    multipass_models.note_loads(seen)
elif hasattr(
    FORGE_LOADER, "load_model_for_a1111"
):  # reForge reads by another function; load_model finds loaded ones too
    note_calls("get_checkpoint_state_dict", "reads", lambda info, *_args, **_kwargs: info.filename)

    def built_by_forge(timer, checkpoint_info=None, **_kwargs):
        return checkpoint_info.filename

    note_calls("load_model_for_a1111", "builds", built_by_forge, FORGE_LOADER)
else:
    note_calls("load_model", "builds", built_file)

timed = vars(shared).setdefault("multipass_probe_timed", {"steps": [], "hashes": [], "swaps": []})


def note_times(owner, name, key, label):
    """Notes begin, end and a label of each call; once, as above."""
    original = getattr(owner, name)
    if getattr(original, "is_timed", False):
        return

    def wrapped(*args, **kwargs):
        begin = time.perf_counter()
        result = original(*args, **kwargs)
        timed[key].append((begin, time.perf_counter(), label(*args)))
        return result

    wrapped.is_timed = True
    setattr(owner, name, wrapped)


if os.environ.get("PROBE_TIMES"):
    from modules import hashes

    note_times(hashes, "sha256", "hashes", lambda filename, *_args: Path(filename).stem)
    swap = "forge_model_reload" if multipass_models.IS_NEO else "reload_model_weights"
    note_times(sd_models, swap, "swaps", lambda *_args: shared.sd_model.sd_checkpoint_info.filename)
    script_callbacks.on_cfg_denoiser(lambda _params: timed["steps"].append(time.perf_counter()))

if os.environ.get("PROBE_SHARED_CONFIG") and not multipass_models.IS_NEO:
    from modules import sd_models_config

    sd_models_config.config_default = os.environ["PROBE_SHARED_CONFIG"]

if os.environ.get("PROBE_TEXT_ENCODER") and not multipass_models.IS_NEO:
    import open_clip

    open_clip.add_model_config(os.environ["PROBE_TEXT_ENCODER"])


class Probe(scripts.Script):
    def title(self):
        return "Multipass probe"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    # Nothing that works in a batch before its first pass is there: with that, passes are made picture by picture.

    def before_hr(self, p, *args):
        if by_hand and not multipass_models.IS_NEO:
            self.first_cfg_scale = p.cfg_scale
            p.cfg_scale = by_hand.get("cfg_scale", p.cfg_scale)

    def postprocess_batch(self, p, *args, **kwargs):
        self.note(p)
        if by_hand and not multipass_models.IS_NEO:
            p.cfg_scale = self.first_cfg_scale

    def postprocess_image(self, p, pp, *args):
        self.note(p)

    def postprocess(self, p, processed, *args):
        seen["comments"][:] = list(p.comments)

    def note(self, p):
        seen["options"].append(copy.deepcopy(shared.opts.data))


def encode_by_hand():
    """The webui's function that encodes the hires pass's prompts is wrapped; once, as above."""
    owner = processing.StableDiffusionProcessingTxt2Img
    original = owner.calculate_hr_conds
    if getattr(original, "is_probed", False):
        return

    def calculate_hr_conds(self):
        if not by_hand:
            return original(self)
        data = shared.opts.data
        usual = data["CLIP_stop_at_last_layers"]
        data["CLIP_stop_at_last_layers"] = by_hand.get("clip_skip", usual)
        try:
            return original(self)
        finally:
            data["CLIP_stop_at_last_layers"] = usual

    calculate_hr_conds.is_probed = True
    owner.calculate_hr_conds = calculate_hr_conds


def clear():
    for noted in seen.values():
        noted.clear()
    if events:
        events.clear()
    if device and device.current:
        device.current.reset_peak_memory_stats()


def size_of(model):
    """Bytes of all that a model keeps: its tensors, fp16 copies of fp8 weights, the VAE that another replaced."""
    parts = multipass_models.parts_of(model)
    tensors = [tensor for part in parts for tensor in (*part.parameters(), *part.buffers())]
    tensors += (getattr(model, "base_vae", None) or {}).values()
    for module in (module for part in parts for module in part.modules()):
        copies = (getattr(module, name, None) for name in ("fp16_weight", "fp16_bias"))
        tensors += [copy for copy in copies if copy is not None]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def vae_of(model):
    return multipass_models.vae_of(model).state_dict().values()


def state():
    gc.collect()
    models = multipass_models.loaded()
    active = multipass_models.active()
    everywhere = [*models, active] if active and active not in models else models
    first = {model.sd_checkpoint_info.name_for_extra: multipass_models.parameters_of(model)[0] for model in everywhere}
    return {
        **copy.deepcopy({key: seen[key] for key in ("reads", "vaes", "builds", "options", "comments")}),
        "loaded": [model.sd_checkpoint_info.name_for_extra for model in models],
        "active": active and active.sd_checkpoint_info.name_for_extra,
        "empty": [name for name, parameter in first.items() if parameter.is_meta],
        "bytes": {model.sd_checkpoint_info.name_for_extra: size_of(model) for model in models},
        "places": {name: parameter.device.type for name, parameter in first.items()},
        "story": events and list(events.story),
        "device": device.current.report() if device and device.current else cuda(),
        "active vae": active and sum(tensor.double().abs().sum().item() for tensor in vae_of(active)),
        "limit": getattr(shared.opts, "sd_checkpoints_limit", None),
        "data": shared.opts.data,
    }


def cuda():
    """Name, size and peak of a real device, in bytes; the peak counts from the last call."""
    if not torch.cuda.is_available():
        return None
    _, total = torch.cuda.mem_get_info()
    told = {"name": torch.cuda.get_device_name(), "total": total, "peak": torch.cuda.max_memory_allocated()}
    torch.cuda.reset_peak_memory_stats()
    return told


def set_by_hand(body: dict):
    encode_by_hand()
    by_hand.clear()
    by_hand.update(body)


def script(title: str):
    """A txt2img script's arguments; the webui's own ``script-info`` fails on 1.6.0 when a dropdown has choices."""
    runner = scripts.scripts_txt2img
    found = next(s for s in runner.scripts if s.title().lower() == title.lower())
    return [describe(component) for component in runner.inputs[found.args_from : found.args_to]]


def describe(component):
    """Label, value as a request gives it, and choices of one argument."""
    choices = [c[0] if isinstance(c, tuple) else c for c in getattr(component, "choices", None) or []]
    numbered = getattr(component, "type", None) == "index"
    value = choices.index(component.value) if numbered and component.value in choices else component.value
    return {"label": component.label, "value": value, "choices": choices if numbered else []}


def upscale(body: dict):
    """Presses the ✨ button on a picture: the webui's own function, called with the page's default values."""
    import inspect
    import io

    import gradio
    from modules import txt2img
    from PIL import Image

    runner = scripts.scripts_txt2img
    values = [0, *(component.value for component in runner.inputs[1:])]
    for title, args in body["scripts"].items():
        script = next(s for s in runner.alwayson_scripts if s.title() == title)
        values[script.args_from : script.args_from + len(args)] = args
    names = [*inspect.signature(txt2img.txt2img_create_processing).parameters]
    names = [name for name in names if name not in ("id_task", "request", "args", "force_enable_hr")]
    gallery = ["data:image/png;base64," + body["image"]]
    if int(gradio.__version__.split(".")[0]) > 3:  # its galleries hold pictures
        gallery = [(Image.open(io.BytesIO(base64.b64decode(body["image"]))).convert("RGB"), None)]
    request = type("Request", (), {"username": None})()
    job = [body["values"].get(name) for name in names]
    images, *_ = txt2img.txt2img_upscale("task(probe)", request, gallery, 0, body["geninfo"], *job, *values)
    picture = (images["value"] if isinstance(images, dict) else images)[0]
    picture = picture[0] if isinstance(picture, tuple) else picture
    return {"image": base64.b64encode(picture.convert("RGB").tobytes()).decode(), "size": picture.size}


def times():
    """What was noted with ``PROBE_TIMES`` set, and forgets it: seconds on this process's clock."""
    noted = copy.deepcopy(timed)
    for entries in timed.values():
        entries.clear()
    return {**noted, "resident": psutil.Process().memory_info().rss}


def backups():
    """Bytes of LoRA backups by loaded model, as the extension under test counts them, and the seconds that it took."""
    from lib_multipass.webui.base import host

    backup_bytes = host.lora_memory.backup_bytes
    begin = time.perf_counter()
    models = multipass_models.loaded()
    counted = {model.sd_checkpoint_info.name_for_extra: backup_bytes(model) for model in models}
    return {"bytes": counted, "seconds": time.perf_counter() - begin}


def pretend_ram(body: dict):
    """From now on the computer has so many bytes of RAM for models; they take theirs wherever they lie."""
    real = getattr(psutil.virtual_memory, "real", psutil.virtual_memory)

    def virtual_memory():
        taken = sum(size_of(model) for model in multipass_models.loaded())
        return real()._replace(available=body["bytes"] - taken)

    virtual_memory.real = real
    psutil.virtual_memory = virtual_memory


def add_api(_demo, app):
    app.add_api_route("/probe/afresh", multipass_models.begin_afresh, methods=["POST"])
    app.add_api_route("/probe/ram", pretend_ram, methods=["POST"])
    app.add_api_route("/probe/backups", backups, methods=["GET"])
    app.add_api_route("/probe/times", times, methods=["GET"])
    app.add_api_route("/probe/state", state, methods=["GET"])
    app.add_api_route("/probe/clear", clear, methods=["POST"])
    app.add_api_route("/probe/by_hand", set_by_hand, methods=["POST"])
    app.add_api_route("/probe/script", script, methods=["GET"])
    app.add_api_route("/probe/upscale", upscale, methods=["POST"])


script_callbacks.on_app_started(add_api)
