"""What is fuzzed: each target makes a hostile input, lets Multipass read it, and checks what comes of it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lib_multipass.memory import lora_files
from lib_multipass.memory.header_text import BITS
from lib_multipass.memory.headers import DIFFUSION, Facts, read_facts, tensors_and_metadata
from lib_multipass.plan import args as fields
from lib_multipass.plan import pasting
from lib_multipass.plan.args import PassArgs
from lib_multipass.words import MultipassError
from support.fuzz_watch import Source
from support.stored import stored_bytes

LONGEST_SENTENCE = 12_000
"""Characters: a name of 1,000 stands in it, of which each may be written with ten."""

HASH = "0123456789abcdef" * 4


def checkpoint(name: str, sha256: str | None = None) -> SimpleNamespace:
    """A checkpoint as the webui lists it."""
    file, short = f"{name}.safetensors", sha256[:10] if sha256 else None
    title = f"{file} [{short}]" if short else file
    ids = ["0a1b2c3d", name, file, title, *([short, sha256] if short else [])]
    stem = name.rsplit("/", 1)[-1]
    about = {"hash": "0a1b2c3d", "shorthash": short, "sha256": sha256}
    return SimpleNamespace(filename=f"/m/{file}", name=file, name_for_extra=stem, title=title, ids=ids, **about)


KNOWN = [
    checkpoint("cartoon", HASH),
    checkpoint("sub/photo v1.5", HASH[::-1]),
    checkpoint("photo_v1-5"),
    checkpoint("Straße İ"),
    checkpoint("<img src=x onerror=alert(1)>"),
    checkpoint("%s {0} [deadbeef]"),
    checkpoint("a" * 240),
    checkpoint("ab" * 120),
    checkpoint("aabbab" * 40),
    checkpoint("[" * 200),
]
VAES = ["ema.pt", "other.safetensors", "old.vae.ckpt", "b" * 240 + ".pt"]

TEXTS = [
    "",
    "True",
    "nan",
    "1e999",
    "-0",
    "9" * 5000,
    "cartoon",
    f"cartoon.safetensors [{HASH[:10]}]",
    f"[{HASH}]",
    "0a1b2c3d",
    "photo",
    "ema",
    "a" * 120,
    "ba" * 300,
    "[" * 700,
    "a" + " " * 800 + "b",
    "../../etc/passwd",
    r"\\host\share\x.pt",
    *fields.ADETAILER_MODES,
    *fields.VAE_MODES,
    *fields.WISHES,
]


def _text(source: Source) -> str:
    kind = source.below(4)
    if kind == 0:
        return source.text()
    known = source.of(TEXTS)
    return known if kind == 1 else known + source.text() if kind == 2 else source.text() + known


def _number(source: Source) -> Any:
    digits = source.of((1, 1, 1, 2, 20, 400, 5000))
    return source.of((True, False, 0, 1, -1, 12, 13, 0.5, 30.0, 2.0, 30.5, 10**digits, -(10**digits), source.number()))


def _value(source: Source, depth: int = 0) -> Any:
    """Anything that a JSON body may hold, and a little more."""
    kind = source.below(8)
    if kind < 2 or depth > 3:
        return _text(source)
    if kind < 4:
        return _number(source)
    if kind == 4:
        return None
    if kind == 5:
        return [_value(source, depth + 1) for _ in range(source.below(6))]
    if kind == 6:
        return {_key(source): _value(source, depth + 1) for _ in range(source.below(6))}
    nested, as_list = _text(source), source.below(2)
    for _ in range(source.of((1, 10, 100, 1000, 5000))):
        nested = [nested] if as_list else {"a": nested}
    return nested


def _key(source: Source) -> str:
    return source.of(tuple(fields.FIELDS)) if source.below(4) else _text(source)


def parse_args(source: Source) -> None:
    """``PassArgs.parse``: settings that mean the same when they are read again, or a sentence."""
    values: Any = [_value(source) for _ in range(source.below(12))]
    if source.below(2):
        values = [{_key(source): _value(source) for _ in range(source.below(12))}, *values]
    try:
        found = PassArgs.parse(values)
    except MultipassError as error:
        refused = error.detail
    else:
        refused = ""
    assert len(refused) < 500, refused[:1000]
    assert refused or PassArgs.parse([asdict(found)]) == found


KEYS = [
    *(entry.metadata["infotext"] for entry in fields.FIELDS.values() if entry.metadata["infotext"]),
    "Multipass version",
    "Multipass third pass",
    "Model",
    "Model hash",
    "Hires checkpoint",
]


def read_paste(source: Source) -> None:
    """``pasting.read`` and the offer beside it: settings that a job takes, and notes that can be read."""
    params = {}
    while source and len(params) < 20:
        key = source.of(KEYS) if source.below(8) else source.of(("", pasting.PREFIX)) + source.text()
        params[key] = _text(source) if source.below(8) else repr(source.number())
    pasted = pasting.read(params, KNOWN, VAES)
    PassArgs.parse([{**pasted.values}])
    assert len(pasted.notes) <= 4
    assert all(0 < len(note) < LONGEST_SENTENCE for note in pasted.notes)
    offer = pasting.offer_of(pasting.base_of(params), source.of([None, *KNOWN]), KNOWN)
    assert offer is None or len(offer.text) < 1000
    pasting.choices_with(pasted.values["checkpoint"], [one.title for one in KNOWN])


PARTS = [
    "model.diffusion_model.input_blocks.0.0.weight",
    "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight",
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
    "conditioner.embedders.1.model.ln_final.weight",
    "first_stage_model.decoder.conv_in.weight",
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight",
    "double_blocks.0.img_attn.qkv.weight",
    "joint_blocks.0.x_block.attn.qkv.weight",
    "encoder.x",
    "decoder.x",
    "",
    "__metadata__",
    'a"b',
    "a\\b",
]
METADATA = ["ss_base_model_version", "ss_v2", "modelspec.architecture"]
SIDES = (0, 1, 2, 4, 9, 320, 768, 1024, 2**31, 2**63 - 1, 2**63, -1, True, 1.0)


def _true_header(source: Source) -> tuple[bytes, int]:
    """A header as it should be, with now and then one thing wrong."""
    header: dict[str, Any] = {}
    if source.below(3) == 0:
        header["__metadata__"] = {source.of(METADATA): source.of(("sdxl_base", "sd_v1", source.text(1000)))}
        if source.below(16) == 0:
            header["__metadata__"][source.of(METADATA)] = _value(source, 2)
    place = 0
    while source and len(header) < 40:
        dtype = source.of(tuple(BITS)) if source.below(32) else source.text(1000)
        shape = [source.of(SIDES[: len(SIDES) if source.below(8) == 0 else 8]) for _ in range(source.below(6))]
        shape *= source.of((1,) * 30 + (20, 80))
        size = prod(map(int, shape)) * BITS.get(dtype, 8) // 8
        places = [place, place + size] if source.below(16) else [place, source.below(2**32)]
        name = source.of(PARTS) + (source.text(1000) if source.below(2) else "")
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": places}
        place = max(place, int(places[1]))
    separators = (",", ":") if source.below(4) else (", ", ": ")
    try:
        text = json.dumps(header, separators=separators, ensure_ascii=source.below(4) == 0)
    except (RecursionError, ValueError):  # nested too deep, or too many digits, for Python to write
        text = '{"__metadata__":{"ss_v2":' + "[" * 5000 + "]" * 5000 + "}}"
    return text.encode("utf-8", "surrogatepass"), place


_FOLDER = Path(tempfile.mkdtemp(prefix="multipass-fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
_FILE = _FOLDER / "hostile.safetensors"
_LARGEST_FILE = 2**40
_LONGEST_HEADER = 500_000
"""Bytes; a file with a longer one is cut off within it. ``test_header_text.py`` measures what the longest cost."""


def read_header(source: Source) -> None:
    """The header reader on a file: facts, never an exception."""
    kind = source.below(4)
    if kind == 0:
        raw, size = source.rest(), 0
    else:
        data = source.below(2**32)
        header, data = _true_header(source) if kind > 1 else (source.rest(), data)
        length = len(header) if source.below(16) or not source else source.below(2**32)
        raw, size = length.to_bytes(8, "little") + header, min(8 + len(header) + data, _LARGEST_FILE)
        if length > _LONGEST_HEADER:
            size = min(size, length)
    with _FILE.open("wb") as file:
        file.write(raw)
        if size > len(raw):
            file.truncate(size)
    facts = read_facts(_FILE)
    assert isinstance(facts, Facts)
    assert facts.problem is None or 0 < len(facts.problem) < 500, facts.problem
    assert stored_bytes(facts, DIFFUSION) <= facts.file_bytes
    lora_files.architecture(*tensors_and_metadata(_FILE))


def clean() -> None:
    """Remove the file that headers are read from."""
    shutil.rmtree(_FOLDER, ignore_errors=True)


TARGETS = {"args": parse_args, "headers": read_header, "paste": read_paste}


def seeds(name: str) -> list[bytes]:
    """Inputs to begin with: for headers a true one and some that are hard to find, else any bytes."""
    if name != "headers":
        return [bytes(range(start, 256)) for start in (0, 50, 101, 150)]
    shapes = {part: [4, 4] for part in PARTS[:5]}
    entries = {
        part: {"dtype": "F16", "shape": shape, "data_offsets": [32 * at, 32 * at + 32]}
        for at, (part, shape) in enumerate(shapes.items())
    }
    texts = [json.dumps(entries, separators=(",", ":")), '{"a":' + "[" * 3000, '{"__metadata__":' + '{"a":' * 600]
    texts += ['{"a":{"dtype":"F16","shape":[1' + ",9223372036854775807" * 63 + '],"data_offsets":[0,0]}}']
    headers = [b"\1" + (32 * len(shapes)).to_bytes(4, "little") + text.encode() for text in texts]
    return [*headers, *(bytes([kind, *range(256)]) for kind in range(4))]
