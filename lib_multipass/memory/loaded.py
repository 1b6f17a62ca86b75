"""What a checkpoint file is, from the model that the webui made of it: for files whose header says nothing.

A ``.ckpt`` is a pickle, which is never opened here; the header of a ``.safetensors`` may be too long to be read. Once
the webui has loaded such a file, the model's tensors have the names that they have in it, but for those below which the
webui has put wrappers of its own (``modules/sd_hijack.py``, 1.6.0 to 1.10.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from lib_multipass.memory.header_text import BITS, Kind
from lib_multipass.memory.headers import Facts, facts_from, state_of
from lib_multipass.memory.missing import plain

DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
"""The names of dtypes in safetensors files by those in torch."""

_seen: dict[str, tuple[tuple[int, int], Facts]] = {}


def model_facts(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> Facts:
    """What a loaded model is, with a file size of 0.

    Its numbers of elements stand under the dtypes that the model has now, not under those of its file.

    Args:
        tensors: dtype, as torch calls it (``float16``), and shape of all parameters and buffers by name. Each may
            stand there once; tensors of a dtype that files cannot have are left out.
    """
    kinds: dict[tuple[str, tuple[int, ...]], Kind] = {}
    named = {}
    for name, (dtype, shape) in tensors.items():
        if dtype not in DTYPES:
            continue
        count, known = prod(shape), DTYPES[dtype]
        made = Kind(known, tuple(shape), count, count * BITS[known] // 8)
        named[plain(name)] = kinds.setdefault((known, made.shape), made)
    return facts_from(0, named)


def note(path: str, tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """Remember what a file is, from the model that was just loaded from it; see :func:`model_facts`."""
    state = state_of(path)
    if state is not None:
        _seen[path] = (state, replace(model_facts(tensors), file_bytes=state[0]))


def recall(path: str) -> Facts | None:
    """What was noted of a file, as long as its size and time of change are the same."""
    known = _seen.get(path)
    if known is None:
        return None
    if known[0] != state_of(path):
        del _seen[path]
        return None
    return known[1]
