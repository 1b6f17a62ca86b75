"""What a LoRA file is made for, by its header.

The names are those of kohya's sd-scripts, LyCORIS and diffusers; the metadata those of sd-scripts and SAI's model spec.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_multipass.memory.architectures import LIKE_FLUX
from lib_multipass.memory.headers import FLUX, REFINER, SD1, SD2, SD3, SDXL, UNKNOWN, tensors_and_metadata

_known: dict[str, tuple[tuple[int, int], str]] = {}


def made_for(path: str | os.PathLike[str]) -> str:
    """The architecture that a LoRA file is made for, read once while the file stays the same.

    ``UNKNOWN`` for everything that does not say so in its header, pickles among them.
    """
    key = os.fspath(path)
    try:
        status = Path(key).stat()
    except (OSError, ValueError):
        return UNKNOWN
    state = (status.st_size, status.st_mtime_ns)
    if _known.get(key, (None,))[0] != state:
        _known[key] = (state, architecture(*tensors_and_metadata(key)))
    return _known[key][1]


def architecture(tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """What a LoRA's tensors fit, or else what its trainer wrote down.

    The names are those of kohya's sd-scripts, LyCORIS and diffusers; the metadata those of sd-scripts
    (``ss_base_model_version``, before SDXL only ``ss_v2``) and of SAI's model spec.
    """
    return _from_names(tensors) or _from_widths(tensors) or _from_metadata(metadata) or UNKNOWN


def fits(kind: str, wanted: str) -> bool:
    """Whether a LoRA that is made for ``kind`` may do something in a checkpoint of the architecture ``wanted``."""
    return kind in (UNKNOWN, wanted) or (kind == FLUX and wanted in LIKE_FLUX)


_NAMES = (
    (FLUX, ("double_blocks", "single_blocks", "single_transformer_blocks")),
    (SD3, ("joint_blocks",)),
    (SDXL, ("lora_te2_", "text_encoder_2")),
)
"""Parts of names that only one architecture has; the first that is found counts, SD 3 has a second encoder too."""
_WIDTHS = {768: SD1, 1024: SD2, 2048: SDXL, 1280: REFINER}
"""What cross-attention takes: the width of the text encoders together."""
_INPUTS = (".lora_down.weight", ".lora_A.weight", ".lora.down.weight", ".hada_w1_b", ".lora_A.default.weight")
_VERSIONS = (
    ("sdxl_", SDXL),
    ("sd_v1", SD1),
    ("sd_v2", SD2),
    ("sd3", SD3),
    ("flux", FLUX),
    ("stable-diffusion-xl-", SDXL),
    ("stable-diffusion-v1", SD1),
    ("stable-diffusion-v2", SD2),
    ("stable-diffusion-3", SD3),
)


def _from_names(tensors: Mapping[str, Any]) -> str | None:
    for kind, parts in _NAMES:
        if any(part in name for name in tensors for part in parts):
            return kind
    return None


def _from_widths(tensors: Mapping[str, Any]) -> str | None:
    """By what a cross-attention's key takes, in the names of all trainers ``…attn2.to_k`` or ``…attn2_to_k``."""
    for name, entry in tensors.items():
        layer = next((name[: -len(end)] for end in _INPUTS if name.endswith(end)), "")
        if layer.endswith(("attn2.to_k", "attn2_to_k", "attn2.to_v", "attn2_to_v")):
            shape = entry.get("shape") if isinstance(entry, Mapping) else None
            if isinstance(shape, list) and len(shape) > 1:
                return _WIDTHS.get(shape[1]) if type(shape[1]) is int else None
    return None


def _from_metadata(metadata: Mapping[str, Any]) -> str | None:
    for key in ("ss_base_model_version", "modelspec.architecture"):
        text = str(metadata.get(key, "")).lower()
        found = next((kind for start, kind in _VERSIONS if text.startswith(start)), None)
        if text:
            return found
    return {"True": SD2, "False": SD1}.get(str(metadata.get("ss_v2")))
