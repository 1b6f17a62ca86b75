"""What the webui sets on the model that a job begins with, and what those lack that become active in it.

The releases that were read are 1.6.0 to 1.10.1.
"""

from __future__ import annotations

from typing import Any

import torch
from modules import sd_models, sd_vae

from lib_multipass.plan.alike import UnlikeError
from lib_multipass.plan.names import Checkpoint
from lib_multipass.state import kept
from lib_multipass.webui.a1111 import forge_models


def in_force(p: Any, model: Any, in_hires: bool) -> tuple[bool, float]:
    """Whether a model paints pictures that can be tiled, and how far it merges tokens.

    Raises:
        UnlikeError: if the first pass's does not as the job asks: it would as soon as it is swapped in again.
    """
    if forge_models.is_one(model):
        return forge_models.is_tiling(model), 0  # what merges tokens there shows in its patchers
    layer = next((layer for layer in model.modules() if type(layer) is torch.nn.Conv2d), None)
    now = getattr(layer, "padding_mode", "zeros") == "circular", getattr(model, "applied_token_merged_ratio", 0)
    if not in_hires and now != (bool(p.tiling), p.get_token_merging_ratio()):
        raise UnlikeError("a model that does not tile, or merge tokens, as the job asks")
    return now


def merge_tokens(p: Any, base: Checkpoint) -> None:
    """Merge tokens in the first pass's model as the job asks.

    The webui does it once a job; a model that is read again in it is a new one. It does not in a refiner's.
    """
    model = sd_models.model_data.sd_model
    is_its = model.sd_checkpoint_info.filename == base.filename and not forge_models.is_one(model)
    if kept.decision is not None and is_its:
        sd_models.apply_token_merging(model, p.get_token_merging_ratio())


def stay(p: Any) -> None:
    """Leave behind what a batch would that encodes its texts, and swaps twice, although this one does neither.

    That is in force on the second pass's checkpoint, if it is active, the VAE that a swap to it would put on; and what
    was encoded for other texts is gone, which may be of an embedding that was replaced since.
    """
    _forget_other_texts(p)
    model = sd_models.model_data.sd_model
    if p.hr_checkpoint_info is not None and model.sd_checkpoint_info.filename == p.hr_checkpoint_info.filename:
        sd_vae.reload_vae_weights(model)


def _forget_other_texts(p: Any) -> None:
    for cache, texts in ((p.cached_c, p.prompts), (p.cached_uc, p.negative_prompts)):
        if cache[0] is not None and not (texts in cache[0] and p.extra_network_data in cache[0]):
            cache[:] = [None, None]
