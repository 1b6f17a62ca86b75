"""A batch before its sampler begins: what its first pass will be made from, and what the webui has set up for it.

What other families of webuis lack is imported where it is used: there no swap is put off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modules import devices, sd_models, sd_vae

from lib_multipass.plan.alike import UnlikeError, fields_that_act
from lib_multipass.plan.names import Checkpoint
from lib_multipass.state import kept
from lib_multipass.webui.a1111 import digests, stages
from lib_multipass.webui.base import host

_NAMES = ("sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash")
"""What ``process_images_inner`` notes of the active checkpoint for the infotext (1.6.0 to 1.10.1)."""
_DERIVED = frozenset(("step_multiplier", "firstpass_steps", "is_using_inpainting_conditioning"))
"""Fields of a job that the batch before has left, and that each batch sets anew."""
_ASKED = ("prompt", "negative_prompt", "styles", "seed", "subseed", "override_settings")


def asked_from(p: Any, base: Checkpoint) -> dict[str, Any]:
    """What a job asks of its first pass, before any script has had its say.

    Raises:
        UnlikeError: if no later job can ask for the same, or not while this checkpoint is active.
    """
    if hasattr(sd_models.model_data.sd_model, "fix_dimensions"):
        raise UnlikeError("what SD 3 makes of sizes and noise")
    if p.seed in (None, "", -1, "-1"):
        raise UnlikeError("a random seed")
    return {
        "fields": fields_that_act(vars(p), p.subseed_strength != 0),
        "asked": {name: getattr(p, name, None) for name in _ASKED},
        "scripts": stages.arguments(p),
        "base": base.filename,
    }


def made_from(p: Any, base: Checkpoint) -> dict[str, Any]:
    """Everything that the batch's first pass is made from, told when its texts are final and not encoded yet.

    Its checkpoint need not be active, nor loaded.

    Raises:
        UnlikeError: if something in it cannot be told.
    """
    if p.disable_extra_networks:
        raise UnlikeError("networks of an earlier job")
    fields = fields_that_act(vars(p), p.subseed_strength != 0)
    vaes = (host.vaes.automatic(base.filename), sd_vae.vae_dict.get(host.options.get("sd_vae")))
    return {
        "fields": {name: value for name, value in fields.items() if name not in _DERIVED},
        "options": stages.options_in_force(),
        "scripts": stages.arguments(p),
        "networks": [*stages.networks(getattr(p, "extra_network_data", None) or {})],
        "base": (base.filename, stages.stamp(str(Path(base.filename).with_suffix(".yaml")))),
        "weights": _weights(base),
        "vaes": [*map(stages.stamp, vaes), str(devices.dtype_vae)],
        "embeddings": _embeddings([*p.prompts, *p.negative_prompts]),
        "noise": stages.noise(p.rng),
    }


def _weights(base: Checkpoint) -> str:
    """A digest of the checkpoint's weights: as they are in memory, else as they were when the file was last loaded."""
    model = host.models.loaded_model(base)
    if model is not None:
        return _digest(model)
    loaded = kept.as_loaded.get(base.filename)
    if loaded is None or loaded[0] != stages.stamp(base.filename):
        raise UnlikeError("a file that was not loaded yet")
    return loaded[1]


def _digest(model: Any) -> str:
    return digests.weights(model.model) + digests.weights(model.cond_stage_model)


def note_model(model: Any) -> None:
    """Note what a file's weights are, when the webui has just loaded it.

    The webui says the same after it has put a VAE on a model, which may have been changed since; that does not count.
    """
    file = model.sd_checkpoint_info.filename
    if kept.just_read == file:
        kept.just_read = None
        kept.as_loaded[file] = stages.stamp(file), _digest(model)


def _embeddings(texts: Sequence[str]) -> list[tuple[str, Any]]:
    """The textual inversions that these texts name; the webui lets capital letters pass for small ones."""
    from modules.sd_hijack import model_hijack

    database, text = model_hijack.embedding_db, "\n".join(texts).lower()
    known = {**database.skipped_embeddings, **database.word_embeddings}
    return [(name, known[name].vec) for name in sorted(known) if name.lower() in text]


def notes(p: Any) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """What the job has noted by now: the checkpoint of its beginning, and what encoding texts had to say, for the
    infotext and as comments.
    """
    from modules.sd_hijack import model_hijack

    names = {name: getattr(p, name, None) for name in _NAMES}
    return names, dict(model_hijack.extra_generation_params), list(model_hijack.comments)


def add_notes(p: Any, names: Mapping[str, Any], params: Mapping[str, Any], comments: Sequence[str]) -> None:
    """Note the same again."""
    from modules.sd_hijack import model_hijack

    vars(p).update(names)
    model_hijack.extra_generation_params.update(params)
    model_hijack.comments.extend(comments)


def catch_up(p: Any) -> None:
    """Set up for the active checkpoint what the webui has set up for another one at the batch's beginning.

    What follows at every swap is done already: tiling, embeddings, the noise schedule.
    """
    from modules import extra_networks

    model = sd_models.model_data.sd_model
    p.sd_model_name, p.sd_model_hash = model.sd_checkpoint_info.name_for_extra, model.sd_model_hash
    p.sd_vae_name, p.sd_vae_hash = sd_vae.get_loaded_vae_name(), sd_vae.get_loaded_vae_hash()
    sd_models.apply_token_merging(model, p.get_token_merging_ratio())
    if not p.disable_extra_networks:
        with devices.autocast():
            extra_networks.activate(p, p.extra_network_data)
