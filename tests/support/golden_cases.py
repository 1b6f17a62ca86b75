"""The cases of the golden record: a job's arguments and fields, as plain values that know nothing of our modules.

In texts, ``{beta}`` stands for the first ten digits of that checkpoint's hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from itertools import combinations
from typing import Any

from support.golden_jobs import JOBS
from support.golden_memory import KEEPING
from support.golden_renders import RENDERS

FIELDS = (
    *("enabled", "checkpoint", "adetailer", "vae", "cfg_scale", "clip_skip", "adetailer_follows", "keep"),
    "show_first_pass",
)
FACE = {"ad_model": "face_yolov8n.pt"}


@dataclass(frozen=True)
class Case:
    """One job; what is empty is as the miniature has it."""

    args: Any = field(default_factory=dict)
    """Multipass's arguments: by name, on top of the panel's with the tick on, or the list as it is sent."""
    job: dict[str, Any] = field(default_factory=dict)
    """Fields of ``p``."""
    faces: list[dict] = field(default_factory=list)
    """ADetailer's tabs."""
    options: dict[str, Any] = field(default_factory=dict)
    """The webui's settings."""
    flags: dict[str, Any] = field(default_factory=dict)
    """The webui's command line."""
    axes: dict[str, Any] = field(default_factory=dict)
    """Values that a plot's axes put on a copy of the job, by label."""
    loaded: list[str] = field(default_factory=list)
    """Second-pass checkpoints of jobs that ran before, with the settings in force."""
    vram: float | None = None
    """GB of a pretended device."""
    ram: float = 64
    """GB of RAM."""
    render: bool = False
    """Whether pictures are made; else only the hooks before them run."""
    how: str = ""
    """What else is special about it: ``pieces``, ``twice``, ``interrupted``, ``fails``."""

    def given(self) -> dict[str, Any]:
        """What is not empty, for the record."""
        plain = Case()
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(plain, name)}


NAMES = [
    *("beta", "BETA", " beta ", "Beta.CKPT", "alpha", "bet", "a"),
    *("renamed [{beta}]", "{beta}", "beta [0123456789]", "one\\twin.safetensors", "twin", "win"),
    *("alpah", "nowhere at all", "", "x" * 1001, "x" * 90, 5, None, ["beta"]),
    *("old", "two", "large", "refine", "three", "flux"),
    *("no-vae", "no-text", "no-unet", "a-lora", "a-vae", "cut", "no-header"),
]
VALUES = {
    "enabled": [True, False, None, "yes", 1],
    "checkpoint": NAMES,
    "adetailer": [
        *("Same as second pass", "Same as first pass", "As set in ADetailer", "same as first pass", "Gamma"),
        *("alpah", "twin", "", "large", "a-lora", 7, None),
    ],
    "vae": [
        *("Use same VAE", "Automatic", "None", "none", "OTHER", "folder/other.safetensors", "othre"),
        *("wide", "broken", "a-checkpoint", "", 3, None),
        *(["OTHER"], [], ["None"], ["other", "wide"], ["othre"], ["other", 3]),
    ],
    "cfg_scale": [4, 4.5, 7.0, 30, 30.5, -1, float("nan"), float("inf"), "high", True, None],
    "clip_skip": [1, 2, 13, -1, 2.0, 2.5, "2", True, None],
    "adetailer_follows": [True, False, None, "no", 0],
    "keep": ["In VRAM", "In RAM", "As the webui is set", "automatic", "", 3, None],
    "show_first_pass": [True, False, None, 1],
}
AIMED = {"adetailer", "adetailer_follows", "vae", "cfg_scale", "clip_skip"}
"""Fields that ADetailer's tabs follow."""

LISTS = {
    "nothing": [],
    "ticked alone": [True],
    "an empty object": [{}],
    "an object": [{"checkpoint": "beta"}],
    "an object with all": [
        {
            **{"enabled": True, "checkpoint": "beta", "adetailer": "gamma", "vae": "other", "cfg_scale": 3},
            **{"clip_skip": 2, "adetailer_follows": False, "keep": "In RAM", "show_first_pass": True},
        }
    ],
    "an object with null": [{"checkpoint": "beta", "vae": None, "enabled": None}],
    "an object that is off": [{"checkpoint": "beta", "enabled": False}],
    "an unknown key": [{"checkpoint": "beta", "chekpoint": "x"}],
    "a key that is no word": [{"": 1}],
    "an object out of range": [{"checkpoint": "beta", "cfg_scale": 31}],
    "an object of the wrong type": [{"checkpoint": 5}],
    "a list in it": [[]],
    "a name first": ["beta"],
    "off and wrong": [False, 5, 5, 5],
    "too many": [
        *(True, "beta", "Same as second pass", "Use same VAE", 0, 0, True, "Automatic", False),
        *("more", 7),
    ],
}

