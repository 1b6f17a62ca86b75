"""The first step in this webui: the hooks that work in it, and all that has to be installed."""

from __future__ import annotations

from types import ModuleType

from lib_multipass.host import features, off


def start(extension: str) -> tuple[ModuleType, ModuleType]:
    """Install everything, or in a webui that Multipass cannot work in, nothing.

    The modules that the webui's own ones are imported in are imported here, once it is known that they can be.

    Args:
        extension: name of this extension's folder.

    Returns:
        the modules of the hooks of a job, and of those of the page.
    """
    reason = features.why_off()
    if reason is None:
        try:
            from lib_multipass.host import api, axes, job, page, patches
        except (ImportError, AttributeError) as error:  # a fork that lacks what nobody has foreseen
            reason = features.off_without(f"something ({error})")
        else:
            page.add_settings()
            api.install()
            axes.install()
            patches.install(extension)
            return job, page
    off.because(reason)
    return off, off
