"""What Forge Neo has that differs."""

from __future__ import annotations

from typing import Any

from modules import shared

from lib_multipass.plan.crossing import PIXEL_UPSCALER


def beyond() -> set[str]:
    """Architectures that this webui cannot load: it tells by itself what it knows, and says so."""
    return set()


def plain_upscaler() -> str:
    """The upscaler on pixels that needs no model: ``None`` resizes as Lanczos, where that is not listed."""
    return PIXEL_UPSCALER if any(one.name == PIXEL_UPSCALER for one in shared.sd_upscalers) else "None"


def hires_cfg(p: Any) -> tuple[Any, float]:
    """What ``hr_cfg`` is where nobody has chosen it, and what it is for the first pass's CFG scale.

    The page sends 1 for a slider that nobody has touched, so whatever it has counts as left out.
    """
    return getattr(p, "hr_cfg", None), getattr(p, "cfg_scale", 0.0)


def vaes_are_modules() -> bool:
    """VAEs are modules here, as text encoders are."""
    return True
