"""What a checkpoint file is, read from its header alone: no tensor is loaded and no pickle is opened.

Which tensor names make which architecture is what the webui itself goes by (``modules/sd_models.py`` and
``modules/sd_models_config.py``, 1.6.0 to 1.10.1).
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lib_multipass.memory import header_text
from lib_multipass.memory.architectures import (  # noqa: F401 - told with the facts
    FLUX,
    LATENTS,
    MARKS,
    REFINER,
    SD1,
    SD2,
    SD3,
    SDXL,
    UNKNOWN,
    architecture_of,
    dimension,
)
from lib_multipass.memory.header_text import HeaderError, Kind, UnreadHeaderError
from lib_multipass.memory.missing import DIFFUSION_MODEL, lacking

CHECKPOINT, DIFFUSION_ALONE, VAE_ALONE, LORA = "checkpoint", "diffusion model alone", "VAE", "LoRA"

DIFFUSION, TEXT, T5, VAE, CONDITIONING, OTHER = "diffusion", "text", "t5", "vae", "conditioning", "other"
"""Components. ``t5`` is SD 3's third text encoder; ``conditioning`` the depth network or image encoder of some SD 2.x;
``other`` what the webui leaves out, above all averaged weights (``model_ema``)."""


@dataclass(frozen=True)
class Facts:
    """What is known about a file."""

    file_bytes: int
    """Size of the file; 0 if it cannot be found."""
    architecture: str = UNKNOWN
    """``SD1`` … ``FLUX`` or ``UNKNOWN``."""
    kind: str = UNKNOWN
    """``CHECKPOINT``, ``DIFFUSION_ALONE``, ``VAE_ALONE``, ``LORA`` or ``UNKNOWN``, as for every ``.ckpt``."""
    inpainting: bool = False
    """Whether the diffusion model's first convolution takes 9 channels: latent, mask and masked latent."""
    parameters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Numbers of elements by component and dtype; empty if the header was not read."""
    matrices: Mapping[str, int] = field(default_factory=dict)
    """Numbers of elements by component that are weights of linear layers and convolutions."""
    latent_channels: int | None = None
    """Channels of a latent picture: 4 for SD and SDXL, 16 for SD 3 and Flux; None without a VAE's decoder."""
    lacks: tuple[str, ...] = ()
    """The parts that a checkpoint of its architecture needs and the file does not hold, see :mod:`missing`."""
    takes_picture: bool = False
    """Whether it takes a picture besides the latent one: for inpainting, depth or editing."""
    layout: int = 0
    """Equal for diffusion models with the same tensors in the same shapes, within one run of Python."""
    problem: str | None = None
    """A sentence that says why the file could not be read."""

    @property
    def latent(self) -> str | None:
        """Name of the latent space, if the architecture is known."""
        return LATENTS.get(self.architecture)


_known: dict[str, tuple[tuple[int, int], Facts]] = {}


def remembered(path: str | os.PathLike[str]) -> Facts:
    """``read_facts``, but a file is read again only when its size or time of change differs."""
    key = os.fspath(path)
    state = state_of(key)
    if state is None:
        _known.pop(key, None)
        return read_facts(key)
    known = _known.get(key)
    if known is None or known[0] != state:
        known = _known[key] = (state, read_facts(key))
    return known[1]


def state_of(path: str) -> tuple[int, int] | None:
    """A file's size and time of change, which tell whether it is still the same; None if it cannot be found."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def read_facts(path: str | os.PathLike[str]) -> Facts:
    """Read a file's header. A file that cannot be read or does not make sense gives facts with a ``problem``.

    Of one whose header is too long to be read here, and of a ``.ckpt``, only the size is known.
    """
    path = Path(path)
    size = 0
    try:
        status = path.stat()
        # Opening a pipe or a device may wait for ever.
        if not stat.S_ISREG(status.st_mode):
            return Facts(size, problem="It is not a file.")
        size = status.st_size
        if path.suffix.lower() != ".safetensors":
            return Facts(size)
        return _facts_of_header(size, *header_text.read(path, size))
    except (UnreadHeaderError, MemoryError):  # the webui may load the file all the same
        return Facts(size)
    except HeaderError as error:
        return Facts(size, problem=str(error))
    except (OSError, ValueError) as error:  # ValueError: a name that the system refuses
        return Facts(size, problem=f"The file cannot be read: {getattr(error, 'strerror', None) or error}.")


def tensors_and_metadata(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Each tensor's ``{"shape": [...]}`` by name, and the metadata; both empty if they cannot be read."""
    path = Path(path)
    try:
        if path.suffix.lower() != ".safetensors" or not path.is_file():
            return {}, {}
        text, data_bytes = header_text.read(path, path.stat().st_size)
        tensors = header_text.tensors_of(text, data_bytes)
        return {name: {"shape": list(kind.shape)} for name, kind in tensors.items()}, header_text.metadata_of(text)
    except (HeaderError, UnreadHeaderError, OSError, ValueError, MemoryError):
        return {}, {}


_layouts: dict[bytes, Facts] = {}
_MOST_LAYOUTS = 256


