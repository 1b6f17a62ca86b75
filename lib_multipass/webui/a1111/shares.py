"""Jobs that the extension Distributed shares with other webuis.

Its script holds a ``world`` with the shares of the running job and with what each webui answered when it was asked for
its scripts, so nobody is asked again (stable-diffusion-webui-distributed 2.3.0).
"""

from __future__ import annotations

from typing import Any

from lib_multipass import NAME


def _world(p: Any) -> Any:
    """What Distributed knows of this job; None without it, if it is off, and before its own hook has run."""
    scripts = getattr(getattr(p, "scripts", None), "alwayson_scripts", None) or ()
    sharing = (script for script in scripts if getattr(getattr(script, "world", None), "p", None) is p)
    # Asked for last: other scripts may have no title.
    return next((script.world for script in sharing if script.title() == "Distribute"), None)


def are_sent(p: Any) -> bool:
    """Whether the shares of a job went out with its fields as they were until now."""
    return _world(p) is not None


def made_without(p: Any) -> list[str]:
    """The labels of other webuis that made pictures of a job, as far as Distributed knows without Multipass."""
    world = _world(p)
    jobs = [] if world is None else world.jobs
    return [job.worker.label for job in jobs if job.gallery_map and not _has_us(job.worker)]


def _has_us(worker: Any) -> bool:
    """Whether it sends our arguments there: it goes by the titles of scripts, in small letters."""
    return NAME.lower() in [title.lower() for title in worker.supported_scripts.get("txt2img", ())]
