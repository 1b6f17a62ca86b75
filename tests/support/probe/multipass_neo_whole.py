"""What :mod:`multipass_whole` reads, from inside Forge Neo, whose models have parts and whose VAEs are modules."""

from __future__ import annotations

import copy
import gc
from pathlib import Path
from typing import Any

import multipass_models
from multipass_whole import around_models, digest


def seen() -> dict[str, Any]:
    """The same as :func:`multipass_whole.seen`; nothing of an active model while there is none."""
    let_go_of_models()
    gc.collect()
    loaded, active = multipass_models.loaded(), multipass_models.active()
    return {
        "loaded": [str((name_of(model), model.multipass_probe_modules)) for model in loaded],
        "empty": [name_of(model) for model in loaded if is_empty(model)],
        "active is listed": active is None or any(active is model for model in loaded),
        "active": active and name_of(active),
        "active hash": active and active.sd_model_hash,
        "vae": active and vae_that_is_noted(),
        "weights": active and digest(multipass_models.vae_of(active).state_dict(), named=False),
        **around_models(),
    }


def let_go_of_models() -> None:
    """Neo's ImageStitch imports ``shared.sd_model`` by name, and so has the model of the last Reload UI for good."""
    from modules import script_loading

    for module in script_loading.loaded_scripts.values():
        if hasattr(getattr(module, "sd_model", None), "sd_checkpoint_info"):
            module.sd_model = None


def name_of(model: Any) -> str:
    return model.sd_checkpoint_info.filename


def is_empty(model: Any) -> bool:
    """Whether any part of it is gone."""
    return any(tensor.is_meta for tensor in multipass_models.parameters_of(model))


def vae_that_is_noted() -> str | None:
    """The file whose VAE Neo takes the active model to have, by its note of how it made it; None for the checkpoint's
    own."""
    from modules import sd_models, sd_vae

    noted = sd_models.model_data.forge_hash
    return next((name for name, file in sd_vae.vae_dict.items() if str(Path(file)) in noted), None)


def begin(options: dict, first: dict) -> None:
    """As just started with these settings: nothing is loaded but the selected checkpoint."""
    from modules import call_queue, sd_models, shared
    from modules_forge import main_entry

    multipass_models.begin_afresh()
    with call_queue.queue_lock:
        shared.opts.data = {**copy.deepcopy(first), **options}
        main_entry.refresh_models()
        shared.opts.save(shared.config_filename)
        main_entry.refresh_model_loading_parameters()
        sd_models.forge_model_reload()
