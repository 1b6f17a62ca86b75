"""Reading a header: true ones are read, others refused with a sentence, and none takes long."""

import json
import statistics
import struct
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from lib_multipass.memory import header_text, headers
from lib_multipass.memory.header_text import HeaderError, tensors_of
from lib_multipass.memory.headers import (
    DIFFUSION,
    SD1,
    SDXL,
    TEXT,
    VAE,
    Facts,
    read_facts,
    remembered,
    tensors_and_metadata,
)
from support import layouts
from support.stored import HOSTILE, SD1_TEXT, entries, store, unet


def compact(header):
    return json.dumps(header, separators=(",", ":"), ensure_ascii=False)


def plain(tensors):
    return {name: (kind.dtype, kind.shape, kind.count, kind.size) for name, kind in tensors.items()}


SMALL = entries({**unet(768), SD1_TEXT: [9, 768], "first_stage_model.a": [], "model.b": [0, 3]})
SIZE = max(entry["data_offsets"][1] for entry in SMALL.values())


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"a": '{"b": "\\"[}é"}', "c": "x" * 9000}])
def test_true_header(metadata):
    text = compact(({} if metadata is None else {"__metadata__": metadata}) | SMALL) + 3 * " "
    tensors = tensors_of(text, SIZE)
    assert plain(tensors)[SD1_TEXT] == ("F16", (9, 768), 9 * 768, 18 * 768)
    assert list(tensors) == list(SMALL)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(SMALL),
        compact({"a\n": SMALL["model.b"], **SMALL}),
        compact(dict(reversed(SMALL.items()))),
        compact({**SMALL, "__metadata__": {}}),
        compact({name: dict(reversed(entry.items())) for name, entry in SMALL.items()}),
        compact({name: {**entry, "note": 1} for name, entry in SMALL.items()}),
    ],
)
def test_header_that_another_program_wrote(text):
    assert plain(tensors_of(text, SIZE)).items() >= plain(tensors_of(compact(SMALL), SIZE)).items()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_header_without_blanks(tmp_path, name):
    header, words = HOSTILE[name]
    raw = header if isinstance(header, bytes) else compact(header).encode()
    facts = read_facts(store(tmp_path / "a.safetensors", raw, data=8))
    assert words in facts.problem
    assert facts.parameters == {}


CHARACTERS = st.sampled_from(
    ['"', ",", ":", "[", "]", "{", "}", "0", "1", "-", "+", "_", " ", "\n", "\0", "\\", "é", "."]
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from("idr"), CHARACTERS), max_size=3)


@given(edits=EDITS, metadata=st.booleans(), data=st.integers(-1, 1))
def test_edited_header_is_read_or_refused(edits, metadata, data):
    """Headers with a character put in, taken out or replaced here and there."""
    header = entries({"model.a": [2, 3], SD1_TEXT: [4], "b": []})
    text = compact({**({"__metadata__": {"a": "b"}} if metadata else {}), **header})
    for where, what, character in edits:
        place = int(where * len(text))
        text = text[:place] + (character if what in "ir" else "") + text[place + (what in "dr") :]
    try:
        tensors = tensors_of(text, 22 + data)
    except HeaderError:
        assert edits or data
        return
    assert sum(kind.size for kind in tensors.values()) == 22 + data
    assert tensors.keys() == json.loads(text).keys() - {"__metadata__"}


@pytest.mark.parametrize(
    ("layout", "architecture", "count"), [(layouts.sd1, SD1, 1131), (layouts.sdxl, SDXL, 2515)], ids=[SD1, SDXL]
)
def test_full_size(tmp_path, layout, architecture, count):
    shapes = layout()
    assert len(shapes) == count
    facts = read_facts(layouts.write_hollow(tmp_path / "a.safetensors", layouts.header(shapes)))
    assert (facts.architecture, facts.problem) == (architecture, None)
    sums = {part: sum(facts.parameters[part].values()) for part in (DIFFUSION, TEXT, VAE)}
    usual = {SD1: (859_520_964, 123_060_557), SDXL: (2_567_463_684, 817_720_398)}[architecture]
    assert sums == {DIFFUSION: usual[0], TEXT: usual[1], VAE: 83_653_863}
    weights = {SD1: (859_077_120, 84_934_656), SDXL: (2_565_880_320, 556_793_856)}[architecture]
    assert facts.matrices == {DIFFUSION: weights[0], TEXT: weights[1], VAE: 83_587_920}


def bench(read, times=20):
    """Processor seconds: the best and the median."""
    taken = []
    for _ in range(times):
        begin = time.process_time()
        read()
        taken.append(time.process_time() - begin)
    return min(taken), statistics.median(taken)


def test_reading_costs_little_beside_json(tmp_path):
    """Relative to the bare JSON parser, which checks nothing, so that the machine's speed does not matter."""
    text = compact(layouts.header(layouts.sdxl()))
    data = layouts.bytes_of(layouts.sdxl())
    assert bench(lambda: tensors_of(text, data))[0] < 6 * bench(lambda: json.loads(text))[0]
    path = layouts.write_hollow(tmp_path / "a.safetensors", layouts.header(layouts.sdxl()))
    read_facts(path)
    assert bench(lambda: read_facts(path))[0] < 0.5 * bench(lambda: json.loads(text))[0]


