"""Where the miniature is another than the webui that it stands for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from support.contract import Signature, Sources, bindings, parse

# What came to the host after 1.6.0, with which release: names and their members, or a parameter of theirs.
SINCE = {
    "modules.options.OptionInfo(category_id)": "1.7.0",
    "modules.api.api.Api.apply_infotext": "1.8.0",
    "modules.api.api.Api.init_script_args(input_script_args)": "1.8.0",
    "modules.devices.fp8": "1.8.0",
    "modules.infotext_utils": "1.8.0",
    "modules.scripts.PostSampleArgs": "1.8.0",
    "modules.scripts.Script.controls": "1.8.0",
    "modules.scripts.*.on_mask_blend": "1.8.0",
    "modules.scripts.*.post_sample": "1.8.0",
    "modules.scripts.*.postprocess_maskoverlay": "1.8.0",
    "modules.scripts.*.postprocess_image_after_composite": "1.8.0",
    "modules.sd_models.reload_model_weights(forced_reload)": "1.8.0",
    "modules.shared_state.State.stopping_generation": "1.8.0",
    "modules.processing_scripts.sampler": "1.9.0",
    "modules.script_callbacks.on_*(name)": "1.9.0",
    "modules.scripts.*.process_before_every_sampling": "1.10.0",
}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def too_new(name: str, version: tuple[int, ...]) -> bool:
    newer = (pattern for pattern, since in SINCE.items() if numbers(since) > version)
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*") for pattern in newer)


def public_names(root: Path) -> Iterator[str]:
    """The public names of a ``modules`` package: functions, classes, values, and the members of classes."""
    for file in sorted(root.glob("modules/**/*.py")):
        module = ".".join(part for part in file.relative_to(root).with_suffix("").parts if part != "__init__")
        yield from names_in(module, parse(file).body)


def names_in(owner: str, body: list[ast.stmt]) -> Iterator[str]:
    for name, node in bindings(body).items():
        if not name.startswith("_") and not isinstance(node, (ast.Import, ast.ImportFrom)):
            yield f"{owner}.{name}"
            if isinstance(node, ast.ClassDef):
                yield from names_in(f"{owner}.{name}", node.body)


def departures(miniature: Path, host: Sources, version: tuple[int, ...]) -> list[str]:
    """Where the miniature webui is not like the host."""
    small = Sources(miniature)
    found = (departure(name, small, host, version) for name in public_names(miniature))
    return [line for line in found if line]


def departure(name: str, small: Sources, host: Sources, version: tuple[int, ...]) -> str | None:
    here, there = small.find(name), host.find(name)
    if there is None:
        return None if too_new(name, version) else f"{name} does not exist there"
    ours, hosts = small.signature(here), host.signature(there)
    if ours is None or hosts is None:
        return None
    difference = unlike(ours.without(lambda parameter: too_new(f"{name}({parameter})", version)), hosts)
    return f"{name} {difference}" if difference else None


def unlike(ours: Signature, hosts: Signature) -> str | None:
    """How a stand-in for a host function differs; it may only lack optional parameters at the end."""
    if ours.positional != hosts.positional[: len(ours.positional)]:
        return f"takes ({', '.join(hosts.positional)}), not ({', '.join(ours.positional)})"
    missing = hosts.required - {*ours.positional, *ours.keyword_only}
    if missing:
        return f"also needs {', '.join(sorted(missing))}"
    if (ours.takes_more and not hosts.takes_more) or (ours.takes_any_keyword and not hosts.takes_any_keyword):
        return "does not take whatever it is given"
    unknown = ours.keyword_only - {*hosts.positional, *hosts.keyword_only}
    if unknown and not hosts.takes_any_keyword:
        return f"has no parameter {', '.join(sorted(unknown))}"
    easier = hosts.required - ours.required
    return f"cannot do without {', '.join(sorted(easier))}" if easier else None
