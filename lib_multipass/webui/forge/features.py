"""What Forge Neo has that differs."""

from __future__ import annotations

from typing import Any

from modules import shared

from lib_multipass.plan.crossing import PIXEL_UPSCALER
from lib_multipass.plan.hires import HIRES_CFG
from lib_multipass.webui.base import host


def beyond() -> set[str]:
    """Architectures that this webui cannot load: it tells by itself what it knows, and says so."""
    return set()


def plain_upscaler() -> str:
    """The upscaler on pixels that needs no model: ``None`` resizes as Lanczos, where that is not listed."""
    return PIXEL_UPSCALER if any(one.name == PIXEL_UPSCALER for one in shared.sd_upscalers) else "None"


def refines_hires_jobs() -> bool:
    """None does: the webui leaves it out, with a word in its console (``apply_refiner``)."""
    return False


def hires_cfg(p: Any) -> tuple[Any, float]:
    """What ``hr_cfg`` is where nobody has chosen it, and what it is for the first pass's CFG scale.

    A request without it gets that of the job's class.
    """
    begins = getattr(type(p), HIRES_CFG, None) if getattr(p, "is_api", False) else _begins_on_page()
    return begins, getattr(p, "cfg_scale", 0.0)


def _begins_on_page() -> Any:
    """What the page's slider has at first: by the chosen preset, whose setting has a default, or its own.

    A setting of 0 leaves the slider as it is (``on_preset_change``).
    """
    name = f"{getattr(shared.opts, 'forge_preset', '')}_t2i_{HIRES_CFG}"
    setting = shared.opts.data_labels.get(name)
    if setting is not None and getattr(shared.opts, name) > 0:
        return setting.default
    return host.controls.hires_defaults().get(HIRES_CFG)


def vaes_are_modules() -> bool:
    """VAEs are modules here, as text encoders are."""
    return True
