"""What a checkpoint file is, read from its header alone: no tensor is loaded and no pickle is opened.

A ``.safetensors`` file begins with the length of its header (8 bytes, unsigned, little-endian), then comes the header
(JSON: an object of ``{"dtype", "shape", "data_offsets"}`` by tensor name, and texts under ``__metadata__``), then the
data without holes; see https://github.com/huggingface/safetensors. Which tensor names make which architecture is what
the webui itself goes by (``modules/sd_models.py`` and ``modules/sd_models_config.py``, 1.6.0 to 1.10.1).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import prod
from operator import mul, sub
from pathlib import Path
from typing import Any, NoReturn

SD1, SD2, SDXL, REFINER, SD3, FLUX = "SD 1.x", "SD 2.x", "SDXL", "SDXL refiner", "SD 3", "Flux"
UNKNOWN = "unknown"
LATENTS = {SD1: "SD", SD2: "SD", SDXL: "SDXL", REFINER: "SDXL", SD3: "SD 3", FLUX: "Flux"}
"""The latent space of each architecture; a latent picture means something only within its own."""

CHECKPOINT, DIFFUSION_ALONE, VAE_ALONE, LORA = "checkpoint", "diffusion model alone", "VAE", "LoRA"

DIFFUSION, TEXT, T5, VAE, CONDITIONING, OTHER = "diffusion", "text", "t5", "vae", "conditioning", "other"
"""Components. ``t5`` is SD 3's third text encoder; ``conditioning`` the depth network or image encoder of some SD 2.x;
``other`` what the webui leaves out, above all averaged weights (``model_ema``)."""

BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
"""Bits of one element by dtype."""

LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""
_MOST_DIMENSIONS = 64


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
    problem: str | None = None
    """A sentence that says why the file could not be read."""

    @property
    def latent(self) -> str | None:
        """Name of the latent space, if the architecture is known."""
        return LATENTS.get(self.architecture)

    def stored_bytes(self, component: str) -> int:
        """Bytes of a component in the file."""
        return sum(count * BITS[dtype] for dtype, count in self.parameters.get(component, {}).items()) // 8


class _HeaderError(Exception):
    """The header cannot be true; the message is the sentence for ``Facts.problem``."""


_known: dict[str, tuple[tuple[int, int], Facts]] = {}


def remembered(path: str | os.PathLike[str]) -> Facts:
    """``read_facts``, but a file is read again only when its size or time of change differs."""
    key = os.fspath(path)
    try:
        status = Path(key).stat()
    except (OSError, ValueError):
        _known.pop(key, None)
        return read_facts(key)
    state = (status.st_size, status.st_mtime_ns)
    known = _known.get(key)
    if known is None or known[0] != state:
        known = _known[key] = (state, read_facts(key))
    return known[1]


def read_facts(path: str | os.PathLike[str]) -> Facts:
    """Read a file's header. A file that cannot be read or does not make sense gives facts with a ``problem``."""
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
        return _facts(size, *_header(path, size))
    except _HeaderError as error:
        return Facts(size, problem=str(error))
    except OSError as error:
        return Facts(size, problem=f"The file cannot be read: {error.strerror or error}.")
    except (ValueError, MemoryError) as error:  # a name that the system refuses; a header too large to take apart
        return Facts(size, problem=f"The file cannot be read: {error or 'it does not fit into memory'}.")


