"""How many checkpoints stay loaded: a floor under the webui's limit that is only read, never stored.

``sd_checkpoints_limit`` decides at each swap what is thrown away. The first swap of a job happens before its
``override_settings`` apply, others happen between jobs, and whatever is written into the options can be saved to
``config.json``. So the floor is a property on the class of ``shared.opts``: attribute reads see it; the stored data,
``/sdapi/v1/options``, the Settings page and ``--freeze-settings`` do not.
"""

from __future__ import annotations

import gc
from collections.abc import Collection
from typing import Any

from modules import sd_models, shared

from lib_multipass.checkpoints import Checkpoint
from lib_multipass.messages import log

LIMIT = "sd_checkpoints_limit"

_held: frozenset[str] = frozenset()
"""File names of the checkpoints that the latest Multipass job used; empty when the user's settings govern alone."""


def users_limit(options: Any) -> int:
    """What the user set: the stored value, or the default while nothing is stored (a fresh install, 1.8 and later)."""
    return options.data.get(LIMIT, options.get_default(LIMIT))


def limit(options: Any) -> int:
    """The limit that a swap sees.

    While checkpoints are held it is never below the number of loaded ones either: up to 1.8.0 the webui's own eviction
    drops one model from its list and empties another, after which every job fails until a restart. What is too much
    is evicted here instead, between two swaps.
    """
    own = users_limit(options)
    return max(own, len(_held), len(sd_models.model_data.loaded_sd_models)) if _held else own


def install() -> None:
    """Put the floor in place; calling it again changes nothing."""
    setattr(type(shared.opts), LIMIT, property(limit))


def uninstall() -> None:
    """Take the floor away."""
    if LIMIT in vars(type(shared.opts)):
        delattr(type(shared.opts), LIMIT)


def hold(files: Collection[str], first: Checkpoint) -> None:
    """Keep these checkpoints, by file name, once they are loaded, and let go of others beyond the limit.

    Args:
        files: all that the job uses.
        first: the one that the job needs first.
    """
    global _held  # one job at a time: the webui runs them under its queue lock
    _held = frozenset(files)
    _settle(max(users_limit(shared.opts), len(_held)), _held, first)


def let_go(first: Checkpoint | None) -> None:
    """Give the memory back to the user's own settings, at once.

    Args:
        first: the checkpoint that the webui needs next, which stays if it is loaded.
    """
    global _held  # see hold()
    if _held:
        _settle(users_limit(shared.opts), {first.filename} if first else set(), first)
        _held = frozenset()


def _settle(most: int, needed: Collection[str], first: Checkpoint | None) -> None:
    """Bring the loaded models down to ``most``, the least recently used first and the needed ones last."""
    models = sd_models.model_data.loaded_sd_models
    if 0 < most < len(models) and any(first and _file(model) == first.filename for model in models):
        # The active model cannot be emptied: the webui still moves it to the CPU before it activates another.
        with sd_models.SkipWritingToConfig():
            sd_models.reload_model_weights(info=first)
    # What is not loaded yet goes into the last model of the webui's list: let that be one that nobody needs.
    models.sort(key=lambda model: _file(model) not in needed)
    spare = [model for model in models if model is not sd_models.model_data.sd_model]
    beyond = spare[::-1][: max(0, len(models) - most)] if most > 0 else []
    for model in beyond:
        models.remove(model)
        sd_models.send_model_to_trash(model)
    if beyond:
        log.info("let go of %s", ", ".join(model.sd_checkpoint_info.name_for_extra for model in beyond))
        del spare, beyond, model
        gc.collect()


def _file(model: Any) -> str:
    return model.sd_checkpoint_info.filename
