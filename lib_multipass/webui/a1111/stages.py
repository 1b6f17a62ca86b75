"""What the webui makes a pass and an enlarged picture from, and its random generators (1.6.0 to 1.10.1)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import torch
from modules import devices, processing, rng, script_callbacks, sd_models, sd_unet, sd_vae, shared
from PIL import Image

from lib_multipass.memory.headers import state_of
from lib_multipass.plan.alike import ACT_THROUGH_THE_JOB, UnlikeError, fields_that_act, options_that_act
from lib_multipass.plan.our_settings import STAGES, checked
from lib_multipass.webui.a1111 import adetailer, digests, forge_models, hardware, loras, options, patchers, set_up
from lib_multipass.webui.a1111.digests import raw  # noqa: F401 - an operation of this room
from lib_multipass.webui.base import host

CALLBACKS = ("callbacks_cfg_denoiser", "callbacks_cfg_denoised", "callbacks_cfg_after_cfg")
"""The webui's callbacks at each step of a sampler."""
_NOISE = "callbacks_extra_noise"
_PLOT = "xyz_grid.py"
_MODEL_SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".onnx")


def allowance(p: Any) -> int:
    """Bytes of RAM that kept stages may take in a job; without one, as the setting stands."""
    return int(1e6 * checked(STAGES, host.options.get(STAGES) if p is None else options.in_force(p, STAGES)))


def why_not(p: Any) -> str:
    """What of this webui forbids that a job's passes are kept, as the end of a sentence; empty if nothing does.

    Args:
        p: the job, or a request that is not run.
    """
    if any(options.in_force(p, f"hypertile_enable_{part}", False) for part in ("unet", "vae")):
        return "Hypertile draws random numbers of its own"
    others = _others_at_each_step()
    return f"{', '.join(others)} may work in it in a way that cannot be told" if others else ""


def _others_at_each_step() -> list[str]:
    """Extensions that are called at each step of a sampler.

    Their arguments in the job do not tell: FreeU counts the steps of both passes in one.
    """
    calling = (callback for name in CALLBACKS for callback in script_callbacks.callback_map.get(name, ()))
    return sorted({_extension(callback.script) for callback in calling})


def _extension(file: str) -> str:
    """The name of the extension that a script's file is in: the file is in ``scripts`` or beside it."""
    folder = PurePath(file or "unknown/script.py").parent
    return (folder.parent if folder.name == "scripts" else folder).name


def sampled_from(p: Any, in_hires: bool) -> dict[str, Any]:
    """Everything that the batch's pass is made from, besides what its sampler is handed.

    Args:
        p: the job.
        in_hires: whether the pass is the second one.

    Raises:
        UnlikeError: if something in it cannot be told.
    """
    if in_hires and host.options.get("img2img_extra_noise") and script_callbacks.callback_map.get(_NOISE):
        raise UnlikeError("what an extension makes of extra noise")
    model = sd_models.model_data.sd_model
    used = getattr(p, "hr_extra_network_data" if in_hires else "extra_network_data", None)
    return {
        "fields": fields_that_act(vars(p), p.subseed_strength != 0, in_hires),
        "options": options_in_force(),
        "scripts": arguments(p),
        "networks": [*networks(used or {})],
        "loaded networks": loras.in_force(),
        "hypernetworks": loras.hypernetworks_in_force(),
        "model": (stamp(model.sd_checkpoint_info.filename), *_diffusion_model(model)),
        "set on it": set_up.in_force(p, model, in_hires),
        "unet": getattr(getattr(sd_unet.current_unet, "option", None), "label", None),
        "generators": generators(),
        "noise": noise(p.rng),
    }


def _diffusion_model(model: Any) -> list[Any]:
    """What samples, and what the model's config says beside its weights."""
    if forge_models.is_one(model):
        return [patchers.as_sampled(model)]
    config = getattr(model, "used_config", None)
    schedule = [getattr(model, name, None) for name in ("parameterization", "alphas_cumprod")]
    return [digests.weights(model.model), *schedule, stamp(config) if isinstance(config, str) else None]


def noise(source: Any) -> dict[str, Any]:
    """What gives the sampler its noise; variation seeds are in what it has given, and without strength random."""
    return {"kind": type(source).__qualname__, **{key: it for key, it in vars(source).items() if key != "subseeds"}}


def options_in_force() -> dict[str, Any]:
    """The settings that a pass may be made from, as they stand in the running job."""
    sections = {**dict.fromkeys(shared.opts.data), **_sections()}
    return {name: getattr(shared.opts, name, None) for name in options_that_act(sections)}


def _sections() -> dict[str, str | None]:
    """By name of a setting, its section."""
    return {name: (info.section or (None,))[0] for name, info in shared.opts.data_labels.items()}


def arguments(p: Any) -> dict[str, Any]:
    """The arguments of all scripts but ours, ADetailer's and those that act through the job's own fields."""
    values = p.script_args
    if p.scripts is None or not isinstance(values, (list, tuple)):
        return {}
    found: dict[str, Any] = {}
    for script in p.scripts.alwayson_scripts:
        own = PurePath(script.filename or "")
        later = adetailer.is_adetailer(script) or (script.title() or "").lower() == "multipass"
        if not later and own.parent.name != "processing_scripts":
            found.setdefault(str(own), []).append(tuple(values[script.args_from : script.args_to]))
    number = values[0] if values else 0
    selected = p.scripts.selectable_scripts[number - 1] if type(number) is int and number > 0 else None
    if selected is not None:
        own = tuple(values[selected.args_from : selected.args_to])
        if PurePath(selected.filename).name == _PLOT:
            _require_known_axes(selected, own)
        elif PurePath(selected.filename).name not in ACT_THROUGH_THE_JOB:
            found["selected"] = (selected.filename, own)
    return found


