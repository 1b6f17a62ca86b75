from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mini import device as pretended
from mini import events
from modules import devices, lowvram, paths, script_callbacks, sd_models, shared

vae_path = str(Path(paths.models_path) / "VAE")
vae_dict = {}
base_vae = loaded_vae_file = checkpoint_info = None
unspecified = object()


@dataclass
class VaeResolution:
    vae: str = None
    source: str = None
    resolved: bool = True


def refresh_vae_list():
    vae_dict.clear()
    vae_dict.update({path.name: str(path) for path in sorted(Path(vae_path).glob("**/*.safetensors"))})


def get_loaded_vae_name():
    return Path(loaded_vae_file).name if loaded_vae_file is not None else None


def get_loaded_vae_hash():
    return None if loaded_vae_file is None else f"{Path(loaded_vae_file).stat().st_size:010x}"


def _put(model, weights, name):
    events.record("vae", name)
    model.first_stage_model.load_state_dict(weights)


def _is_noted(model):
    return checkpoint_info == model.sd_checkpoint_info


def store_base_vae(model):
    """Keeps the checkpoint's own VAE. A re-activated model passes for stored already although nothing is
    kept: its foreign VAE never comes off again. The host does so too.
    """
    global base_vae, checkpoint_info
    if not _is_noted(model):
        base_vae, checkpoint_info = _copied(model), model.sd_checkpoint_info


def _copied(model):
    """It lies where the model lies, which is the device already while it is made; no later move moves it along."""
    own = model.first_stage_model.state_dict()
    if pretended.current is None:
        return {key: value.clone() for key, value in own.items()}
    being_made = not hasattr(model, "used_config")
    there = model.on_device > 0 or (being_made and not lowvram.is_needed(model))
    return pretended.current.copies(own, there and pretended.records_moves())


def delete_base_vae():
    global base_vae, checkpoint_info
    base_vae = checkpoint_info = None


def restore_base_vae(model):
    global loaded_vae_file
    own = base_vae if _is_noted(model) else None
    if own:
        _put(model, own, "base")
        loaded_vae_file = None
    delete_base_vae()


def find_vae_near_checkpoint(checkpoint_file):
    """None is looked for here; the real host takes a file whose name begins like the checkpoint's."""
    return


def resolve_vae_from_user_metadata(checkpoint_file) -> VaeResolution:
    """Nobody can note one here."""
    return VaeResolution(resolved=False)


def resolve_vae(checkpoint_file) -> VaeResolution:
    """Only what the setting says; the real host also looks beside the checkpoint."""
    chosen = shared.opts.sd_vae
    if chosen not in vae_dict:
        return VaeResolution(resolved=chosen == "None")
    return VaeResolution(vae_dict[chosen], "from the settings")


def load_vae_dict(filename, map_location):
    return sd_models.read_state_dict(filename, map_location=map_location)


def load_vae(model, vae_file=None, vae_source="from unknown source"):
    global loaded_vae_file
    if vae_file:
        store_base_vae(model)
        weights = load_vae_dict(vae_file, shared.weight_load_location)
        _put(model, weights, Path(vae_file).stem)
    elif loaded_vae_file:
        restore_base_vae(model)
    model.loaded_vae_file = loaded_vae_file = vae_file
    model.base_vae = base_vae


def reload_vae_weights(sd_model=None, vae_file=unspecified):
    model = sd_model or shared.sd_model
    wanted = resolve_vae(model.sd_checkpoint_info.filename).vae if vae_file is unspecified else vae_file
    if wanted != loaded_vae_file:
        with _in_ram(model):
            load_vae(model, wanted)
        script_callbacks.model_loaded_callback(model)


@contextmanager
def _in_ram(model):
    """What fails in between leaves it there."""
    if model.lowvram:
        lowvram.send_everything_to_cpu()
        yield
        return
    model.to(devices.cpu)
    yield
    model.to(devices.device)