def _header(path: Path, size: int) -> tuple[dict[str, Any], int]:
    """The tensors' entries by name, and the number of bytes that follow the header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise _HeaderError("The file ends within its header; it is cut off or not a safetensors file.")
        if length > LONGEST_HEADER:
            raise _HeaderError(f"The header claims {length:,} bytes, more than the format allows.")
        raw = file.read(length)
    try:
        text = raw.decode("utf-8")
        header = json.loads(text, parse_float=_refuse, parse_constant=_refuse)
        # Two tensors of one name are forbidden by the format, but JSON readers keep the second without a word.
        if isinstance(header, dict) and raw.count(b'"data_offsets"') != len(header) - ("__metadata__" in header):
            json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise _HeaderError("The header is not JSON as safetensors files have it.") from None
    if not isinstance(header, dict) or not isinstance(header.pop("__metadata__", None), dict | None):
        raise _HeaderError("The header is not an object of tensors.")
    return header, size - 8 - length


def _refuse(number: str) -> NoReturn:
    raise ValueError(number)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _facts(size: int, header: dict[str, Any], data_bytes: int) -> Facts:
    if not header:
        return Facts(size)
    try:
        dtypes, shapes, counts = _columns(header, data_bytes)
    except (KeyError, TypeError, ValueError):
        raise _HeaderError("The header describes a tensor in a way that the format does not know.") from None
    prefix = _diffusion_prefix(header)
    parts = [name.partition(".")[0] for name in header]
    kind, homes = _kind(header, set(parts), prefix)
    parameters: dict[str, dict[str, int]] = {}
    matrices: dict[str, int] = {}
    for name, part, dtype, shape, count in zip(header, parts, dtypes, shapes, counts, strict=True):
        home = homes.get(part, OTHER)
        if home == TEXT and name.startswith("text_encoders.t5"):
            home = T5
        known = parameters.setdefault(home, {})
        known[dtype] = known.get(dtype, 0) + count
        # Embeddings are tables, and attention's in_proj_weight belongs to no linear layer of its own.
        if len(shape) > 1 and name.endswith(".weight") and not name.endswith("embedding.weight"):
            matrices[home] = matrices.get(home, 0) + count
    if prefix is None:
        return Facts(size, UNKNOWN, kind, False, parameters, matrices)
    inpainting = _dimension(header, f"{prefix}input_blocks.0.0.weight", 1) == 9
    return Facts(size, _architecture(header, prefix), kind, inpainting, parameters, matrices)


def _columns(header: dict[str, Any], data_bytes: int) -> tuple[list[str], list[list[int]], list[int]]:
    """Dtypes, shapes and numbers of elements of all tensors, once they agree with each other and with the data.

    Works on whole columns, since a checkpoint has thousands of tensors and a webui hundreds of checkpoints.

    Raises:
        KeyError, TypeError, ValueError: for an entry of another form.
        _HeaderError: for a file that holds other data than it says.
    """
    dtypes = [entry["dtype"] for entry in header.values()]
    shapes = [entry["shape"] for entry in header.values()]
    offsets = [entry["data_offsets"] for entry in header.values()]
    dimensions = set(chain.from_iterable(shapes))
    if not all(type(dimension) is int and 0 <= dimension < 2**63 for dimension in dimensions):
        raise ValueError("shape")
    if set(map(type, shapes)) != {list} or max(map(len, shapes)) > _MOST_DIMENSIONS:
        raise ValueError("shape")
    counts = list(map(prod, shapes))
    begins, ends = zip(*offsets, strict=True)
    sizes = [bits // 8 for bits in map(mul, counts, map(BITS.__getitem__, dtypes))]
    if sizes != list(map(sub, ends, begins)):
        raise _HeaderError("The header gives a tensor another place than its shape needs.")
    if begins[0] != 0 or begins[1:] != ends[:-1]:
        begins, ends = zip(*sorted(zip(begins, ends, strict=True)), strict=True)
        if begins[0] != 0 or begins[1:] != ends[:-1]:
            raise _HeaderError("The header leaves holes between tensors or lets them overlap.")
    if ends[-1] > data_bytes:
        raise _HeaderError(f"The file ends {ends[-1] - data_bytes:,} bytes early; it may be an unfinished download.")
    if ends[-1] < data_bytes:
        raise _HeaderError(f"The file has {data_bytes - ends[-1]:,} bytes that its header does not mention.")
    return dtypes, shapes, counts


_FIRST_CONVOLUTION = "input_blocks.0.0.weight"
_FLUX_BLOCK = "double_blocks.0.img_attn.qkv.weight"
_SD3_BLOCK = "joint_blocks.0.x_block.attn.qkv.weight"
_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "")
"""Before the names of a diffusion model: in a checkpoint, then as files with a diffusion model alone have it."""
_HOMES = {
    "model": DIFFUSION,
    **dict.fromkeys(("cond_stage_model", "conditioner", "text_encoders"), TEXT),
    **dict.fromkeys(("first_stage_model", "vae"), VAE),
    **dict.fromkeys(("depth_model", "embedder", "noise_augmentor"), CONDITIONING),
}
"""The component of a tensor by the first part of its name."""
_VAE_PARTS = ("encoder", "decoder", "quant_conv", "post_quant_conv")
_LORA_MARKS = (".lora_", ".hada_", ".lokr_", ".oft_")


def _diffusion_prefix(header: dict[str, Any]) -> str | None:
    marks = (_FIRST_CONVOLUTION, _FLUX_BLOCK, _SD3_BLOCK)
    return next((prefix for prefix in _PREFIXES if any(prefix + mark in header for mark in marks)), None)


def _kind(header: dict[str, Any], parts: set[str], prefix: str | None) -> tuple[str, Mapping[str, str]]:
    """What kind of file it is, and the component by the first part of a tensor's name."""
    homes = _HOMES
    if prefix in _PREFIXES[1:]:
        homes = {**dict.fromkeys(parts, DIFFUSION), **_HOMES}
    elif parts.issuperset(("encoder", "decoder")) and "shared" not in parts:  # T5 has `shared` beside them
        homes = {**dict.fromkeys(_VAE_PARTS, VAE), **_HOMES}
    present = {homes[part] for part in parts if part in homes}
    if DIFFUSION in present:
        return CHECKPOINT if present & {TEXT, VAE} else DIFFUSION_ALONE, homes
    if any(name.startswith(("lora_", "lycoris_")) or any(mark in name for mark in _LORA_MARKS) for name in header):
        return LORA, homes
    return VAE_ALONE if present == {VAE} else UNKNOWN, homes


