import contextlib
import re
import threading
from operator import attrgetter
from pathlib import Path
from unittest import mock

import mini
import safetensors.torch
import torch
from mini import device as pretended
from mini import events, painter
from mini.checkpoint_info import CheckpointInfo
from modules import devices, hashes, lowvram, paths, script_callbacks, sd_hijack, sd_vae, shared
from modules.timer import Timer

model_path = str(Path(paths.models_path) / "Stable-diffusion")
checkpoints_list = {}
checkpoint_aliases = {}
checkpoints_loaded = {}  # the option that fills it has no effect here


def model_hash(filename):
    return hashes._short_of(filename, Path(filename).stat().st_mtime_ns)


def setup_model():
    Path(model_path).mkdir(exist_ok=True, parents=True)


def checkpoint_tiles(use_short=False):
    which = attrgetter("short_title" if use_short else "title")
    return list(map(which, checkpoints_list.values()))


def list_models():
    """Makes new CheckpointInfo objects for every file."""
    files = Path(model_path).rglob("*.safetensors")
    for known in (checkpoint_aliases, checkpoints_list):
        known.clear()
    for file in sorted(files, key=lambda path: str(path).lower()):
        CheckpointInfo(file).register()


def get_closet_checkpoint_match(search_string):
    """By one of its names, else the shortest title that has the text in it, or the text without a hash at its end."""
    known = checkpoint_aliases.get(search_string)
    if known is not None or not search_string:
        return known
    plain = re.sub(r"\s*\[[^]]+]\s*$", "", search_string)
    by_length = sorted(checkpoints_list.values(), key=lambda info: len(info.title))
    matching = (info for wanted in (search_string, plain) for info in by_length if wanted in info.title)
    return next(matching, None)


def select_checkpoint():
    """What the setting names, else the first checkpoint there is."""
    chosen = checkpoint_aliases.get(shared.opts.sd_model_checkpoint) or next(iter(checkpoints_list.values()), None)
    if chosen is None:
        raise FileNotFoundError(f"there is no checkpoint in {model_path}")
    return chosen


def read_state_dict(checkpoint_file, print_global_state=False, map_location=None):
    if pretended.current is not None:
        pretended.current.reading(checkpoint_file)
    return safetensors.torch.load_file(checkpoint_file, device=map_location or shared.weight_load_location)


def get_checkpoint_state_dict(checkpoint_info: CheckpointInfo, timer):
    checkpoint_info.calculate_shorthash()
    events.record("read", checkpoint_info.name_for_extra)
    print(f"reading {checkpoint_info.filename}")
    return read_state_dict(checkpoint_info.filename)


class SkipWritingToConfig:
    """While it is entered, loading a checkpoint leaves the setting sd_model_checkpoint alone."""

    skip = False

    def __enter__(self):
        self.outer, SkipWritingToConfig.skip = SkipWritingToConfig.skip, True
        return self

    def __exit__(self, *exception):
        SkipWritingToConfig.skip = self.outer


def _choose(info, **hashed):
    """Makes this, and its hash, the selected checkpoint, unless that is to stay out of the settings."""
    chosen = {} if SkipWritingToConfig.skip else {"sd_model_checkpoint": info.title, **hashed}
    shared.opts.data.update(chosen)


def load_model_weights(model, checkpoint_info: CheckpointInfo, state_dict, timer):
    """The hash goes into the settings in any case."""
    info = checkpoint_info
    model.sd_model_hash = info.calculate_shorthash()
    _choose(info)
    weights = state_dict or get_checkpoint_state_dict(info, timer)
    events.record("load", info.name_for_extra)
    model.load_state_dict(weights, strict=False)  # what the file lacks stays as it is
    model.sd_checkpoint_info, model.sd_model_checkpoint = info, info.filename
    shared.opts.data["sd_checkpoint_hash"] = info.sha256
    sd_vae.loaded_vae_file = None
    sd_vae.delete_base_vae()
    sd_vae.load_vae(model, sd_vae.resolve_vae(info.filename).vae)


class SdModelData:
    def __init__(self):
        self.loaded_sd_models = []  # the most recently used one first
        self.sd_model, self.was_loaded_at_least_once = None, False
        self.lock = threading.Lock()

    def get_sd_model(self):
        with contextlib.nullcontext() if self.was_loaded_at_least_once else self.lock:
            if self.sd_model is None and not self.was_loaded_at_least_once:
                load_model()
        return self.sd_model

    def set_sd_model(self, v, already_loaded=False):
        self.sd_model = v
        if already_loaded:
            _follow_vae(v)
        others = [known for known in self.loaded_sd_models if known is not v]
        self.loaded_sd_models[:] = [v, *others]


model_data = SdModelData()


def _follow_vae(model):
    marks = {name: getattr(model, name, None) for name in ("loaded_vae_file", "base_vae")}
    vars(sd_vae).update(marks, checkpoint_info=model.sd_checkpoint_info)


def _send(model, device, verb):
    """On one and the same device a move shows in nothing but this record."""
    if not pretended.records_moves() and getattr(model, "last_sent", "") != verb:
        events.record(verb, model.sd_checkpoint_info.name_for_extra)
    model.last_sent = verb
    model.to(device)
    devices.torch_gc()


def send_model_to_cpu(m):
    if m is None and not mini.old_host:  # which fails here
        devices.torch_gc()
        return
    if not m.lowvram:
        _send(m, devices.cpu, "to cpu")
        return
    lowvram.send_everything_to_cpu()
    devices.torch_gc()


