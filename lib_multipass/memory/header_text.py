"""The header of a ``.safetensors`` file: from its text to checked names, dtypes and shapes.

A ``.safetensors`` file begins with the length of its header (8 bytes, unsigned, little-endian), then comes the header
(JSON: an object of ``{"dtype", "shape", "data_offsets"}`` by tensor name, and texts under ``__metadata__``), then the
data without holes; see https://github.com/huggingface/safetensors.

Everything is refused that the format forbids.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import chain
from math import prod
from operator import sub
from pathlib import Path
from typing import Any, NoReturn

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

LONGEST_READ = 16_000_000
"""Bytes; what is read at most. The header of SDXL has 360 kB, the texts beside it some MB, with a thumbnail more."""

MOST_BRACKETS = 500_000
"""Objects and arrays in a header that is read; a tensor has three. What JSON makes of more would take some 100 MB."""

_MOST_DIMENSIONS = 64
_NOT_JSON = "The header is not JSON as safetensors files have it."


class HeaderError(Exception):
    """The header cannot be true; the message is a sentence."""


class UnreadHeaderError(Exception):
    """The header may be good, but it has more than is read here."""


@dataclass(frozen=True, eq=False)
class Kind:
    """What all tensors of one dtype and shape have in common; one object for all of them."""

    dtype: str
    shape: tuple[int, ...]
    count: int
    """Number of elements."""
    size: int
    """Bytes of the data."""


def read(path: Path, size: int) -> tuple[str, int]:
    """The header of a file of that many bytes, and the number of bytes that follow it.

    Raises:
        HeaderError: when the file cannot have such a header.
        UnreadHeaderError: when it is longer than ``LONGEST_READ`` or has more than ``MOST_BRACKETS``.
        OSError, MemoryError: when it cannot be read.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise HeaderError("The file ends within its header; it is cut off or not a safetensors file.")
        if length > LONGEST_HEADER:
            raise HeaderError(f"The header claims {length:,} bytes, more than the format allows.")
        if length > LONGEST_READ:
            raise UnreadHeaderError
        raw = file.read(length)
    if length > MOST_BRACKETS and raw.count(b"{") + raw.count(b"[") > MOST_BRACKETS:
        raise UnreadHeaderError
    try:
        return raw.decode("utf-8"), size - 8 - length
    except ValueError:
        raise HeaderError(_NOT_JSON) from None


def layout(text: str, data_bytes: int) -> bytes:
    """A key that headers share which describe the same tensors at the same places, whatever texts they hold beside."""
    try:
        start = _end_of_metadata(text)
    except (ValueError, RecursionError):
        start = 0
    return hashlib.sha256(f"{data_bytes}{text[start:]}".encode()).digest()


def metadata_of(text: str) -> dict[str, Any]:
    """The texts under ``__metadata__`` of a header that :func:`tensors_of` takes."""
    found = _DECODER.decode(text).get("__metadata__")
    return found if isinstance(found, dict) else {}


def tensors_of(text: str, data_bytes: int) -> dict[str, Kind]:
    """The tensors of a header by name.

    Raises:
        HeaderError: for a header that is broken or lies.
    """
    try:
        header = _DECODER.decode(text)
        # Two tensors of one name are forbidden by the format, but JSON readers keep the second without a word.
        if isinstance(header, dict) and text.count('"data_offsets"') != len(header) - ("__metadata__" in header):
            json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise HeaderError(_NOT_JSON) from None
    if not isinstance(header, dict) or not isinstance(header.pop("__metadata__", None), dict | None):
        raise HeaderError("The header is not an object of tensors.")
    if not header:
        return {}
    try:
        return _checked(header, data_bytes)
    except (KeyError, TypeError, ValueError):
        raise HeaderError("The header describes a tensor in a way that the format does not know.") from None


def kind(dtype: str, shape: tuple[int, ...]) -> Kind:
    """A dtype and a shape, once they make sense.

    Raises:
        KeyError, TypeError, ValueError: for a dtype or a shape that the format does not know.
    """
    makes_sense = len(shape) <= _MOST_DIMENSIONS and all(type(side) is int and 0 <= side < 2**63 for side in shape)
    if not makes_sense or (count := prod(shape)) >= 2**63:
        raise ValueError("shape")
    return Kind(dtype, shape, count, count * BITS[dtype] // 8)


_METADATA = '{"__metadata__":'


def _end_of_metadata(text: str) -> int:
    """The place of the bracket or comma before the first tensor.

    Raises:
        ValueError, RecursionError: when there is another character, or the texts under ``__metadata__`` are not JSON.
    """
    if not text.startswith(_METADATA):
        return text.index('{"', 0, 2)
    metadata, end = _DECODER.raw_decode(text, len(_METADATA))
    if not isinstance(metadata, dict):
        raise ValueError(_METADATA)  # noqa: TRY004 - as every other text that is not as expected
    return text.index(",", end, end + 1)


def _refuse(number: str) -> NoReturn:
    raise ValueError(number)


_DECODER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _checked(header: dict[str, Any], data_bytes: int) -> dict[str, Kind]:
    shapes = [entry["shape"] for entry in header.values()]
    if set(map(type, shapes)) != {list}:
        raise ValueError("shape")
    keys = [(entry["dtype"], *shape) for entry, shape in zip(header.values(), shapes, strict=True)]
    # True equals 1 and could stand for it in a key.
    if not set(map(type, chain.from_iterable(shapes))) <= {int}:
        raise ValueError("shape")
    kinds = {key: kind(key[0], key[1:]) for key in set(keys)}
    tensors = dict(zip(header, map(kinds.__getitem__, keys), strict=True))
    begins, ends = zip(*(entry["data_offsets"] for entry in header.values()), strict=True)
    if not {*map(type, begins), *map(type, ends)} <= {int}:
        raise ValueError("data_offsets")
    if [tensor.size for tensor in tensors.values()] != list(map(sub, ends, begins)):
        raise HeaderError("The header gives a tensor another place than its shape needs.")
    if begins[0] != 0 or begins[1:] != ends[:-1]:
        begins, ends = zip(*sorted(zip(begins, ends, strict=True)), strict=True)
        if begins[0] != 0 or begins[1:] != ends[:-1]:
            raise HeaderError("The header leaves holes between tensors or lets them overlap.")
    if ends[-1] > data_bytes:
        raise HeaderError(f"The file ends {ends[-1] - data_bytes:,} bytes early; it may be an unfinished download.")
    if ends[-1] < data_bytes:
        raise HeaderError(f"The file has {data_bytes - ends[-1]:,} bytes that its header does not mention.")
    return tensors
