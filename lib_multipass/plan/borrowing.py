"""Which checkpoints of a job lack a part, who will lend it, and a sentence for each where nobody can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lib_multipass.memory import missing
from lib_multipass.plan import args as fields
from lib_multipass.plan.crossing import BASE
from lib_multipass.plan.forecast import FACES, FIRST, REFINER, SECOND
from lib_multipass.plan.names import Checkpoint, called
from lib_multipass.plan.situation import Situation
from lib_multipass.words import MultipassError

Roles = Sequence[tuple[str, Checkpoint]]

_LABELS = {FIRST: BASE, SECOND: fields.label("checkpoint"), FACES: fields.label("adetailer"), REFINER: "Refiner"}
_OTHER_VAE = {
    FIRST: "select an SD VAE in the webui's settings",
    SECOND: f"choose a {fields.label('vae')}",
    FACES: "choose a VAE in ADetailer's tab",
    REFINER: "choose another refiner",
}


def borrowed(situation: Situation, roles: Roles, given: Mapping[str, str]) -> list[str]:
    """A sentence for each checkpoint of the job that works with a part of another one.

    Args:
        situation: what stands.
        roles: who makes each pass, in order.
        given: by checkpoint file, the VAE file that the job's settings put on it.

    Raises:
        MultipassError: for one that lacks a part which nobody can lend.
    """
    told, lent = [], set()
    for number, (role, checkpoint) in enumerate(roles):
        if checkpoint.filename in {known.filename for _, known in roles[:number]}:
            continue
        for part in _missing(situation, checkpoint.filename, role):
            lender = next(_able(situation, part, checkpoint, roles, lent), None)
            has_vae = missing.is_vae(part) and checkpoint.filename in given
            refusable = situation.facts[checkpoint.filename].latent or missing.is_diffusion(part)
            if lender is None and not has_vae and refusable:
                raise MultipassError(_refusal(situation, role, checkpoint, part))
            lent.add((checkpoint.filename, part))
            if lender not in (None, checkpoint) and not has_vae:
                told.append(
                    f"{called(checkpoint, [lender])} has no {missing.word(part)} of its own and works with that of "
                    f"{called(lender, [checkpoint])}."
                )
    return list(dict.fromkeys(told))


def _missing(situation: Situation, file: str, role: str) -> Iterator[str]:
    lacks, loaded = situation.facts[file].lacks, file in situation.hollow
    for part in situation.asks.get(file, ()) if loaded else lacks:
        if not loaded or part in situation.hollow[file] or (role != FIRST and part in lacks):
            yield part


def _able(
    situation: Situation, part: str, borrower: Checkpoint, roles: Roles, lent: set[tuple[str, str]]
) -> Iterator[Checkpoint]:
    """Those that can lend it, in the order in which they will be asked: the job's earlier checkpoints come first."""
    facts, all_facts = situation.facts[borrower.filename], situation.facts
    before = [known.filename for _, known in roles].index(borrower.filename)
    for _, known in reversed(roles[:before]):
        if (known.filename, part) in lent and missing.can_lend(part, all_facts[known.filename], facts):
            yield known
        if _has(situation, known, part) and missing.can_lend(part, all_facts[known.filename], facts):
            yield known
    models = [known for known in situation.loaded if _has(situation, known, part)]
    in_files = [*situation.loaded, *situation.recent, *(known for _, known in roles)]
    for lender in (*models, *(known for known in in_files if _file_has(situation, known, part))):
        if lender.filename != borrower.filename and missing.can_lend(part, all_facts[lender.filename], facts):
            yield lender
    if borrower.filename in situation.hollow and _has(situation, borrower, part):
        yield borrower


def _has(situation: Situation, checkpoint: Checkpoint, part: str) -> bool:
    """Whether it could give the part: its model if it is loaded, else its file."""
    hollow = situation.hollow.get(checkpoint.filename)
    return _file_has(situation, checkpoint, part) if hollow is None else part not in hollow


def _file_has(situation: Situation, checkpoint: Checkpoint, part: str) -> bool:
    return missing.file_has(checkpoint.filename, part, situation.facts[checkpoint.filename])


def _refusal(situation: Situation, role: str, checkpoint: Checkpoint, part: str) -> str:
    facts = situation.facts[checkpoint.filename]
    name, word = f"{_LABELS[role]}: {checkpoint.name}", missing.word(part)
    if missing.is_diffusion(part):
        return f"{name} has no {word} that this webui can read; choose a whole checkpoint."
    kind = facts.latent if missing.is_vae(part) else facts.architecture
    cure = _OTHER_VAE[role] if missing.is_vae(part) else f"choose a checkpoint that holds its {word}"
    return f"{name} has no {word}, and no {kind} checkpoint is at hand that could lend its own; {cure}."
