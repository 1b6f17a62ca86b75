"""What Forge Neo remembers by the checkpoint of the job, or by whichever model is active, and would mix up.

In a job of Multipass the models of both passes are alive, so what belongs to one of them has to stay with it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from modules import sd_models, sd_vae

from lib_multipass.state import kept, running
from lib_multipass.webui.forge import engines


def told_apart(original: Callable) -> Callable:
    """Keeps encoded prompts of the hires pass apart by its checkpoint, and by the textual inversions of that moment.

    The webui's key has the job's parameters, which are the first pass's again while the hires pass encodes, and the
    cache outlives the job.
    """

    def cached_params(self: Any, *args: Any, **kwargs: Any) -> Any:
        key = original(self, *args, **kwargs)
        if running.job is None:
            return key
        return *key, sd_models.model_data.forge_hash, getattr(engines.active(), "embeddings", None)

    return cached_params


def stored_with_its_model(original: Callable) -> Callable:
    """Notes whose VAE is stored, when an override puts another one over it."""

    def store_base_vae(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        for model in (*args, *kwargs.values())[:1]:
            kept.own_vaes.append((weakref.ref(model), sd_vae.base_vae, sd_vae.checkpoint_info))
        return result

    return store_base_vae


def restored_onto_its_model(original: Callable) -> Callable:
    """Puts a stored VAE back where it was taken from; the webui takes whatever model is active by then.

    An override of an inner job ends before that of the job around it. Jobs without Multipass are left as they are; a
    model that got another one's VAE in them is not kept.
    """

    def restore_base_vae(*args: Any, **kwargs: Any) -> Any:
        if not kept.own_vaes:
            return original(*args, **kwargs)
        owner, own, checkpoint = kept.own_vaes.pop()
        if kept.decision is None:
            kept.own_vaes.clear()
            for model in (*args, *kwargs.values())[:1]:
                if owner() is not model:
                    engines.forget(model)
            return original(*args, **kwargs)
        if owner() is None:
            sd_vae.base_vae = sd_vae.checkpoint_info = None  # or a later override would put it on another model
            return None
        sd_vae.base_vae, sd_vae.checkpoint_info = own, checkpoint
        return original(owner())

    return restore_base_vae
