"""A batch before its sampler begins: what its first pass will be made from, and what the webui has set up for it.

What other families of webuis lack is imported where it is used: there no swap is put off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modules import devices, rng, sd_models, sd_vae, shared

from lib_multipass.memory.placement import VRAM
from lib_multipass.plan.alike import DERIVED_FIELDS, UnlikeError, fields_that_act
from lib_multipass.plan.names import Checkpoint
from lib_multipass.plan.vae_choice import SETTING
from lib_multipass.state import kept, running
from lib_multipass.webui.a1111 import digests, embeddings, forge_models, hardware, loras, options, stages
from lib_multipass.webui.a1111.set_up import merge_tokens, stay  # noqa: F401 - operations of this room
from lib_multipass.webui.base import host

_NAMES = ("sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash")
"""What ``process_images_inner`` notes of the active checkpoint for the infotext (1.6.0 to 1.10.1)."""
_HOOKS = (
    *("process", "before_process_batch", "process_batch", "after_extra_networks_activate"),
    "process_before_every_sampling",
)
"""What the webui calls between the first swap of a job and its first pass (1.6.0 to 1.10.1)."""
_ASKED = ("prompt", "negative_prompt", "styles", "seed", "subseed", "override_settings")
_ADDED = ("sd_lora", "sd_hypernetwork")
"""Settings that add a network to every prompt when networks are activated, each time once more."""


def asked_from(p: Any, base: Checkpoint) -> dict[str, Any]:
    """What a job asks of its first pass, before any script has had its say.

    Raises:
        UnlikeError: if no later job can ask for the same, or not while this checkpoint is active.
    """
    if p.seed in (None, "", -1, "-1"):
        raise UnlikeError("a random seed")
    _require_ready(sd_models.model_data.sd_model)
    return {
        "fields": fields_that_act(vars(p), p.subseed_strength != 0),
        "asked": {name: getattr(p, name, None) for name in _ASKED},
        "scripts": stages.arguments(p),
        "base": base.filename,
        "vae": options.in_force(p, SETTING),
    }


def _require_ready(model: Any) -> None:
    """The active model, with which a batch of another checkpoint begins, has to be what a swap would make of it.

    Raises:
        UnlikeError: if it is not.
    """
    file = model.sd_checkpoint_info.filename
    if hasattr(model, "fix_dimensions"):
        raise UnlikeError("what SD 3 makes of sizes and noise")
    if kept.as_loaded.get(file) != (stages.stamp(file), _digest(model)):
        raise UnlikeError("a model that is not what its file is")
    if hardware.vram_to_plan() is not None and hardware.place_of(model) != VRAM and not host.parts.is_split(model):
        raise UnlikeError("a model that was unloaded")


def made_from(p: Any, base: Checkpoint) -> dict[str, Any]:
    """Everything that the batch's first pass is made from, told when its texts are final and not encoded yet.

    Its checkpoint need not be active, nor loaded.

    Raises:
        UnlikeError: if something in it cannot be told.
    """
    if p.disable_extra_networks or any(host.options.get(name) not in (None, "", "None") for name in _ADDED):
        raise UnlikeError("networks that no prompt names")
    fields = fields_that_act(vars(p), p.subseed_strength != 0)
    noted = sd_vae.resolve_vae_from_user_metadata(base.filename)
    vaes = (host.vaes.automatic(base.filename), sd_vae.vae_dict.get(host.options.get("sd_vae")))
    return {
        "fields": {name: value for name, value in fields.items() if name not in DERIVED_FIELDS},
        "options": stages.options_in_force(),
        "scripts": stages.arguments(p),
        "networks": [*stages.networks(getattr(p, "extra_network_data", None) or {})],
        "hypernetworks": loras.hypernetworks_in_force(),
        "base": [stages.stamp(file) for file in (base.filename, str(Path(base.filename).with_suffix(".yaml")))],
        "weights": _weights(base),
        "vaes": [*map(stages.stamp, vaes), noted.resolved, str(devices.dtype_vae)],
        "embeddings": embeddings.named_in([*p.prompts, *p.negative_prompts]),
        "noise": stages.noise(p.rng),
    }


def _weights(base: Checkpoint) -> str:
    """A digest of the checkpoint's weights: as they are in memory, else as they were when the file was last loaded."""
    model = host.models.loaded_model(base)
    if model is not None:
        return _digest(model)
    loaded = kept.as_loaded.get(base.filename)
    if loaded is None:
        raise UnlikeError("a file that was not loaded yet")
    return loaded[1]


def _digest(model: Any) -> str:
    return digests.weights(model.model) + digests.weights(model.cond_stage_model)


