"""Everything that a decision needs, read once: from the job or a request, the webui's settings, and the memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from modules import devices, sd_vae, shared

from lib_multipass.memory.headers import Facts, remembered
from lib_multipass.memory.placement import DISK, RAM, Model
from lib_multipass.plan import our_settings
from lib_multipass.plan.again import asked, is_same
from lib_multipass.plan.args import SAME_MODULES, VAE_MODES
from lib_multipass.plan.crossing import SECOND
from lib_multipass.plan.hires import HIRES_MODULES, SAME_CHECKPOINT
from lib_multipass.plan.names import Checkpoint, called
from lib_multipass.plan.roles import Roles
from lib_multipass.plan.situation import Faces, Hires, Situation
from lib_multipass.plan.vae_choice import SETTING, VaeSettings
from lib_multipass.state import kept
from lib_multipass.webui.a1111 import (
    adetailer,
    beginnings,
    checkpoints,
    features,
    files,
    machine,
    options,
    shares,
    stages,
)
from lib_multipass.webui.base import host

REFINER_PASS = "hires_fix_refiner_pass"
MASK_WEIGHT = "inpainting_mask_weight"


def of_job(p: Any, roles: Roles) -> Situation:
    """What stands for a job that is about to run."""
    return _gather(p, roles, adetailer.in_job(p, roles), host.controls.hires_defaults())


def of_request(request: Any, roles: Roles, adetailer_args: Sequence[Any]) -> Situation:
    """What stands for a request that is not run.

    Args:
        request: anything that has the fields of a txt2img request that matter.
        roles: its checkpoints.
        adetailer_args: ADetailer's arguments in it.
    """
    found = _gather(request, roles, adetailer.in_request(adetailer_args, roles), {})
    return replace(found, again=_again({**vars(request), **getattr(request, "page", {})}, roles))


def _again(given: Mapping[str, Any], roles: Roles) -> tuple[str, ...]:
    """The passes of the last job that are kept, if the same are asked for."""
    if kept.last is None or not host.stages.allowance(None):
        return ()
    now, stages = asked(given, roles), kept.last.stages
    whole = (role for role, keys in stages.items() if all(key in kept.stages for key in keys))
    return tuple(role for role in whole if is_same(role, kept.last.asked, now))


def _gather(p: Any, roles: Roles, faces: Faces, page: Mapping[str, Any]) -> Situation:
    our_settings.require({name: host.options.get(name) for name in our_settings.DEFAULTS}, p.override_settings or {})
    chosen, no_refiner = _refiner(p)
    refiner, idle = (chosen, None) if host.features.refines_hires_jobs() else (None, chosen)
    named = {one.filename: one for one in (roles.base, roles.second, roles.faces, *faces.checkpoints, refiner) if one}
    facts = {file: host.files.facts_of(checkpoint) for file, checkpoint in named.items()}
    asks = {file: host.lending.parts_to_ask_for(named[file], facts[file]) for file in named}
    wanted = {part for parts in asks.values() for part in parts}
    recent = kept.recent if wanted else []
    loaded = host.models.loaded()
    infos = [model.sd_checkpoint_info for model in loaded]
    lenders = [*infos, *recent] if wanted else []
    return Situation(
        facts={**{checkpoint.filename: host.files.facts_of(checkpoint) for checkpoint in lenders}, **facts},
        vaes=_vaes(p, roles, named),
        machine=machine.now(p),
        hires=_hires(p, page),
        faces=faces,
        refiner=refiner,
        no_refiner=no_refiner,
        idle_refiner=idle,
        alias=checkpoints.alias_of(roles.second),
        known=host.checkpoints.known(),
        beyond=host.features.beyond(),
        models=_models(p, roles, named, facts),
        others=_others(info for info in infos if info.filename not in named),
        asks=asks,
        loaded=infos,
        hollow={
            info.filename: {part for part in wanted if host.lending.is_hollow(model, part)}
            for info, model in zip(infos, loaded, strict=True)
        },
        recent=list(recent),
        not_kept=stages.why_not(p),
        order=machine.ours(p, our_settings.ORDER),
        early_scripts=beginnings.early_scripts(p),
        is_sent=shares.are_sent(p),
    )


def _models(p: Any, roles: Roles, named: Mapping[str, Checkpoint], facts: Mapping[str, Facts]) -> dict[str, Model]:
    """Those in use by file, of which no two are called the same."""
    encoders = {file: host.files.encoders(facts[file], _modules_of(one, p, roles)) for file, one in named.items()}
    times, with_loras, models = Counter(name for _, name in encoders.values() if name), _has_loras(p), {}
    for file, one in named.items():
        size, name = encoders[file]
        is_held = any(name and encoders[other][1] == name for other in models)
        model = model_of(one, facts[file], with_loras, 0 if is_held else size, size if times[name] > 1 else 0)
        models[file] = replace(model, name=called(one, named.values()))
    return models


def _others(loaded: Iterable[Checkpoint]) -> list[Model]:
    return [model_of(checkpoint, host.files.facts_of(checkpoint), False) for checkpoint in loaded]


def _modules_of(checkpoint: Checkpoint, p: Any, roles: Roles) -> Sequence[str]:
    """The names of the modules that a checkpoint of the job has."""
    own = roles.own.modules if checkpoint.filename == roles.second.filename else None
    return host.vaes.modules(p) if own is None else own


def _refiner(p: Any) -> tuple[Checkpoint | None, str | None]:
    """The job's refiner as the webui will resolve it, or its name if it leads nowhere."""
    name = getattr(p, "refiner_checkpoint", None)
    if name in (None, "", "None", "none"):
        return None, None
    found = host.checkpoints.match(name)
    return found, None if found is not None else name


