"""Before a job: which of its checkpoints lack a part, who will lend it, and a sentence for each where nobody can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lib_multipass import args as fields
from lib_multipass import missing
from lib_multipass.checkpoints import Checkpoint
from lib_multipass.forecast import FACES, FIRST, REFINER, SECOND
from lib_multipass.headers import Facts
from lib_multipass.host import cache, files, lending, vaes
from lib_multipass.host.crossing import BASE
from lib_multipass.host.lending import Lender
from lib_multipass.messages import MultipassError
from lib_multipass.plan import Plan

_LABELS = {FIRST: BASE, SECOND: fields.label("checkpoint"), FACES: fields.label("adetailer"), REFINER: "Refiner"}
_OTHER_VAE = {
    FIRST: "select an SD VAE in the webui's settings",
    SECOND: f"choose a {fields.label('vae')}",
    FACES: "choose a VAE in ADetailer's tab",
    REFINER: "choose another refiner",
}


def given_vaes(p: Any, plan: Plan, in_use: Sequence[Checkpoint]) -> dict[str, str]:
    """By checkpoint file, the VAE file that the job's settings put on it, if any."""
    found = {checkpoint.filename: vaes.given(p, plan, checkpoint) for checkpoint in in_use}
    return {file: vae for file, vae in found.items() if vae}


def notes(p: Any, plan: Plan, roles: Sequence[tuple[str, Checkpoint]]) -> list[str]:
    """A sentence for each checkpoint of the job that works with a part of another one.

    Raises:
        MultipassError: for one that lacks a part which nobody can lend.
    """
    given, told, borrowed = given_vaes(p, plan, [known for _, known in roles]), [], set()
    for number, (role, checkpoint) in enumerate(roles):
        if checkpoint.filename in {known.filename for _, known in roles[:number]}:
            continue
        for part in _missing(checkpoint, role):
            lender = next(_able(part, checkpoint, roles, borrowed), None)
            has_vae = missing.is_vae(part) and checkpoint.filename in given
            refusable = files.facts_of(checkpoint).latent or missing.is_diffusion(part)
            if lender is None and not has_vae and refusable:
                raise MultipassError(_refusal(role, checkpoint, part))
            borrowed.add((checkpoint.filename, part))
            if lender not in (None, checkpoint) and not has_vae:
                told.append(
                    f"{checkpoint.name_for_extra} has no {missing.word(part)} of its own and works with that of "
                    f"{lender.name_for_extra}."
                )
    return list(dict.fromkeys(told))


def _missing(checkpoint: Checkpoint, role: str) -> Iterator[str]:
    facts, model = files.facts_of(checkpoint), cache.loaded_model(checkpoint)
    for part in lending.parts_to_ask_for(checkpoint) if model is not None else facts.lacks:
        if model is None or lending.is_hollow(model, part) or (role != FIRST and part in facts.lacks):
            yield part


def _able(
    part: str, borrower: Checkpoint, roles: Sequence[tuple[str, Checkpoint]], borrowed: set[tuple[str, str]]
) -> Iterator[Checkpoint]:
    """Those that can lend it, in the order in which they will be asked: the job's earlier checkpoints come first."""
    facts = files.facts_of(borrower)
    earlier = [known for _, known in roles[: [known.filename for _, known in roles].index(borrower.filename)]][::-1]
    for known in earlier:
        if (known.filename, part) in borrowed and missing.can_lend(part, files.facts_of(known), facts):
            yield known
        model = cache.loaded_model(known)
        if Lender(known, model).can_lend(part, facts):
            yield known
    others = [*lending.lenders(borrower.filename), *(Lender(known) for _, known in roles)]
    for lender in others:
        if lender.info.filename != borrower.filename and lender.can_lend(part, facts):
            yield lender.info
    if (model := cache.loaded_model(borrower)) is not None and not lending.is_hollow(model, part):
        yield borrower


def _refusal(role: str, checkpoint: Checkpoint, part: str) -> str:
    facts: Facts = files.facts_of(checkpoint)
    name, word = f"{_LABELS[role]}: {checkpoint.name}", missing.word(part)
    if missing.is_diffusion(part):
        return f"{name} has no {word} that this webui can read; choose a whole checkpoint."
    kind = facts.latent if missing.is_vae(part) else facts.architecture
    cure = _OTHER_VAE[role] if missing.is_vae(part) else f"choose a checkpoint that holds its {word}"
    return f"{name} has no {word}, and no {kind} checkpoint is at hand that could lend its own; {cure}."
