"""What the second pass has of its own, VAE, CFG scale and clip skip, and what ADetailer takes over from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any

from lib_multipass.plan.args import (
    AUTOMATIC_VAE,
    LONGEST_NAME,
    NO_VAE,
    SAME_MODULES,
    SAME_VAE,
    VAE_MODES,
    PassArgs,
    label,
    listed,
    short,
    written,
)
from lib_multipass.plan.names import plain, quoted
from lib_multipass.words import MultipassError, nearest_names

_SAME = (None, "", "Use same sampler", "Use same scheduler")
"""What the page and API requests give for a sampler or scheduler that is the first pass's."""


@dataclass(frozen=True)
class SecondPass:
    """What the second pass has of its own; the defaults leave everything as in the first."""

    vae: str = SAME_VAE
    """A text of ``VAE_MODES`` or the name of one of the webui's VAE files."""
    cfg_scale: float | None = None
    clip_skip: int | None = None
    """Which of the text encoder's layers, counted from the last as 1, makes the conditioning."""
    modules: tuple[str, ...] | None = None
    """Its VAE and text encoders, where they are modules and were chosen as a list; ``vae`` is the VAE among them."""

    @property
    def choice(self) -> str:
        """What was chosen for the VAE, as the field's text."""
        return self.vae if self.modules is None else written(self.modules)


def second_pass(args: PassArgs, vaes: Iterable[str], modules: Iterable[str] | None = None) -> SecondPass:
    """The settings of the second pass.

    Args:
        args: the user's settings.
        vaes: the names of the webui's VAE files.
        modules: the names of its VAE and text encoder files, where they are modules.

    Raises:
        MultipassError: for a VAE that is not there, a name that means several, or a list that this webui cannot have.
    """
    vae, chosen = _choice(args.vae, list(vaes), None if modules is None else list(modules))
    return SecondPass(vae, args.cfg_scale or None, args.clip_skip or None, chosen)


def resolve_choice(query: str, vaes: Iterable[str], modules: Iterable[str] | None = None) -> str:
    """The field's text with the names that the webui has for the files; see :func:`second_pass`."""
    return second_pass(PassArgs(vae=query), vaes, modules).choice


def _choice(query: str, vaes: list[str], modules: list[str] | None) -> tuple[str, tuple[str, ...] | None]:
    names = listed(query)
    if names is None:
        return resolve_vae(query, vaes), None
    if not names:
        return NO_VAE, None if modules is None else ()
    texts = {name: _mode(name) for name in names}
    others = [name for name, text in texts.items() if text is None]
    if not others and len(texts) == 1:
        return texts[names[0]] or SAME_VAE, None
    if [*filter(None, texts.values())] == [SAME_VAE] and len(others) == 1:
        return resolve_vae(others[0], vaes), None  # the first pass's modules, with this VAE
    if len(others) < len(texts):
        said = f"{short(names)} says {SAME_MODULES!r}, {AUTOMATIC_VAE!r} or {NO_VAE!r} beside others"
        raise MultipassError(f"{label('vae')}: {said}; only one VAE may stand beside {SAME_MODULES!r}.")
    if modules is not None:
        chosen = tuple(dict.fromkeys(_file(name, modules, "VAE or text encoder") for name in others))
        own = [name for name in chosen if name in vaes]
        return own[-1] if own else NO_VAE, chosen
    if len(others) > 1:
        raise MultipassError(f"{label('vae')}: {short(names)} are {len(others)} files; this webui takes one VAE.")
    return resolve_vae(others[0], vaes), None


def as_list(text: str) -> list[str]:
    """The field's text as the list that means the same."""
    names = listed(text)
    if names is not None or text == SAME_VAE:
        return [SAME_MODULES] if names is None else names
    return [text] if text in VAE_MODES else [SAME_MODULES, text]


def _mode(text: str) -> str | None:
    """The text of ``VAE_MODES`` that this is."""
    modes = {mode.casefold(): mode for mode in VAE_MODES} | {SAME_MODULES.casefold(): SAME_VAE, "": SAME_VAE}
    return modes.get(text.strip().casefold())


