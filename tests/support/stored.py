"""Headers of safetensors files, good ones and hostile ones."""

import json
import struct

from lib_multipass.memory.header_text import BITS

MODEL = "model.diffusion_model."


SD1_TEXT = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"


def unet(context=32, channels=4, prefix=MODEL):
    """A few tensors of a diffusion model, by their real names."""
    return {
        f"{prefix}input_blocks.0.0.weight": [8, channels, 3, 3],
        f"{prefix}input_blocks.0.0.bias": [8],
        f"{prefix}middle_block.1.transformer_blocks.0.attn2.to_k.weight": [8, context],
        f"{prefix}time_embed.0.weight": [8, 8],
    }


def entries(shapes, dtype="F16", width=2):
    """The header of tensors that lie one behind the other."""
    header, place = {}, 0
    for name, shape in shapes.items():
        size = width
        for dimension in shape:
            size *= dimension
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    return header


def store(path, header, data=None, length=None):
    """Write a file with that header, given as tensors' entries or as bytes; the data takes no room on most disks."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    if data is None:
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        data = max((entry["data_offsets"][1] for entry in tensors), default=0)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw) if length is None else length) + raw)
        file.truncate(8 + len(raw) + data)
    return path


def entry(shape=(2, 2), offsets=(0, 8), dtype="F16"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


UNDER = "describes a tensor in a way"


PLACE = "another place than its shape needs"


HOLES = "holes between tensors or lets them overlap"


NOT_JSON = "not JSON"


HOSTILE = {
    "empty": (b"", NOT_JSON),
    "not json": (b"hello", NOT_JSON),
    "binary": (bytes(range(256)), NOT_JSON),
    "utf-16": ("{}".encode("utf-16"), NOT_JSON),
    "deep": (b"[" * 200_000, NOT_JSON),
    "deep entry": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, NOT_JSON),
    "not a number": (b'{"a":{"dtype":"F16","shape":[NaN],"data_offsets":[0,8]}}', NOT_JSON),
    "infinite": (b'{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,Infinity]}}', NOT_JSON),
    "fraction": (b'{"a":{"dtype":"F16","shape":[4.0],"data_offsets":[0,8.0]}}', NOT_JSON),
    "very long number": (b'{"a":{"dtype":"F16","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}', ""),
    "array": (b"[]", "not an object"),
    "null": (b"null", "not an object"),
    "text": (b'"{}"', "not an object"),
    "metadata a list": ({"__metadata__": [], "a": entry()}, "not an object"),
    "metadata a text": ({"__metadata__": "x", "a": entry()}, "not an object"),
    "entry a list": ({"a": [1]}, UNDER),
    "entry a text": ({"a": "dtype shape data_offsets"}, UNDER),
    "entry a number": ({"a": 5}, UNDER),
    "entry null": ({"a": None}, UNDER),
    "no dtype": ({"a": {"shape": [4], "data_offsets": [0, 8]}}, UNDER),
    "no shape": ({"a": {"dtype": "F16", "data_offsets": [0, 8]}}, UNDER),
    "no offsets": ({"a": {"dtype": "F16", "shape": [4]}}, UNDER),
    "unknown dtype": ({"a": entry(dtype="F17")}, UNDER),
    "dtype a list": ({"a": entry(dtype=["F16"])}, UNDER),
    "dtype null": ({"a": entry(dtype=None)}, UNDER),
    "shape a text": ({"a": entry(shape="22")}, UNDER),
    "shape an object": ({"a": entry(shape={})}, UNDER),
    "shape a number": ({"a": entry(shape=4)}, UNDER),
    "shape of texts": ({"a": entry(shape=["2", "2"])}, UNDER),
    "shape of lists": ({"a": entry(shape=[[1] * 9, 10**12])}, UNDER),
    "shape a long text": ({"a": entry(shape=["x" * 99, 10**12])}, UNDER),
    "shape of truths": ({"a": entry(shape=[True, 4])}, UNDER),
    "negative shape": ({"a": entry(shape=[-2, -2])}, UNDER),
    "huge dimension": ({"a": entry(shape=[10**30])}, UNDER),
    "huge product": ({"a": entry(shape=[2**62] * 4)}, UNDER),
    "huge product with room": ({"a": entry(shape=[2**62] * 30, offsets=[0, 2 ** (62 * 30 + 1)])}, UNDER),
    "many dimensions": ({"a": entry(shape=[1] * 100_000)}, UNDER),
    "offsets a number": ({"a": entry(offsets=8)}, UNDER),
    "offsets of texts": ({"a": entry(offsets=["0", "8"])}, UNDER),
    "offsets of lists": ({"a": entry(offsets=[[], []])}, UNDER),
    "offsets a text": ({"a": entry(offsets="08")}, UNDER),
    "one offset": ({"a": entry(offsets=[8])}, UNDER),
    "three offsets": ({"a": entry(offsets=[0, 8, 16])}, UNDER),
    "offsets the wrong way": ({"a": entry(offsets=[8, 0])}, PLACE),
    "shape larger than place": ({"a": entry(shape=[2, 3])}, PLACE),
    "dtype larger than place": ({"a": entry(dtype="F32")}, PLACE),
    "negative offsets": ({"a": entry(offsets=[-8, 0]), "b": entry(offsets=[0, 8])}, HOLES),
    "begins late": ({"a": entry(offsets=[8, 16])}, HOLES),
    "hole": ({"a": entry(), "b": entry(offsets=[16, 24])}, HOLES),
    "overlap": ({"a": entry(), "b": entry(offsets=[4, 12])}, HOLES),
    "same place": ({"a": entry(), "b": entry()}, HOLES),
    "same name": (
        b'{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}',
        NOT_JSON,
    ),
    "same name, escaped": (
        b'{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},'
        b'"\\u0061":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}',
        NOT_JSON,
    ),
    "place twice": (b'{"a":{"dtype":"F16","shape":[4],"data_offsets":[8,16],"data_offsets":[0,8]}}', NOT_JSON),
}


def stored_bytes(facts, component):
    """Bytes of a component in its file."""
    return sum(count * BITS[dtype] for dtype, count in facts.parameters.get(component, {}).items()) // 8
