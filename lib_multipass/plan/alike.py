"""What a pass is made from, told apart from what acts later.

A stage is taken from memory only when it would be made from exactly the same. So everything counts that is not on a
list here: a field, a setting or a script that nobody has thought of makes a stage anew, and never a wrong picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

LATER_FIELDS = frozenset(
    (
        # The hires pass, and what comes after it.
        *("enable_hr", "denoising_strength", "latent_scale_mode", "truncate_x", "truncate_y", "restore_faces"),
        *("applied_old_hires_behavior_to", "color_corrections", "overlay_images", "paste_to", "token_merging_ratio_hr"),
        # Where and under what name pictures are saved, and who made them.
        *("outpath_samples", "outpath_grids", "do_not_save_samples", "do_not_save_grid", "user", "is_api"),
        *("extra_generation_params", "comments", "sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash"),
        *("force_task_id", "batch_index", "txt2img_upscale"),
        # Texts and seeds before they are those of the batch; the settings, which are looked at themselves.
        *("prompt", "negative_prompt", "prompt_for_display", "main_prompt", "main_negative_prompt", "styles"),
        *("seed", "subseed", "n_iter", "iteration", "override_settings", "override_settings_restore_afterwards"),
        *("do_not_reload_embeddings", "seed_enable_extras"),
        # What is made from the others.
        *("scripts_value", "script_args_value", "scripts_setup_complete", "sampler", "rng", "c", "uc", "sd_model"),
        *("latents_after_sampling", "pixels_after_sampling"),  # of all pictures so far, in reForge and Neo
        *("refiner_checkpoint_info", "is_hr_pass"),
    )
)
"""Fields of the webui's job that reach no first pass but through something that is looked at besides (1.6.0 to
1.10.1)."""
LATER_PREFIXES = ("hr_", "all_", "cached_", "_ad_", "_multipass")
"""How the names of others begin."""
HIRES_FIELDS = frozenset(
    (
        *("enable_hr", "denoising_strength", "latent_scale_mode", "truncate_x", "truncate_y", "token_merging_ratio_hr"),
        "is_hr_pass",
    )
)
"""Of these, the ones that reach the second pass, as does what begins with ``hr_``."""
HANDED_FIELDS = frozenset(("hr_checkpoint_name", "hr_checkpoint_info", "hr_c", "hr_uc"))
"""Of those that begin so, what is looked at besides: the checkpoint's file counts, and what the sampler is handed."""
LATER_OPTIONS = frozenset(
    (
        *("sd_model_checkpoint", "sd_checkpoint_hash"),  # change at every swap; the checkpoint's file counts instead
        *("sd_checkpoints_limit", "sd_checkpoints_keep_in_cpu", "sd_checkpoint_cache", "sd_vae_checkpoint_cache"),
    )
)
"""Settings by which a model is kept, and not what it makes."""
LATER_OPTION_PREFIXES = ("ad_", "multipass_")
"""How the names of ADetailer's and our own begin, also while they have no section."""
LATER_SECTIONS = frozenset(
    ("saving-images", "saving-paths", "saving-to-dirs", "upscaling", "face-restoration", "ADetailer")
)
"""Sections of the Settings page with nothing in them that reaches a first pass."""
ACT_THROUGH_THE_JOB = frozenset(("prompt_matrix.py", "prompts_from_file.py"))
"""The webui's own selectable scripts that change fields and settings of their jobs, and nothing else."""

DERIVED_FIELDS = frozenset(("step_multiplier", "firstpass_steps", "is_using_inpainting_conditioning"))
"""Fields that each batch sets anew while its texts are encoded and its sampler is made."""

_MOST_PIECES, _DEEPEST = 100_000, 12


class UnlikeError(Exception):
    """Something cannot be compared with what it was in another job; the message says where it is."""