def note_model(model: Any) -> None:
    """Note what a file's weights are, when the webui has just loaded it outside of a swap."""
    if not running.is_swapping:
        note(model)


def note(model: Any) -> None:
    """Note what a file's weights are, if the webui has just loaded it.

    The webui says that it has after it has put a VAE on a model, too, which may have been changed since; that does not
    count.
    """
    file = model.sd_checkpoint_info.filename
    if kept.just_read == file and not forge_models.is_one(model):
        kept.just_read = None
        kept.as_loaded[file] = stages.stamp(file), _digest(model)


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


def early_scripts(p: Any) -> list[str] | None:
    """Scripts of others that may look at the active checkpoint before a first pass is there, by their names.

    Ours only reads ahead there, ADetailer and the webui's own do not look, ControlNet does for its units alone.

    Args:
        p: the job; a request that is not run has no arguments of scripts here.

    Returns:
        None where the webui cannot begin for a checkpoint that is not active: reForge and Neo take networks and
        schedule from its patchers.
    """
    from modules import paths, scripts

    if forge_models.webui_moves_them() or hasattr(sd_models, "forge_loader"):
        return None
    runner, known = getattr(p, "scripts", None), Path(paths.script_path)
    its_own = [known / folder for folder in ("extensions-builtin", "modules")]
    found = set()
    for script in (runner or scripts.scripts_txt2img).alwayson_scripts:
        file = Path(script.filename or "")
        looks = any(getattr(type(script), hook, None) is not getattr(scripts.Script, hook, None) for hook in _HOOKS)
        if looks and not any(folder in file.parents for folder in its_own) and not _is_inert(script, p, runner):
            found.add(script.name or file.stem)
    return sorted(found)


def _is_inert(script: Any, p: Any, runner: Any) -> bool:
    if script.name == "controlnet":
        units = p.script_args[script.args_from : script.args_to] if runner is not None else ()
        return not any(one.get("enabled") if isinstance(one, dict) else getattr(one, "enabled", one) for one in units)
    return script.name in ("multipass", "adetailer")


@contextmanager
def ahead(p: Any, count: int) -> Iterator[None]:
    """While it lasts, the first passes of so many later batches are made; then all is as the running batch has left it.

    The progress counts them as parts of the job.
    """
    from modules.sd_hijack import model_hijack

    fields, states = dict(vars(p)), stages.generators()
    dicts = [(known, dict(known)) for known in (p.extra_generation_params, p.comments)]
    params, comments = dict(model_hijack.extra_generation_params), list(model_hijack.comments)
    all_made = shared.state.job_no + count
    shared.state.job_count += count
    try:
        yield
    finally:
        shared.state.job_count -= all_made - shared.state.job_no
        vars(p).clear()
        vars(p).update(fields)
        for known, before in (*dicts, (model_hijack.extra_generation_params, params)):
            known.clear()
            known.update(before)
        model_hijack.comments[:] = comments
        stages.put_back(states)
        _activate_networks(p)


def make(p: Any, number: int) -> None:
    """Make the first pass of a batch, as the webui does in its own loop, without the scripts that work in each."""
    shared.state.nextjob()
    p.iteration = number
    batch = slice(number * p.batch_size, (number + 1) * p.batch_size)
    for name in ("prompts", "negative_prompts", "seeds", "subseeds"):
        setattr(p, name, getattr(p, f"all_{name}")[batch])
    known = ("subseeds", "subseed_strength", "seed_resize_from_h", "seed_resize_from_w")
    p.rng = rng.ImageRNG((4, p.height // 8, p.width // 8), p.seeds, **{name: getattr(p, name) for name in known})
    p.parse_extra_network_prompts()
    _activate_networks(p)
    p.setup_conds()
    with devices.without_autocast() if devices.unet_needs_upcast else devices.autocast():
        p.sample(p.c, p.uc, p.seeds, p.subseeds, p.subseed_strength, p.prompts)


def catch_up(p: Any) -> None:
    """Set up for the active checkpoint what the webui has set up for another one at the batch's beginning.

    What follows at every swap is done already: tiling, embeddings, the noise schedule.
    """
    model = sd_models.model_data.sd_model
    p.sd_model_name, p.sd_model_hash = model.sd_checkpoint_info.name_for_extra, model.sd_model_hash
    p.sd_vae_name, p.sd_vae_hash = sd_vae.get_loaded_vae_name(), sd_vae.get_loaded_vae_hash()
    _activate_networks(p)


def _activate_networks(p: Any) -> None:
    from modules import extra_networks

    if not p.disable_extra_networks:
        with devices.autocast():
            extra_networks.activate(p, p.extra_network_data)