def send_model_to_device(m):
    lowvram.apply(m)
    if m.lowvram:
        return  # its parts come and go by themselves
    _send(m, shared.device, "to device")


def send_model_to_trash(m):
    _send(m, "meta", "trash")


def _find_config(checkpoint_info):
    """A file `name.yaml` beside the checkpoint, else the one configuration that all others share."""
    own = Path(checkpoint_info.filename).with_suffix(".yaml")
    return str(own) if own.exists() else "stock.yaml"


def load_model(checkpoint_info=None, already_loaded_state_dict=None):
    """A new instance; one that is active at that moment loses its tensors."""
    timer, info = Timer(), checkpoint_info or select_checkpoint()
    active, model_data.sd_model = model_data.sd_model, None
    if active:
        send_model_to_trash(active)
    weights = already_loaded_state_dict or get_checkpoint_state_dict(info, timer)
    events.record("build", info.name_for_extra)
    with mock.patch.object(torch.nn.init, "normal_"):  # most of a start value, and none is looked at
        made = painter.Painter().eval()
    for weight in made.parameters():
        weight.data.zero_()  # what the file lacks is zeros in a new model
    load_model_weights(made, info, weights, timer)
    made.used_config, about = _find_config(info), sd_hijack.model_hijack
    send_model_to_device(made)
    about.hijack(made)
    model_data.set_sd_model(made)
    model_data.was_loaded_at_least_once = True
    about.embedding_db.load_textual_inversion_embeddings(force_reload=True)
    script_callbacks.model_loaded_callback(made)
    print(f"Model loaded in {timer.summary()}.")  # what starting scripts wait for
    return made


def _holds(model, info):
    return model is not None and model.sd_checkpoint_info.filename == info.filename


def _evict(active, wanted):
    """Parks the active model, then lets the least recently used ones go until the limit fits."""
    loaded, limit = model_data.loaded_sd_models, shared.opts.sd_checkpoints_limit
    if shared.opts.sd_checkpoints_keep_in_cpu:
        send_model_to_cpu(active)
    spare = [model for model in loaded if not _holds(model, wanted)]
    while spare and 0 < limit < len(loaded):
        gone = spare.pop()
        loaded.remove(gone)
        send_model_to_trash(gone)


def _evict_wrongly(active, wanted):
    """As up to 1.8: the list loses its last entry, whichever model is trashed, and parking comes in between.

    With more models than the limit this can end on a model without tensors.
    """
    loaded, limit = model_data.loaded_sd_models, shared.opts.sd_checkpoints_limit
    parks = shared.opts.sd_checkpoints_keep_in_cpu
    for model in [one for one in reversed(loaded) if not _holds(one, wanted)]:
        if 0 < limit < len(loaded):
            del loaded[-1]
            send_model_to_trash(model)
        if parks:
            send_model_to_cpu(active)


def _activate(model):
    send_model_to_device(model)
    model_data.set_sd_model(model, already_loaded=True)
    info = model.sd_checkpoint_info
    _choose(info, sd_checkpoint_hash=info.sha256)
    events.record("activate", info.name_for_extra)
    sd_vae.reload_vae_weights(model)
    return model


def reuse_model_from_already_loaded(sd_model, checkpoint_info, timer):
    """The wanted model, an instance whose weights may be overwritten, or None."""
    if _holds(sd_model, checkpoint_info) and not mini.old_host:
        return sd_model
    loaded = model_data.loaded_sd_models
    found = next((model for model in loaded if _holds(model, checkpoint_info)), None)
    (_evict_wrongly if mini.old_host else _evict)(sd_model, checkpoint_info)
    if found:
        return _activate(found)
    if 1 < shared.opts.sd_checkpoints_limit > len(loaded):
        model_data.sd_model = None  # stays loaded beside the new one
        return load_model(checkpoint_info)
    if loaded:
        model_data.sd_model = loaded.pop()
        _follow_vae(model_data.sd_model)
        return model_data.sd_model
    return None


def reload_model_weights(sd_model=None, info=None, forced_reload=False):
    """Swaps to the given or the selected checkpoint; nothing is evicted when it is active already."""
    timer, wanted, active = Timer(), info or select_checkpoint(), sd_model or model_data.sd_model
    if _holds(active, wanted) and not forced_reload:
        return active
    shell = reuse_model_from_already_loaded(active, wanted, timer)
    if _holds(shell, wanted) and not forced_reload:
        return shell
    if shell is None:
        return load_model(wanted, get_checkpoint_state_dict(wanted, timer))
    return _take_over(shell, wanted, timer)


def _take_over(shell, wanted, timer):
    """Another checkpoint in place of an instance, and in the very instance if it has the same configuration."""
    send_model_to_cpu(shell)
    sd_hijack.model_hijack.undo_hijack(shell)
    weights = get_checkpoint_state_dict(wanted, timer)
    if _find_config(wanted) != shell.used_config:
        send_model_to_trash(shell)
        return load_model(wanted, weights)
    load_model_weights(shell, wanted, weights, timer)
    sd_hijack.model_hijack.hijack(shell)
    send_model_to_device(shell)
    script_callbacks.model_loaded_callback(shell)
    model_data.set_sd_model(shell)
    return shell


def apply_token_merging(sd_model, token_merging_ratio):
    """Changes nothing here; the host notes it on the model, too, where it is another than before."""
    if getattr(sd_model, "applied_token_merged_ratio", 0) != token_merging_ratio:
        sd_model.applied_token_merged_ratio = token_merging_ratio


def unload_model_weights(sd_model=None, info=None):
    send_model_to_cpu(shared.sd_model)