def fields_that_act(fields: Mapping[str, Any], subseed_acts: bool, in_hires: bool = False) -> dict[str, Any]:
    """The fields of a job that one of its passes may be made from.

    Args:
        fields: all fields by name.
        subseed_acts: whether variation seeds have any strength; they are random in each job otherwise.
        in_hires: whether the pass is the second one.
    """
    later = LATER_FIELDS if subseed_acts else LATER_FIELDS | {"subseeds"}
    prefixes = LATER_PREFIXES
    if in_hires:
        later, prefixes = (later - HIRES_FIELDS) | HANDED_FIELDS, LATER_PREFIXES[1:]
    return {name: value for name, value in fields.items() if name not in later and not name.startswith(prefixes)}


def options_that_act(sections: Mapping[str, Any]) -> Iterator[str]:
    """The settings that a first pass may be made from.

    Args:
        sections: by name of the setting, its section; None for one that the webui does not know any more.
    """
    return (
        name
        for name, section in sections.items()
        if name not in LATER_OPTIONS and section not in LATER_SECTIONS and not name.startswith(LATER_OPTION_PREFIXES)
    )


def fingerprint(value: Any, raw: Callable[[Any], tuple[str, bytes] | None]) -> str:
    """A key that is the same for values that say the same.

    Args:
        value: plain values, lists, dicts and objects of them, in each other.
        raw: for tensors and pictures what they are and their bytes, and None for anything else.

    Raises:
        UnlikeError: for what cannot be compared, such as functions, or has too much in it.
    """
    digest = hashlib.sha256()
    for number, piece in enumerate(_pieces(value, raw, ())):
        if number > _MOST_PIECES:
            raise UnlikeError("it has too much in it")
        digest.update(len(piece).to_bytes(8, "little"))
        digest.update(piece)
    return digest.hexdigest()


def _pieces(value: Any, raw: Callable[[Any], tuple[str, bytes] | None], way: tuple[str, ...]) -> Iterator[bytes]:
    if len(way) > _DEEPEST:
        raise UnlikeError(".".join(way))
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, Enum, PurePath)):
        yield f"{name} {value!r}".encode("utf-8", "surrogatepass")
    elif (known := raw(value)) is not None:
        yield known[0].encode()
        yield known[1]
    else:
        inside = _inside(value, way)
        yield f"{name} {len(inside)}".encode()
        for key, within in inside:
            yield from _pieces(key, raw, (*way, "a key"))
            yield from _pieces(within, raw, (*way, str(key)[:40]))


def _inside(value: Any, way: tuple[str, ...]) -> list[tuple[Any, Any]]:
    """What a value consists of."""
    if isinstance(value, Mapping):
        return sorted(value.items(), key=lambda item: repr(item[0]))
    if isinstance(value, (list, tuple)):
        return [*enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return [(repr(known), None) for known in _sorted(value)]
    if callable(value) or not hasattr(value, "__dict__"):
        raise UnlikeError(".".join((*way, type(value).__name__)))
    return sorted(vars(value).items())


def _sorted(values: Iterable[Any]) -> list[Any]:
    return sorted(values, key=repr)


class Noting(dict):
    """A dict that notes what is written into it, also what was there already."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.written: dict[str, Any] = {}
        """By key, in the order of the first writing."""

    def __setitem__(self, key: str, value: Any) -> None:
        self.written[key] = value
        super().__setitem__(key, value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As a dict's."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As a dict's."""
        if key not in self:
            self[key] = default
        return self[key]

    def __ior__(self, other: Any) -> Noting:
        self.update(other)
        return self


def is_plain(value: Any) -> bool:
    """Whether a value can be kept without anything of the job that it is from."""
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What is in one and was not in the other, in its order."""
    nothing = object()
    return {name: value for name, value in after.items() if _differs(before.get(name, nothing), value)}


def _differs(one: Any, other: Any) -> bool:
    if one is other:
        return False
    return not (is_plain(one) and is_plain(other) and type(one) is type(other) and one == other)