def _require_known_axes(plot: Any, args: Sequence[Any]) -> None:
    """Axes of the webui, of ADetailer and of ours change the job or what comes later; others may change anything."""
    for number in args[0:9:3]:
        if not isinstance(number, int):
            raise UnlikeError("an axis of the plot")
        axis = plot.current_axis_options[number]
        apply = getattr(axis.apply, "func", axis.apply)
        file = PurePath(apply.__code__.co_filename)
        if file.name not in (_PLOT, "!adetailer.py") and "lib_multipass" not in file.parts:
            raise UnlikeError(f"the axis {axis.label}")


def networks(data: Mapping[str, Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """The networks in force, each with its file."""
    for kind, used in data.items():
        for params in used:
            name = params.items[0] if params.items else ""
            yield kind, list(params.items), stamp(_file_of(kind, name))


def _file_of(kind: str, name: str) -> str | None:
    if kind in ("lora", "lyco"):
        return host.loras.file_of(name)
    if kind == "hypernet":
        return shared.hypernetworks.get(name)
    raise UnlikeError(f"<{kind}:{name}>")


def stamp(file: str | None) -> tuple[Any, ...]:
    """A file's name, size and time of change; the name alone if it is not there."""
    return (file, *((file and state_of(file)) or ()))


def decoded_with() -> dict[str, Any]:
    """Everything that latents are decoded with, besides themselves and the settings."""
    model = sd_models.model_data.sd_model
    file = stamp(sd_vae.loaded_vae_file)
    if forge_models.is_one(model):
        return {"file": file, **patchers.vae_as_it_decodes(model)}
    return {"file": file, "weights": digests.weights(model.first_stage_model), "dtype": str(devices.dtype_vae)}


def enlarged_from(
    original: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Image.Image, dict[str, Any]] | None:
    """The picture of a call of ``resize_image``, and everything that it is enlarged from.

    Returns:
        None where the result is not worth keeping. Worth it are upscalers with a model, but for LDSR, which draws
        random numbers.
    """
    asked = dict(inspect.signature(original).bind(*args, **kwargs).arguments)
    found = next((known for known in shared.sd_upscalers if known.name == asked.get("upscaler_name")), None)
    path = getattr(found, "data_path", None)
    file = getattr(found, "local_data_path", None) or path
    if not isinstance(file, str) or not file.lower().endswith(_MODEL_SUFFIXES) or "ldsr" in _kind(found).lower():
        return None
    options = {key: getattr(shared.opts, key, None) for key, section in _sections().items() if section == "upscaling"}
    return asked["im"], {"asked": asked, "kind": _kind(found), "model": stamp(file), "path": path, "options": options}


def _kind(upscaler: Any) -> str:
    return f"{type(upscaler.scaler).__module__}.{type(upscaler.scaler).__qualname__} {upscaler.name}"


def is_plain(before: Image.Image, after: Image.Image) -> bool:
    """Whether a picture was resized plainly: an upscaler that cannot load its model falls back to that."""
    scale = max(after.width / before.width, after.height / before.height)
    eighths = [int(side * scale // 8 * 8) for side in before.size]
    plain = before.resize(eighths, Image.LANCZOS)
    plain = plain if plain.size == after.size else plain.resize(after.size, Image.LANCZOS)
    return plain.tobytes() == after.tobytes()


def generators() -> dict[str, Any]:
    """The state of the random generators that the webui shares: torch's, or its own with the source ``NV``.

    With that source the webui seeds its own alone, and torch's are as the last job has left them.
    """
    own = getattr(rng, "nv_rng", None)
    if host.options.get("randn_source") == "NV":
        return {"own": None if own is None else (own.seed, own.offset)}
    index = hardware.cuda_index() if torch.cuda.is_initialized() else None
    return {"cpu": torch.get_rng_state(), "device": None if index is None else torch.cuda.get_rng_state(index)}


def put_back(states: Mapping[str, Any]) -> None:
    """Give the generators these states, as :func:`generators` has told them."""
    if states.get("cpu") is not None:
        torch.set_rng_state(states["cpu"])
    if states.get("device") is not None:
        torch.cuda.set_rng_state(states["device"], hardware.cuda_index())
    if states.get("own") is not None:
        rng.nv_rng = rng.rng_philox.Generator(states["own"][0])
        rng.nv_rng.offset = states["own"][1]


def decoded_from(pictures: Sequence[torch.Tensor]) -> Any:
    """Decoded pictures as the webui hands them on."""
    return processing.DecodedSamples(pictures)


def steps() -> int:
    """How many steps the last sampler has made."""
    return shared.state.sampling_steps


def sampled(steps: int) -> None:
    """Let the webui's progress stand where it stands after so many steps."""
    shared.state.sampling_steps = shared.state.sampling_step = steps
    for _ in range(steps):
        shared.total_tqdm.update()
