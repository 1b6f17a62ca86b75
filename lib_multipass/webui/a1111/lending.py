"""Checkpoints whose files lack a VAE or a text encoder, and who lends it to them in a Multipass job.

By hand, at the webui's default limit, such a file is loaded over the model that is active, whose own VAE and text
encoder stay. A model that is built for it beside the others has zeros there (:mod:`lib_multipass.memory.missing`).
So the state dict gets these tensors from the checkpoint that was active before it, as they are there now; where that
one is of another kind, from the last one of its kind that was active, in memory or in its file.

A model that is kept gets them again when another checkpoint comes before it; the first pass's keeps what it has.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from modules import processing, sd_models, sd_vae

from lib_multipass.memory import missing
from lib_multipass.memory.headers import Facts
from lib_multipass.plan.names import Checkpoint
from lib_multipass.state import kept, running
from lib_multipass.webui.a1111 import files, forge_models, lora_memory, models
from lib_multipass.words import MultipassError, log

Tensors = dict[str, torch.Tensor]
_FIRST_STAGE = "first_stage_model."
_MOST_RECENT = 16
_MADE_EMPTY = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.MultiheadAttention)


@contextmanager
def swapping(to: Checkpoint | None) -> Iterator[None]:
    """Around a swap: in a job, the wanted model gets what it lacks, if it is loaded already.

    Args:
        to: the checkpoint that the webui was told to swap to; None for the selected one.
    """
    outer = running.before, running.is_swapping
    active = sd_models.model_data.sd_model
    running.before, active, running.is_swapping = active and weakref.ref(active), None, True
    try:
        if running.job is not None:
            _mend(to or sd_models.select_checkpoint())
        yield
        if sd_models.model_data.sd_model is not None:
            _note(sd_models.model_data.sd_model.sd_checkpoint_info)
    finally:
        running.before, running.is_swapping = outer


def _active_before() -> Any:
    return None if running.before is None else running.before()


def _note(info: Checkpoint) -> None:
    if not kept.recent or kept.recent[0].filename != info.filename:
        kept.recent[:] = [info, *(known for known in kept.recent if known.filename != info.filename)][:_MOST_RECENT]


@dataclass(frozen=True)
class Lender:
    """A checkpoint that might lend a part: a loaded model, or a file."""

    info: Checkpoint
    model: Any = None

    def can_lend(self, part: str, borrower: Facts) -> bool:
        """Whether it has the part, and the part means the same in the other one."""
        facts = files.facts_of(self.info)
        if not missing.can_lend(part, facts, borrower):
            return False
        if self.model is not None:
            return not is_hollow(self.model, part)
        return missing.file_has(self.info.filename, part, facts)

    def key(self, part: str) -> tuple:
        """Changes with what the lent tensors are."""
        vae = getattr(self.model, "loaded_vae_file", None) if missing.is_vae(part) else None
        return self.info.filename, vae, kept.lent.get(self.info.filename, {}).get(part)

    def tensors(self, part: str) -> Tensors:
        """The part's tensors by their names in a file."""
        if self.model is not None:
            return {name: t for name, t in lora_memory.own_tensors(self.model) if name.startswith(part)}
        from safetensors import safe_open

        with safe_open(self.info.filename, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys() if name.startswith(part)}  # noqa: SIM118


def lenders(borrower: str) -> Iterator[Lender]:
    """All that may be asked, in this order, for the checkpoint with this file: what is loaded, then files."""
    loaded = [model for model in (_active_before(), *sd_models.model_data.loaded_sd_models) if model is not None]
    asked = [Lender(model.sd_checkpoint_info, model) for model in loaded]
    asked += [Lender(model.sd_checkpoint_info) for model in loaded]
    asked += [Lender(info) for info in (*kept.recent, *_in_use())]
    return (lender for lender in asked if lender.info.filename != borrower)


def parts_to_ask_for(info: Checkpoint, facts: Facts) -> tuple[str, ...]:
    """The parts that a loaded model of this file might not have; of a ``.ckpt`` nobody knows before it was read."""
    return facts.lacks if files.tells(info) else missing.needed(facts.architecture)


def asks_for_text_encoder(info: Checkpoint | None) -> bool:
    """Whether a model of this checkpoint might have no text encoder of its own; None is the selected one."""
    info = info or sd_models.select_checkpoint()
    parts = parts_to_ask_for(info, files.facts_of(info))
    return not all(missing.is_vae(part) or missing.is_diffusion(part) for part in parts)


def is_hollow(model: Any, part: str) -> bool:
    """Whether a loaded model has no such part, or nothing but zeros in the layers that the webui makes without values.

    Those are all linear layers and convolutions; embeddings and norms have what they begin with
    (``InitializeOnMeta``, 1.6.0 to 1.10.1).
    """
    try:
        module = model.get_submodule(part.rstrip("."))
    except AttributeError:
        return True
    made = (layer for layer in module.modules() if isinstance(layer, _MADE_EMPTY))
    weights = (weight for layer in made for weight in layer.parameters(recurse=False) if weight.dim() > 1)
    return not any(not weight.is_meta and bool(_comparable(weight).any()) for weight in weights)


