"""What this webui has: its checkpoint files, and what is loaded where. Only reads, and takes no lock."""

from __future__ import annotations

from typing import Any

from lib_multipass import __version__
from lib_multipass.api import schema
from lib_multipass.memory.placement import DISK
from lib_multipass.plan.crossing import require_checkpoint
from lib_multipass.plan.names import Checkpoint, called
from lib_multipass.state import kept
from lib_multipass.webui import host
from lib_multipass.words import MultipassError


def facts() -> list[schema.CheckpointAnswer]:
    """Every checkpoint that the webui lists, by name. Headers are read once while a file stays the same."""
    places = {file: host.hardware.place_of(model) for file, model in _loaded().items()}
    known = sorted(host.checkpoints.known(), key=lambda checkpoint: checkpoint.name.casefold())
    return [_facts_of(checkpoint, places.get(checkpoint.filename, DISK)) for checkpoint in known]


def _facts_of(checkpoint: Checkpoint, place: str) -> schema.CheckpointAnswer:
    facts = host.files.facts_of(checkpoint)
    return schema.CheckpointAnswer(
        name=checkpoint.name,
        title=checkpoint.title,
        hash=checkpoint.shorthash,
        sha256=checkpoint.sha256,
        architecture=facts.architecture,
        kind=facts.kind,
        inpainting=facts.inpainting,
        parameters={component: sum(counts.values()) for component, counts in facts.parameters.items()},
        dtypes=sorted({dtype for counts in facts.parameters.values() for dtype in counts}),
        file_bytes=facts.file_bytes,
        loaded_bytes=host.files.loaded_size(facts),
        place=place,
        problem=_problem(checkpoint),
    )


def _problem(checkpoint: Checkpoint) -> str | None:
    try:
        require_checkpoint("Checkpoint", checkpoint.name, host.files.facts_of(checkpoint))
    except MultipassError as error:
        return error.detail
    return None


def now() -> schema.StateAnswer:
    """What is kept where."""
    decision = kept.decision
    places = decision.places if decision else {}
    active = host.swaps.active_model()
    selected = host.checkpoints.by_alias(host.options.get("sd_model_checkpoint"))
    device = host.hardware.vram() or (None, None)
    models = _loaded()
    infos = [model.sd_checkpoint_info for model in models.values()]
    loaded = [
        schema.LoadedAnswer(
            checkpoint=called(model.sd_checkpoint_info, infos),
            place=host.hardware.place_of(model),
            bytes=host.files.loaded_size(host.files.facts_of(model.sd_checkpoint_info)),
            active=model is active,
            kept=places.get(file, ""),
        )
        for file, model in models.items()
    ]
    return schema.StateAnswer(
        version=__version__,
        busy=host.status.is_busy(),
        selected=selected.title if selected else None,
        keeping=decision is not None,
        limit=host.models.users_limit(),
        loaded=loaded,
        memory=schema.FreeMemory(vram_free=device[0], vram_total=device[1], ram_free=host.hardware.ram_free()),
    )


def _loaded() -> dict[str, Any]:
    """The loaded models by file; a job in another thread may just be making or emptying one, which has none then."""
    models = host.models.loaded()
    whole = ((getattr(model, "sd_checkpoint_info", None), model) for model in models)
    return {info.filename: model for info, model in whole if info is not None}