def _dimension(header: dict[str, Any], name: str, axis: int) -> int | None:
    shape = header.get(name, {}).get("shape", ())
    return shape[axis] if len(shape) > axis else None


_SD1_ENCODERS = (
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
    "cond_stage_model.transformer.embeddings.token_embedding.weight",
    "cond_stage_model.roberta.embeddings.word_embeddings.weight",
)
_CONTEXT_WIDTHS = {768: SD1, 1024: SD2, 2048: SDXL, 1280: REFINER}
"""What cross-attention takes: the width of the text encoders together."""


def _architecture(header: dict[str, Any], prefix: str) -> str:
    if prefix + _FLUX_BLOCK in header:
        return FLUX
    if prefix + _SD3_BLOCK in header:
        return SD3
    if "conditioner.embedders.1.model.ln_final.weight" in header:
        return SDXL
    if "conditioner.embedders.0.model.ln_final.weight" in header:
        # SD 2.1 Turbo names its text encoder like the refiner, whose own is 1280 wide.
        return SD2 if _dimension(header, "conditioner.embedders.0.model.ln_final.weight", 0) == 1024 else REFINER
    if "cond_stage_model.model.ln_final.weight" in header:
        return SD2
    if any(name in header for name in _SD1_ENCODERS):
        return SD1
    places = ("middle_block.1", "input_blocks.4.1", "input_blocks.1.1")
    names = [f"{prefix}{place}.transformer_blocks.0.attn2.to_k.weight" for place in places]
    width = next((_dimension(header, name, 1) for name in names if name in header), None)
    return _CONTEXT_WIDTHS.get(width, UNKNOWN)