def resolve_vae(query: str, known: Iterable[str]) -> str:
    """The VAE file that a name means, as the webui names it, or the text of ``VAE_MODES``; never a guess.

    Case and extension need not be as in the file's name; the exact name goes first.

    Raises:
        MultipassError: when nothing fits or several do, with the nearest names.
    """
    known, text = list(known), query.strip()
    return text if text in known else _mode(text) or _file(query, known)


def _file(query: str, known: list[str], kind: str = "VAE") -> str:
    text = query.strip()
    if text in known:
        return text
    name = PureWindowsPath(text).name.casefold()
    for fits in (lambda file: file.casefold() == name, lambda file: plain(file) == plain(name)):
        found = list(filter(fits, known))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(sorted(found))
            raise MultipassError(
                f"{label('vae')}: {quoted(query)} means {len(found)} files ({names}); give one of these."
            )
    raise MultipassError(f"{label('vae')}: {absent_vae(query, known, kind)}.")


def absent_vae(query: str, known: Iterable[str], kind: str = "VAE") -> str:
    """What to say of a name that leads to no VAE file: that it does not, and the nearest names; no whole sentence."""
    near = _nearest(PureWindowsPath(query[-LONGEST_NAME:].strip()).name, list(known), kind)
    return f"there is no {kind} {quoted(query)}; {near}"


def _nearest(name: str, known: list[str], kind: str) -> str:
    by_name = {plain(file): file for file in known}
    near = nearest_names(plain(name), by_name)
    if near:
        return "the nearest are " + ", ".join(by_name[one] for one in near)
    return "refresh the list if the file is new" if known else f"the webui has no {kind} files at all"


def lasting_vae(wanted: str, setting: str, own: Collection[str | None], follows: bool) -> bool:
    """Whether a checkpoint can have ``wanted`` for the whole job instead of in the hires pass alone.

    That saves a change of VAE before and after every hires pass. It is right only if no ADetailer tab on this
    checkpoint then gets another VAE than it asks for.

    Args:
        wanted: the VAE.
        setting: the webui's *SD VAE* in this job.
        own: the VAE that each of these tabs sets for itself, None where a tab leaves it open.
        follows: whether the tabs that leave it open take the hires pass's.
    """
    return all(follows if vae is None else vae == wanted or vae != setting for vae in own)


def own_field(own: float | None, given: float | None, left_out: float | None, same: float = 0.0) -> float:
    """The value of a webui's own field for the hires pass's CFG scale.

    Args:
        own: the second pass's CFG scale, which goes first.
        given: the field as it is; 0 is the first pass's.
        left_out: its value in a request that does not name it; nobody has chosen that one.
        same: its value for the first pass's.
    """
    return own or (None if given == left_out else given) or same


@dataclass(frozen=True)
class Finish:
    """What the hires pass is made with; None for what is as in the first pass or cannot be handed on."""

    prompt: str | None = None
    negative_prompt: str | None = None
    cfg_scale: float | None = None
    sampler: str | None = None
    scheduler: str | None = None
    clip_skip: int | None = None
    vae: str | None = None


def finish(job: Mapping[str, Any], own: SecondPass, clip_skip: int, vae: str | None) -> Finish:
    """What of the hires pass differs from the first.

    Args:
        job: the fields of the webui's job by name.
        own: the second pass's settings.
        clip_skip: the first pass's.
        vae: the second pass's VAE if ADetailer can be given it.
    """
    cfg_scale = own.cfg_scale or job.get("hr_cfg") or None
    sampler, scheduler = (_differing(job, f"hr_{name}", name) for name in ("sampler_name", "scheduler"))
    if scheduler is not None and sampler is None:
        sampler = job.get("sampler_name")
    return Finish(
        prompt=_differing(job, "hr_prompt", "prompt"),
        negative_prompt=_differing(job, "hr_negative_prompt", "negative_prompt"),
        cfg_scale=cfg_scale if cfg_scale != job.get("cfg_scale") else None,
        sampler=sampler,
        scheduler=scheduler,
        clip_skip=own.clip_skip if own.clip_skip != clip_skip else None,
        vae=vae,
    )


def _differing(job: Mapping[str, Any], name: str, first: str) -> str | None:
    value = job.get(name)
    if isinstance(value, list):  # a prompt per picture; a tab of ADetailer has one
        value = value[0] if value and value.count(value[0]) == len(value) else None
    return None if value in _SAME or value == job.get(first) else value