def _comparable(weight: torch.Tensor) -> torch.Tensor:
    """torch cannot look into an fp8 tensor; its bits are zero where it is."""
    return weight.detach().view(torch.uint8) if weight.element_size() == 1 else weight.detach()


def forget(info: Checkpoint) -> None:
    """A checkpoint is loaded as the webui does it."""
    kept.lent.pop(info.filename, None)


def completed(info: Checkpoint, state: Tensors, cached: bool) -> Tensors:
    """What is loaded for a checkpoint: its file's tensors, and those that it lacks.

    Args:
        info: the checkpoint.
        state: its file's tensors, as the webui names them; not changed.
        cached: whether it is from the webui's own cache of state dicts, which holds what was lent before.

    Raises:
        MultipassError: for a checkpoint of the running job to which nobody can lend what it lacks.
    """
    facts = files.facts_of(info) if files.tells(info) else files.facts_of_state(state)
    before = tuple(kept.lent.pop(info.filename, ())) if cached else ()
    state = {name: tensor for name, tensor in state.items() if not name.startswith(before)} if before else state
    forget(info)
    for part in missing.lacking(state, facts.architecture):
        lender = next((one for one in lenders(info.filename) if one.can_lend(part, facts)), None)
        if lender is not None:
            state = {**state, **lender.tensors(part)}
            _remember(info, part, lender)
        elif missing.is_vae(part) and _given(info):
            state = {**state, **_of_vae_file(_given(info), part)}
        elif info.filename in {known.filename for known in _in_use()} and facts.latent:
            raise MultipassError(
                f"{info.name} holds no {missing.word(part)}, and no checkpoint that is loaded can lend it one."
            )
    return state


def _in_use() -> Sequence[Checkpoint]:
    return running.job.plan.in_use if running.job is not None else ()


def _given(info: Checkpoint) -> str | None:
    return running.job.plan.given_vaes.get(info.filename) if running.job is not None else None


def _of_vae_file(path: str, part: str) -> Tensors:
    tensors = {f"{_FIRST_STAGE}{name}": tensor for name, tensor in sd_vae.load_vae_dict(path, "cpu").items()}
    return {name: tensor for name, tensor in tensors.items() if name.startswith(part)}


def _remember(info: Checkpoint, part: str, lender: Lender) -> None:
    kept.lent.setdefault(info.filename, {})[part] = lender.key(part)
    log.info("%s has no %s of its own and takes that of %s", info.name, missing.word(part), lender.info.name)
    if not missing.is_vae(part):
        _forget_conditionings()


def _forget_conditionings() -> None:
    """The webui keeps encoded prompts by the names of their checkpoints, from job to job."""
    txt2img = processing.StableDiffusionProcessingTxt2Img
    for name in ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc"):
        getattr(txt2img, name)[:] = [None, None]


def _mend(info: Checkpoint | None) -> None:
    """Give a loaded model what it has never had, or has from another checkpoint than the one before it now.

    One of reForge that was loaded without a part has no place for it, so it is loaded anew, with what is lent.
    """
    model = models.loaded_model(info)
    if forge_models.is_one(model) and not all(_has_place(model, part) for part in files.facts_of(info).lacks):
        models.read_anew(model)
        return
    for part in () if model is None else parts_to_ask_for(info, files.facts_of(info)):
        hollow = is_hollow(model, part)
        asked = lenders(info.filename) if hollow else _who_was_before(info)
        lender = next((one for one in asked if one.can_lend(part, files.facts_of(info))), None)
        if lender is not None and (hollow or kept.lent.get(info.filename, {}).get(part) != lender.key(part)):
            _put(model, part, lender.tensors(part))
            _remember(info, part, lender)
        elif hollow and lender is None and missing.is_vae(part) and _given(info):
            _put(model, part, _of_vae_file(_given(info), part))


def _has_place(model: Any, part: str) -> bool:
    return isinstance(getattr(model, part.partition(".")[0], None), torch.nn.Module)


def _who_was_before(info: Checkpoint) -> list[Lender]:
    """The model that is active before a later pass's; the first pass's keeps what it has."""
    first, before = running.job.plan.in_use[0].filename, _active_before()
    if before is None or info.filename in (first, before.sd_checkpoint_info.filename) or not files.tells(info):
        return []
    return [Lender(before.sd_checkpoint_info, before)]


def _put(model: Any, part: str, tensors: Tensors) -> None:
    """Write tensors over a model's own. A parked one with a VAE of the settings on it has its own in a copy."""
    own = getattr(model, "base_vae", None)
    if missing.is_vae(part) and getattr(model, "loaded_vae_file", None) is not None and own:
        model.base_vae = {
            **own,
            **{name.removeprefix(_FIRST_STAGE): tensor.clone() for name, tensor in tensors.items()},
        }
        return
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if missing.plain(name) in tensors:
                tensor.copy_(tensors[missing.plain(name)])
    lora_memory.forget_copies(model.get_submodule(part.rstrip(".")))
