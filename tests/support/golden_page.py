"""The page as a browser has it: its components by their ids, and the function behind the hidden button of the line."""

from __future__ import annotations

import re
from typing import Any

WATCHED = {
    "txt2img_prompt": "prompt",
    "hires_prompt": "hr_prompt",
    "txt2img_width": "width",
    "txt2img_height": "height",
    "txt2img_batch_size": "batch_size",
    "txt2img_hr-checkbox": "enable_hr",
    "txt2img_hr_scale": "hr_scale",
    "txt2img_hr_resize_x": "hr_resize_x",
    "txt2img_hr_resize_y": "hr_resize_y",
    "txt2img_hr_upscaler": "hr_upscaler",
}
"""Fields of a job by the ids of the webui's components."""
PANEL, ASK, OVERRIDES = "script_multipass_", "script_multipass_ask", "txt2img_override_settings"

SEEN = re.compile(r'<div class="multipass-drawing".*</div>(?=<p)| class="multipass-spoken"')
"""What stands beside the sentences and is hidden from screen readers; and what hides a sentence from others."""


class Page:
    """One page, built anew."""

    def __init__(self, host) -> None:
        self.host = host
        host.scripts.scripts_txt2img.infotext_fields = []  # of pages that were built before
        demo = host.ui.create_ui()
        self.blocks = demo.blocks
        by_id = {getattr(block, "elem_id", None): number for number, block in demo.blocks.items()}
        number, asked = next(
            (number, found)
            for number, found in enumerate(demo.dependencies)
            if by_id[ASK] in found["targets"] and found["inputs"]
        )
        self._update, self._inputs = demo.fns[number].fn, [demo.blocks[known] for known in asked["inputs"]]

    def panel(self) -> list[Any]:
        """The components of our panel."""
        return [block for block in self.blocks.values() if (getattr(block, "elem_id", None) or "").startswith(PANEL)]

    def line(self, p: Any, ours: list, faces: list) -> str:
        """The line for a job that would be started from this page."""
        values = [component.value for component in self._inputs]
        ids = [component.elem_id for component in self._inputs]
        given = {elem_id: getattr(p, name) for elem_id, name in WATCHED.items()}
        given |= dict(zip((control.elem_id for control in self.host.script().controls), ours, strict=True))
        given[OVERRIDES] = list(self._overrides(p))
        values = [given.get(elem_id, value) for elem_id, value in zip(ids, values, strict=True)]
        values[len(values) - len(faces) :] = faces
        return SEEN.sub("", self._update(*values)[0])

    def _overrides(self, p: Any) -> Any:
        for name, value in p.override_settings.items():
            known = self.host.shared.opts.data_labels.get(name)
            if known is not None and known.infotext:
                yield f"{known.infotext}: {value}"
