"""Models of Forge Neo that are kept: what each was made of, and how it becomes the active one again.

``forge_model_reload`` builds a model from what ``forge_loading_parameters`` say, and lets go of the one before. Beside
the model it sets what other parts of the webui read of the active one: flags of the architecture in ``dynamic_args``,
``processing.opt_f``, the hash in ``forge_hash``. Jobs leave traces on a model that a new one does not have: sigmas of
*Zero Terminal SNR*, which the webui takes off whichever model is active at the end of a batch, and tiling.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend import memory_management
from backend.args import dynamic_args
from modules import processing, sd_models, shared
from modules_forge.utils import apply_circular_forge

from lib_multipass.memory import freed
from lib_multipass.memory.headers import state_of
from lib_multipass.state import kept, running
from lib_multipass.webui.a1111 import forge_models
from lib_multipass.webui.forge import encoders, remains

_FLAGS = (
    "kontext",
    "edit",
    "nunchaku",
    "klein",
    "wan",
    "pid",
    "krea2",
    "ops",
    "forge_unet_storage_dtype",
    "embedding_dir",
)
"""What loading sets in ``dynamic_args``."""
_MOST_OF_A_FILE = 2
"""Models of one file with other modules: a pass each."""


@dataclass(eq=False)
class Engine:
    """A loaded model."""

    model: Any
    key: tuple
    """What it was made of."""
    flags: dict[str, Any]
    schedule: dict[str, Any]
    """The tensors of the noise schedule that it was made with; empty if it has none."""
    online_lora: bool
    """How LoRAs were applied when it was active last."""
    embeddings: frozenset[tuple]
    """The files of textual inversions that it has read."""

    @property
    def file(self) -> str:
        """Its checkpoint's file."""
        return self.key[0][0]


def key_of(parameters: Mapping[str, Any]) -> tuple:
    """What a model is made of: each file with its size and time, a config beside the checkpoint too, Nunchaku's
    settings, which the webui gives to a model as it is loaded, and the dtype."""
    file = parameters["checkpoint_info"].filename
    config = state_of(str(Path(file).with_suffix(".yaml")))
    modules = map(_stamped, parameters.get("additional_modules", ()))
    nunchaku = {name: value for name, value in shared.opts.data.items() if name.startswith("svdq_")}
    return (*_stamped(file), config, str(sorted(nunchaku.items()))), *modules, str(parameters.get("unet_storage_dtype"))


def _stamped(file: str) -> tuple:
    return file, state_of(file)


def active() -> Engine | None:
    """The one that is active."""
    return next((engine for engine in kept.engines if engine.model is sd_models.model_data.sd_model), None)


def found(parameters: Mapping[str, Any]) -> Engine | None:
    """The kept one that was made of this."""
    key = key_of(parameters)
    return next((engine for engine in kept.engines if engine.key == key), None)


def note(model: Any, key: tuple) -> None:
    """The webui has just made this model."""
    buffers = getattr(remains.predictor_of(model), "named_buffers", dict)()
    schedule = {name: tensor.clone() for name, tensor in dict(buffers).items()}
    flags = {name: getattr(dynamic_args, name) for name in _FLAGS if hasattr(dynamic_args, name)}
    kept.engines.insert(0, Engine(model, key, flags, schedule, dynamic_args.online_lora, remains.embeddings()))
    if _begins(key[0][0]):
        remains.forget_references(engine.model for engine in kept.engines[1:])
    of_this_file = [engine for engine in kept.engines if engine.file == key[0][0]]
    replaced = [engine for engine in of_this_file if engine.key[0] != key[0]]
    drop([*replaced, *[engine for engine in of_this_file if engine not in replaced][_MOST_OF_A_FILE:]])
    modules = {*key[1:-1]}
    encoders.share(model, [engine.model for engine in kept.engines[1:] if modules & {*engine.key[1:-1]}])


def forget(model: Any) -> None:
    """This model is no longer what its files say; it is the webui's alone from now on."""
    kept.engines[:] = [engine for engine in kept.engines if engine.model is not model]


def activate(engine: Engine) -> None:
    """Let the webui go on with a kept model, as if it had just loaded it for its present parameters."""
    data, model = sd_models.model_data, engine.model
    data.forge_hash = ""  # as while the webui loads: whatever fails from here on, its next job asks for its model anew
    frame = getattr(data.sd_model, "end_image", None)
    others = [known.model for known in kept.engines if known is not engine]
    remains.forget_references(others if _begins(engine.file) else [model])
    dynamic_args.reset()
    for name, value in engine.flags.items():
        setattr(dynamic_args, name, value)
    _as_new(engine)
    if running.job is None:
        encoders.settle(model)
    if frame is not None:  # the webui hands it on from model to model
        model.end_image = frame.clone()
    model.sd_checkpoint_info = checkpoint = data.forge_loading_parameters["checkpoint_info"]
    shared.opts.data["sd_checkpoint_hash"] = checkpoint.sha256
    data.set_sd_model(model)
    shared.sd_model = model
    ratio = model.forge_objects.vae.upscale_ratio
    processing.opt_f = ratio if isinstance(ratio, int) else 8
    engine.online_lora = dynamic_args.online_lora
    kept.engines.remove(engine)
    kept.engines.insert(0, engine)
    data.forge_hash = str(data.forge_loading_parameters)


def _begins(file: str) -> bool:
    """Whether this checkpoint's model makes first passes now: ImageStitch has its references on that alone."""
    return running.job is None or file == running.job.plan.base.filename


def _as_new(engine: Engine) -> None:
    model = engine.model
    model.extra_generation_params, model.comments = {}, []
    remains.forget_picture(model)
    files = remains.embeddings()
    if engine.embeddings != files:
        remains.read_embeddings(model)
        engine.embeddings = files
    predictor = remains.predictor_of(model)
    for name, tensor in engine.schedule.items():  # ``set_sigmas`` would round the logarithms otherwise than loading
        setattr(predictor, name, tensor.to(getattr(predictor, name).device, copy=True))
    forge_models.forget_disabled_networks(model)
    tile(model)


def tile(model: Any) -> None:
    """Let a model tile as the running job wants it: the webui sets this once a job, on its first model alone."""
    p = running.job.owner() if running.job is not None else None
    apply_circular_forge(model, bool(getattr(p, "tiling", False)))


def drop(engines: list[Engine]) -> None:
    """Let go of these; of the active one, the webui's own hold on it stays."""
    if not engines:
        return
    gone = [weakref.ref(engine.model) for engine in engines]
    kept.engines[:] = [engine for engine in kept.engines if engine not in engines]
    engines.clear()
    if any(reference() is not None for reference in gone):
        gc.collect()
    memory_management.soft_empty_cache()
    freed.give_back()
