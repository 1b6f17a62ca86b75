"""The hires controls of the webui's page, and the values that they show at first."""

from __future__ import annotations

from typing import Any

HIRES_CONTROLS = {
    "txt2img_denoising_strength": "denoising_strength",
    "txt2img_hr_scale": "hr_scale",
    "txt2img_hr_upscaler": "hr_upscaler",
    "txt2img_hr_cfg": "hr_cfg",
}
_controls: dict[str, Any] = {}


def remember(component: Any, elem_id: str | None) -> None:
    """Keep the hires controls of a page that is being built; their ``value`` follows the user's ui-config.json."""
    if elem_id in HIRES_CONTROLS:
        _controls[HIRES_CONTROLS[elem_id]] = component


def hires_defaults() -> dict[str, Any]:
    """Values that the page shows at first for the hires pass, by name of the job's attribute; empty without a page."""
    return {name: component.value for name, component in _controls.items() if component.value is not None}
