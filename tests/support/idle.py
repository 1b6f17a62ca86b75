"""What a Multipass job has for itself while it runs, as it is between jobs."""

from __future__ import annotations

from typing import Any


def idle_state(host: Any) -> dict[str, Any]:
    """What belongs to one job alone and has to be as between jobs; asked for in the webui's process.

    Args:
        host: the webui's modules by name.
    """
    from lib_multipass.host import (
        ahead,
        cache,
        control,
        first_pass,
        gauge,
        infotext,
        lending,
        networks,
        patches,
        progress,
        running,
        second_pass,
    )

    opts, state = vars(type(host.shared.opts)), host.shared.state
    return {
        "running": running.job(),
        "first_pass._sampling": first_pass._sampling,
        "second_pass._vaes": second_pass._vaes,
        "second_pass._in_hires_pass": second_pass._in_hires_pass,
        "lending": (lending._job, lending._before, lending._swapping),
        "control._owner": control._owner,
        "networks._tags": networks._tags,
        "infotext._told": infotext._told,
        "progress._told": progress._told,
        "ahead._next": ahead._next,
        "ahead._reader": ahead._reader.path,
        "gauge._latest": gauge._latest,
        "patches._journal": patches._journal,
        "cache._room": cache._room,
        "properties": sorted(name for name, value in opts.items() if isinstance(value, property)),
        "sample_to_image": host.sd_samplers.sample_to_image,
        "skip": host.sd_models.SkipWritingToConfig.skip,
        "text": state.textinfo,
        "job": state.job,
        "wrapped": {f"{owner.__name__}.{name}": getattr(owner, name) for owner, name, _ in patches._wrapped()},
    }