def _vaes(p: Any, roles: Roles, in_use: Iterable[str]) -> VaeSettings:
    override = host.vaes.named((p.override_settings or {}).get(SETTING))
    chosen, listed = roles.own.vae, host.vaes.files()
    module = _vae_module(p, listed)
    return VaeSettings(
        setting=host.vaes.named(options.in_force(p, SETTING)),
        override=override,
        path=host.options.flag("vae_path"),
        files=listed,
        automatic={file: host.vaes.automatic(file) for file in in_use},
        over_own=host.options.get("sd_vae_overrides_per_model_preferences", False),
        are_modules=host.features.vaes_are_modules(),
        module=module,
        module_facts=None if module is None else remembered(listed[module]),
        facts=None if chosen in VAE_MODES else remembered(sd_vae.vae_dict[chosen]),
    )


def _vae_module(p: Any, listed: Collection[str]) -> str | None:
    """The VAE among the modules of the first pass; None if the hires pass has modules of its own, or there are none."""
    if vars(p).get(HIRES_MODULES) not in (None, [SAME_MODULES]):
        return None
    return next((name for name in host.vaes.modules(p) if name in listed), None)


def _hires(p: Any, page: Mapping[str, Any]) -> Hires:
    stock = vars(p).get("hr_checkpoint_name")
    cfg_left_out, cfg_of_first = host.features.hires_cfg(p)
    return Hires(
        given=vars(p),
        page=page,
        same=features.choices_of_hires_pass(p),
        stock=host.checkpoints.match(stock) if stock and stock != SAME_CHECKPOINT else None,
        latent_upscalers=shared.latent_upscale_modes,
        pixel_upscalers=pixel_upscalers(),
        crossing_upscaler=options.in_force(
            p, our_settings.CROSSING_UPSCALER, our_settings.DEFAULTS[our_settings.CROSSING_UPSCALER]
        ),
        plain_upscaler=host.features.plain_upscaler(),
        defaults_to_latent=bool(shared.latent_upscale_modes),
        cfg_left_out=cfg_left_out,
        cfg_of_first=cfg_of_first,
        modules=host.vaes.modules(p),
        mask_weight=getattr(p, MASK_WEIGHT, options.in_force(p, MASK_WEIGHT, 1)),
        refined=options.in_force(p, REFINER_PASS, SECOND),
        frozen=host.features.vaes_are_modules() and options.is_frozen("sd_model_checkpoint"),
    )


def pixel_upscalers() -> list[str]:
    """The webui's upscalers that work on pixels."""
    return [upscaler.name for upscaler in shared.sd_upscalers if upscaler.name != "None"]


def _has_loras(p: Any) -> bool:
    texts = [text for name in ("prompt", "hr_prompt") for text in _texts(getattr(p, name, ""))]
    return any("<lora:" in text or "<lyco:" in text for text in texts)


def _texts(prompt: Any) -> Iterator[str]:
    listed = [prompt] if isinstance(prompt, str) else prompt or []
    return (text for text in listed if isinstance(text, str))


def model_of(checkpoint: Checkpoint, facts: Facts, with_loras: bool, encoders: int = 0, while_loaded: int = 0) -> Model:
    """A checkpoint as the placement sees it, used once.

    Args:
        checkpoint: the checkpoint.
        facts: what its file is.
        with_loras: whether a job that uses it names LoRAs.
        encoders: bytes of text encoders that it has from modules, and holds alone.
        while_loaded: bytes of those that it holds with others once it is loaded.
    """
    loaded = host.models.loaded_model(checkpoint)
    copies = files.most_copies(facts) if with_loras else 0
    if loaded is not None and copies:
        copies = max(0, copies - host.lora_memory.backup_bytes(loaded))
    split = host.hardware.is_split(facts) if loaded is None else host.parts.is_split(loaded)
    foreign = host.vaes.takes_another(checkpoint, loaded)
    sets = max(1, sum(model.sd_checkpoint_info.filename == checkpoint.filename for model in host.models.loaded()))
    size = host.files.loaded_size(facts, foreign) + encoders
    # The webui copies it where the model lies at that moment: a new one on the device, others in RAM.
    beside = 0 if split or not foreign else size - host.files.loaded_size(facts)
    place = DISK if loaded is None else host.hardware.place_of(loaded)
    return Model(
        checkpoint.filename,
        checkpoint.name_for_extra,
        sets * size,
        sets,
        place=place,
        copies=copies,
        split=split,
        resident=files.resident_size(facts) if split else None,
        beside=beside,
        held=_held(loaded, place, beside),
        at_home=0 if loaded is None else host.fast_swaps.bytes_beside(loaded),
        reading=host.files.read_bytes(checkpoint, facts) + while_loaded,
        reading_vram=facts.file_bytes if host.hardware.files_go_to_the_device() else 0,
    )


def _held(loaded: Any, place: str, beside: int) -> int:
    """Bytes of a loaded model on the device although it lies in RAM."""
    if place != RAM:
        return 0
    vae = next(iter((getattr(loaded, "base_vae", None) or {}).values()), None)
    on_device = vae is not None and vae.device.type == devices.device.type != "cpu"
    return host.parts.held_bytes(loaded) + (beside if on_device else 0)