def test_a_layout_is_taken_apart_once(tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "_layouts", {})
    seen = []
    original = header_text.tensors_of
    monkeypatch.setattr(header_text, "tensors_of", lambda *args: seen.append(args) or original(*args))
    texts = [{"__metadata__": {"name": "a"}, **SMALL}, {"__metadata__": {"name": "bb"}, **SMALL}, SMALL]
    facts = [
        read_facts(store(tmp_path / f"{number}.safetensors", compact(header).encode(), data=SIZE))
        for number, header in enumerate(texts)
    ]
    assert len(seen) == 2  # with texts and without
    assert facts[0].parameters == facts[1].parameters == facts[2].parameters
    assert [fact.file_bytes for fact in facts] == [(tmp_path / f"{n}.safetensors").stat().st_size for n in range(3)]
    cut = store(tmp_path / "cut.safetensors", compact(texts[0]).encode(), data=SIZE - 1)
    assert "1 bytes early" in read_facts(cut).problem


def test_memory_of_layouts_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "_layouts", {})
    monkeypatch.setattr(headers, "_MOST_LAYOUTS", 3)
    for number in range(8):
        assert read_facts(store(tmp_path / "a.safetensors", entries({"model.a": [number]}))).problem is None
        assert len(headers._layouts) <= 3


def test_none_is_read_before_it_is_wanted(tmp_path, monkeypatch):
    """A folder costs what was asked for, and a second look costs nothing but the file's status."""
    monkeypatch.setattr(headers, "_known", {})
    opened = []
    original = headers.Path.open
    monkeypatch.setattr(headers.Path, "open", lambda path, *args: opened.append(path.name) or original(path, *args))
    files = [tmp_path / f"{number}.safetensors" for number in range(4)]
    for file in files:
        with original(file, "wb") as opened_file:
            raw = compact(SMALL).encode()
            opened_file.write(struct.pack("<Q", len(raw)) + raw)
            opened_file.truncate(8 + len(raw) + SIZE)
    assert [remembered(file).architecture for file in files[:2] * 3] == [SD1] * 6
    assert opened == ["0.safetensors", "1.safetensors"]


def costs(path):
    tracemalloc.start()
    begin = time.process_time()
    facts = read_facts(path)
    seconds, (_, peak) = time.process_time() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return facts, seconds, peak


@pytest.mark.parametrize("length", [header_text.LONGEST_HEADER, header_text.LONGEST_READ + 1])
def test_a_header_longer_than_any_is_not_read(tmp_path, length):
    """The file is as long as it says; it is sparse. The webui may load it, so nothing is said against it."""
    path = store(tmp_path / "a.safetensors", b"{}", data=length, length=length)
    facts, seconds, peak = costs(path)
    assert facts == Facts(path.stat().st_size)
    assert tensors_and_metadata(path) == ({}, {})
    assert seconds < 0.5
    assert peak < 1_000_000


@pytest.mark.parametrize("text", ["x" * header_text.LONGEST_READ, "{[" * header_text.MOST_BRACKETS])
def test_a_file_with_a_long_text_is_none_that_is_broken(tmp_path, text):
    """The library takes it, and so does the webui: a thumbnail, or a workflow."""
    path = tmp_path / "a.safetensors"
    save_file({SD1_TEXT: np.zeros((2, 3), np.float16)}, path, {"thumbnail": text})
    assert list(load_file(path)) == [SD1_TEXT]
    assert read_facts(path) == Facts(path.stat().st_size)


def test_a_header_that_does_not_fit_into_memory_is_none_that_is_broken(tmp_path, monkeypatch):
    def too_much(*args):
        raise MemoryError

    path = store(tmp_path / "a.safetensors", SMALL)
    monkeypatch.setattr(header_text, "tensors_of", too_much)
    monkeypatch.setattr(headers, "_layouts", {})
    assert read_facts(path) == Facts(path.stat().st_size)


UNIT = {
    "small arrays": (b"[", b"[],", b"[]]"),
    "open brackets": (b"", b"[", b""),
    "many entries": (b"{", b'"":{"dtype":"F16","shape":[],"data_offsets":[]},', b'"":{}}'),
    "numbers": (b"[", b"1234,", b"1]"),
    "texts": (b"[", b'"ab",', b'""]'),
    "metadata": (b'{"__metadata__":[', b"[],", b"[]]}"),
    "quotation marks": (b"", b'"', b""),
}


@pytest.mark.parametrize("name", UNIT)
def test_the_longest_header_is_bearable(tmp_path, scale, name):
    """What the worst of the allowed length costs: some 200 MB at most while it is read, and nothing afterwards; or an
    eighth of the length, which may cost an eighth."""
    begin, unit, end = UNIT[name]
    part = scale.of(8, 1)
    raw = begin + unit * ((header_text.LONGEST_READ // part - len(begin) - len(end)) // len(unit)) + end
    facts, seconds, peak = costs(store(tmp_path / "a.safetensors", raw, data=8))
    print(f"{name}: {seconds:.2f} s, {peak / 1e6:.0f} MB")
    assert not facts.parameters
    assert peak < 250_000_000 / part
    assert seconds < 20 / part