DIMENSIONS = {
    "checkpoint": ["beta", "alpha", "large", "old", "nowhere"],
    "adetailer": ["Same as second pass", "Same as first pass", "As set in ADetailer", "gamma"],
    "vae": ["Use same VAE", "Automatic", "None", "other"],
    "cfg_scale": [0.0, 4.0],
    "clip_skip": [0, 2],
    "adetailer_follows": [True, False],
    "keep": ["Automatic", "In RAM", "As the webui is set"],
    "show_first_pass": [False, True],
    "enable_hr": [True, False],
    "hr_upscaler": [None, "Latent", "Lanczos"],
    "prompt": ["a cat", "a cat <lora:style:1>"],
    "hr_prompt": ["", "a dog"],
    "override_settings": [
        *({}, {"sd_model_checkpoint": "gamma"}, {"sd_vae": "other.safetensors"}, {"CLIP_stop_at_last_layers": 2}),
        {"sd_model_checkpoint": "large", "sd_vae": "None"},
    ],
    "refiner_checkpoint": [None, "gamma"],
    "faces": [
        *([], [FACE], [{**FACE, "ad_use_checkpoint": True, "ad_checkpoint": "gamma"}]),
        *([{**FACE, "ad_use_vae": True, "ad_vae": "other.safetensors"}], [FACE, {**FACE, "ad_prompt": "a face"}]),
    ],
}


def pairwise(dimensions: dict[str, list]) -> list[dict[str, Any]]:
    """Rows in which every value of one dimension meets every value of each other one; the same ones every time."""
    names = list(dimensions)
    open_pairs = {
        (one, i, other, j): None
        for one, other in combinations(names, 2)
        for i in range(len(dimensions[one]))
        for j in range(len(dimensions[other]))
    }
    rows = []
    while open_pairs:
        one, i, other, j = next(iter(open_pairs))
        row = {one: i, other: j}
        for name in names:
            if name not in row:
                gains = [_gain(name, k, row, names, open_pairs) for k in range(len(dimensions[name]))]
                row[name] = gains.index(max(gains))
        for first, second in combinations(names, 2):
            open_pairs.pop((first, row[first], second, row[second]), None)
        rows.append({name: dimensions[name][row[name]] for name in names})
    return rows


def _gain(name: str, k: int, row: dict[str, int], names: list[str], open_pairs: dict) -> int:
    """How many open pairs this value closes with those that are chosen already."""
    place = names.index(name)
    pairs = ((name, k, o, v) if place < names.index(o) else (o, v, name, k) for o, v in row.items())
    return sum(pair in open_pairs for pair in pairs)


def of_fields() -> dict[str, Case]:
    """Each field alone, and the other forms that the arguments may have."""
    found = {}
    for name, values in VALUES.items():
        for value in values:
            faces = [FACE] if name in AIMED else []
            found[f"{name} = {value!r:.60}"] = Case({"checkpoint": "beta", name: value}, faces=faces)
    return found | {f"as a list: {name}": Case(args) for name, args in LISTS.items()}


def of_pairs() -> dict[str, Case]:
    """Every two values of two fields together in some job."""
    found = {}
    for number, row in enumerate(pairwise(DIMENSIONS), 1):
        args = {name: value for name, value in row.items() if name in FIELDS}
        job = {name: value for name, value in row.items() if name not in (*FIELDS, "faces")}
        found[f"pairs {number:02}"] = Case(args, job, row["faces"])
    return found


def groups() -> dict[str, dict[str, Case]]:
    """All cases by name, by the file that they stand in."""
    return {
        "fields": of_fields(),
        "pairs": of_pairs(),
        "jobs": {name: Case(**given) for name, given in JOBS.items()},
        "memory": {name: Case(**given) for name, given in KEEPING.items()},
        "renders": {name: Case(**given, render=True) for name, given in RENDERS.items()},
    }
