"""All that has to be right between two jobs, read from inside a webui."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch


def digest(weights: Mapping[str, torch.Tensor], named: bool = True) -> str:
    """The weights as a hash; the same in whatever precision they are kept, as long as it loses nothing.

    Args:
        weights: the tensors by name.
        named: whether the names count.
    """
    values = {name: tensor.detach().cpu().float().contiguous().numpy().tobytes() for name, tensor in weights.items()}
    parts = sorted((name.encode() if named else b"") + hashlib.sha256(values[name]).digest() for name in values)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def seen() -> dict[str, Any]:
    """What there is now: models, options, files, the active VAE, and what the webui says that it is doing."""
    from modules import sd_models, sd_vae

    data = sd_models.model_data
    loaded, active = data.loaded_sd_models, data.sd_model
    return {
        "loaded": [model.sd_checkpoint_info.filename for model in loaded],
        "empty": [model.sd_checkpoint_info.filename for model in loaded if is_empty(model)],
        "active is listed": active in loaded,
        "active": active.sd_checkpoint_info.filename,
        "active hash": active.sd_model_hash,
        "vae": sd_vae.get_loaded_vae_name(),
        "weights": digest(active.first_stage_model.state_dict()),
        **around_models(),
    }


def around_models() -> dict[str, Any]:
    """Options, files, and what the webui says that it is doing."""
    from modules import sd_models, shared

    return {
        "options": shared.opts.data,
        "selected": sd_models.select_checkpoint().filename,
        "selected is known": shared.opts.sd_model_checkpoint in sd_models.checkpoint_aliases,
        "files": {info.filename: info.title for info in sd_models.checkpoints_list.values()},
        "text": shared.state.textinfo,
        "job": shared.state.job,
    }


def is_empty(model: Any) -> bool:
    """Whether any part of it is gone."""
    return any(tensor.is_meta for tensor in model.state_dict().values())
