"""What a Multipass job has for itself while it runs, as it is between jobs."""

from __future__ import annotations

from typing import Any


def idle_state(host: Any) -> dict[str, Any]:
    """What belongs to one job alone and has to be as between jobs; asked for in the webui's process.

    Args:
        host: the webui's modules by name.
    """
    from lib_multipass.state import kept, running
    from lib_multipass.webui import wrapping

    wrapped = host.patches.originals[wrapping.KEY]
    opts, state = vars(type(host.shared.opts)), host.shared.state
    return {
        "running": {name: value for name, value in vars(running).items() if not name.startswith("_")},
        "room": kept.room,
        "properties": sorted(name for name, value in opts.items() if isinstance(value, property)),
        "sample_to_image": host.sd_samplers.sample_to_image,
        "skip": _skips(host.sd_models),
        "text": state.textinfo,
        "job": state.job,
        "wrapped": {f"{owner.__name__}.{name}": getattr(owner, name) for owner, name in wrapped},
    }


def _skips(sd_models: Any) -> bool:
    """Whether the webui notes no checkpoint in its settings for now; Forge Neo knows no such time."""
    return hasattr(sd_models, "SkipWritingToConfig") and sd_models.SkipWritingToConfig.skip