def _facts_of_header(size: int, text: str, data_bytes: int) -> Facts:
    """Most checkpoints of a folder have the same tensors at the same places: each such layout is taken apart once."""
    layout = header_text.layout(text, data_bytes)
    known = _layouts.get(layout)
    if known is None:
        known = facts_from(size, header_text.tensors_of(text, data_bytes))
        if len(_layouts) >= _MOST_LAYOUTS:
            _layouts.clear()
        _layouts[layout] = known
    return replace(known, file_bytes=size)


def facts_from(file_bytes: int, tensors: Mapping[str, Kind]) -> Facts:
    """What a checkpoint with these tensors, by name, is."""
    if not tensors:
        return Facts(file_bytes)
    prefix = _diffusion_prefix(tensors)
    parts = [name.partition(".")[0] for name in tensors]
    kind, homes = _kind(tensors, set(parts), prefix)
    parameters, matrices = _sums(tensors, parts, homes)
    channels = next(filter(None, (dimension(tensors, name, 1) for name in _FIRST_OF_DECODER)), None)
    architecture = UNKNOWN if prefix is None else architecture_of(tensors, prefix)
    taken = None if prefix is None else dimension(tensors, prefix + _FIRST_CONVOLUTION, 1)
    return Facts(
        file_bytes,
        architecture,
        kind,
        inpainting=taken == 9,
        takes_picture=taken in _WITH_PICTURE,
        parameters=parameters,
        matrices=matrices,
        latent_channels=channels,
        lacks=lacking(tensors, architecture),
        layout=hash(
            frozenset((name, kind.shape) for name, kind in tensors.items() if name.startswith(DIFFUSION_MODEL))
        ),
    )


def _sums(
    tensors: Mapping[str, Kind], parts: list[str], homes: Mapping[str, str]
) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """The numbers of elements for ``Facts.parameters`` and ``Facts.matrices``.

    A checkpoint has thousands of tensors but only hundreds that differ in what counts here.
    """
    if "text_encoders" in parts:
        parts = [_T5 if name.startswith(_T5) else part for name, part in zip(tensors, parts, strict=True)]
    ends = [name[-len(_EMBEDDING) :] for name in tensors]
    parameters: dict[str, dict[str, int]] = {}
    matrices: dict[str, int] = {}
    for (part, end, kind), times in Counter(zip(parts, ends, tensors.values(), strict=True)).items():
        home, count = homes.get(part, OTHER), times * kind.count
        known = parameters.setdefault(home, {})
        known[kind.dtype] = known.get(kind.dtype, 0) + count
        # Embeddings are tables, and attention's in_proj_weight belongs to no linear layer of its own.
        if len(kind.shape) > 1 and end.endswith(".weight") and end != _EMBEDDING:
            matrices[home] = matrices.get(home, 0) + count
    return parameters, matrices


_FIRST_CONVOLUTION = "input_blocks.0.0.weight"
_WITH_PICTURE = (5, 8, 9)
"""Channels of the first convolution for four of a latent picture, and a depth map, a picture, or a masked picture."""
DECODER = "decoder.conv_in.weight"
"""The first convolution of a VAE's decoder in a file of its own."""
_FIRST_OF_DECODER = (DECODER, f"first_stage_model.{DECODER}")
_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "net.", "")
"""Before the names of a diffusion model: in a checkpoint, then as files with a diffusion model alone have it."""
_HOMES = {
    "model": DIFFUSION,
    **dict.fromkeys(("cond_stage_model", "conditioner", "text_encoders"), TEXT),
    "text_encoders.t5": T5,
    **dict.fromkeys(("first_stage_model", "vae"), VAE),
    **dict.fromkeys(("depth_model", "embedder", "noise_augmentor"), CONDITIONING),
}
"""The component of a tensor by the first part of its name."""
_VAE_PARTS = ("encoder", "decoder", "quant_conv", "post_quant_conv")
_T5 = "text_encoders.t5"
_EMBEDDING = "embedding.weight"
_QUANTISED = ".qweight"
_LORA_MARKS = (".lora_", ".hada_", ".lokr_", ".oft_")


def _diffusion_prefix(tensors: Mapping[str, Kind]) -> str | None:
    marks = (_FIRST_CONVOLUTION, *MARKS)
    return next((prefix for prefix in _PREFIXES if any(prefix + mark in tensors for mark in marks)), None)


def _kind(tensors: Mapping[str, Kind], parts: set[str], prefix: str | None) -> tuple[str, Mapping[str, str]]:
    """What kind of file it is, and the component by the first part of a tensor's name."""
    homes = _HOMES
    if prefix in _PREFIXES[1:]:
        homes = {**dict.fromkeys(parts, DIFFUSION), **_HOMES}
    elif parts.issuperset(("encoder", "decoder")) and "shared" not in parts:  # T5 has `shared` beside them
        homes = {**dict.fromkeys(_VAE_PARTS, VAE), **_HOMES}
    present = {homes[part] for part in parts if part in homes}
    if DIFFUSION in present:
        return CHECKPOINT if present & {TEXT, VAE} else DIFFUSION_ALONE, homes
    if any(name.endswith(_QUANTISED) for name in tensors):
        return UNKNOWN, homes  # Nunchaku's checkpoints hold what was lost in quantising as a LoRA beside each layer
    if any(name.startswith(("lora_", "lycoris_")) or any(mark in name for mark in _LORA_MARKS) for name in tensors):
        return LORA, homes
    return VAE_ALONE if present == {VAE} else UNKNOWN, homes
