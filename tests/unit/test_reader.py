"""Reading a file ahead: real files of a few megabytes, real threads."""

import hashlib
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from lib_multipass.memory import reader
from lib_multipass.memory.reader import CHUNK, Reader, worth_reading

MB = 1024 * 1024
GB = 1024 * MB


def always():
    return True


@pytest.fixture
def file(tmp_path):
    """A file that ends within a chunk."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(os.urandom(MB) * 9 + b"end")
    return path


@pytest.fixture
def reading():
    """A reader that is stopped at the end of the test."""
    made = Reader()
    yield made
    made.stop()
    assert made.wait(5)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def held(reader_, path, chunks=2, hashing=True, then=None):
    """Start reading a file and hold its thread after so many chunks; returns the event that lets it go on."""
    arrived, go_on, asked = threading.Event(), threading.Event(), []

    def keep_going():
        asked.append(1)
        if len(asked) > chunks:
            arrived.set()
            go_on.wait(20)
        return True

    reader_.start(str(path), hashing, keep_going, then)
    assert arrived.wait(20)
    return go_on


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "multipass-reader"]


def test_the_hash_is_right(reading, file):
    reading.start(str(file), True, always)
    assert reading.wait(20)
    assert reading.path == str(file)
    assert reading.digest == sha256(file)
    assert reading.finish(str(file)) == sha256(file)
    assert threads() == []


@pytest.mark.parametrize("size", [0, 1, CHUNK, 2 * CHUNK])
def test_every_size(reading, tmp_path, size):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"x" * size)
    reading.start(str(path), True, always)
    assert reading.wait(20)
    assert reading.digest == sha256(path)


def test_no_hash_unless_wanted(reading, file):
    reading.start(str(file), False, always)
    assert reading.wait(20)
    assert reading.digest is None
    assert reading.finish(str(file)) is None


def test_whoever_needs_the_hash_reads_the_rest(reading, file, monkeypatch):
    """The thread read two chunks; the caller reads only what is left, and the file no second time."""
    chunks = []
    original = reader._Reading._next_chunk

    def counted(self):
        chunks.append(threading.current_thread().name)
        return original(self)

    monkeypatch.setattr(reader._Reading, "_next_chunk", counted)
    go_on = held(reading, file, chunks=2)
    assert reading.digest is None
    threading.Timer(0.1, go_on.set).start()
    assert reading.finish(str(file)) == sha256(file)
    assert threads() == []
    assert chunks[:2] == ["multipass-reader"] * 2
    assert threading.current_thread().name in chunks
    assert len(chunks) == -(-file.stat().st_size // CHUNK) + 1


def test_an_ended_job_leaves_a_beginning_that_can_be_finished(reading, file):
    answers = iter([True, True, False])
    reading.start(str(file), True, lambda: next(answers))
    assert reading.wait(20)
    assert reading.digest is None
    assert reading.finish(str(file)) == sha256(file)


def test_another_file_is_none_of_its_business(reading, file, tmp_path):
    go_on = held(reading, file)
    assert reading.finish(str(tmp_path / "other.safetensors")) is None
    assert len(threads()) == 1
    go_on.set()
    assert reading.wait(20)
    assert reading.digest == sha256(file)


def test_stop_forgets(reading, file):
    go_on = held(reading, file)
    threading.Timer(0.1, go_on.set).start()
    reading.stop()
    assert threads() == []
    assert (reading.path, reading.digest, reading.finish(str(file))) == (None, None, None)
    reading.stop()


def test_one_thread_at_most(reading, file, tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(os.urandom(3 * MB))
    go_on = held(reading, file)
    threading.Timer(0.1, go_on.set).start()
    for path in (other, file, other):
        reading.start(str(path), True, always)
        assert len(threads()) <= 1
    assert reading.wait(20)
    assert reading.digest == sha256(other)


def test_the_same_file_again_changes_nothing(reading, file):
    go_on = held(reading, file)
    thread = threads()
    reading.start(str(file), True, always)
    assert threads() == thread
    go_on.set()
    assert reading.wait(20)
    reading.start(str(file), True, always)
    assert threads() == []
    assert reading.digest == sha256(file)


@pytest.mark.parametrize("change", ["content", "length", "gone"])
@pytest.mark.parametrize("when", ["while it is read", "afterwards"])
def test_a_file_that_changes_has_no_hash(reading, file, change, when):
    def spoil():
        if change == "gone":
            file.unlink()
            return
        with file.open("r+b") as opened:
            opened.seek(0, os.SEEK_END if change == "length" else os.SEEK_SET)
            opened.write(b"changed")
        os.utime(file, (1, 1))

    if when == "afterwards":
        reading.start(str(file), True, always)
        assert reading.wait(20)
        spoil()
    else:
        go_on = held(reading, file)
        spoil()
        go_on.set()
        assert reading.wait(20)
    assert reading.digest is None
    assert reading.finish(str(file)) is None


def test_a_file_that_cannot_be_read_is_logged(reading, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(reader.log, "propagate", True)
    with caplog.at_level("INFO"):
        for path in (tmp_path / "missing.safetensors", tmp_path):
            reading.start(str(path), True, always)
            assert reading.wait(20)
            assert reading.digest is None
            assert reading.finish(str(path)) is None
            assert f"could not read {path} ahead" in caplog.text
    assert len({record.getMessage() for record in caplog.records}) == 2


def test_it_holds_one_chunk(reading, file):
    tracemalloc.start()
    try:
        reading.start(str(file), True, always)
        assert reading.wait(60)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < CHUNK + MB
    assert kept < MB


def test_it_rests_where_threads_have_no_priority(reading, file, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    rests = []
    monkeypatch.setattr(threading.Event, "wait", lambda self, timeout=None: rests.append(timeout))
    rest = reader._give_way(threading.Event())
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    rest()
    assert rests[0] == pytest.approx(0.05, abs=0.02)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "win32")
    reading.start(str(file), True, always)
    assert reading.wait(20)
    assert reading.digest == sha256(file)


@pytest.mark.skipif(sys.platform != "linux", reason="only there a thread has a priority of its own")
def test_only_its_own_thread_gives_way(reading, file):
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    go_on = held(reading, file)
    assert os.getpriority(os.PRIO_PROCESS, threads()[0].native_id) == reader.LOWEST_PRIORITY
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
    go_on.set()


EXIT = """
import threading
from lib_multipass.memory.reader import Reader

reading = Reader()
arrived = threading.Event()
reading.start({path!r}, True, lambda: arrived.set() or {hold})
arrived.wait(20)
"""


@pytest.mark.parametrize("hold", ["True", "threading.Event().wait(60)"])
def test_the_end_of_the_process_does_not_wait(file, hold):
    started = time.monotonic()
    code = EXIT.format(path=str(file), hold=hold)
    root = Path(reader.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("file_bytes", "available", "hash_known", "worth"),
    [
        (2 * GB, 8 * GB, True, True),
        (2 * GB, 4 * GB, True, True),
        (2 * GB, 4 * GB - 1, True, False),
        (2 * GB, None, True, False),
        (2 * GB, 1 * GB, False, True),
        (2 * GB, None, False, True),
    ],
)
def test_worth_reading(file_bytes, available, hash_known, worth):
    assert worth_reading(file_bytes, available, 2 * GB, hash_known) is worth


@pytest.fixture
def afterwards():
    """What is done after reading, until somebody ends it; ``begun`` and ``ended`` say how far it is."""

    class Afterwards:
        def __init__(self):
            self.begun, self.ended = threading.Event(), threading.Event()

        def __call__(self, goes_on):
            self.begun.set()
            while goes_on():
                time.sleep(0.001)
            self.ended.set()

    return Afterwards()


def test_what_comes_after_reading(reading, file):
    seen = []
    reading.start(str(file), True, always, lambda goes_on: seen.append((reading.digest, goes_on())))
    assert reading.wait(20)
    assert seen == [(sha256(file), True)]


def test_whoever_needs_the_hash_does_not_end_it(reading, file, afterwards):
    reading.start(str(file), True, always, afterwards)
    assert afterwards.begun.wait(20)
    assert reading.finish(str(file)) == sha256(file)
    assert not afterwards.ended.wait(0.1)
    reading.stop()
    assert afterwards.ended.is_set()
    assert threads() == []


def test_it_ends_with_what_keeps_it_going(reading, file, afterwards):
    goes = [True]
    reading.start(str(file), True, lambda: goes[0], afterwards)
    assert afterwards.begun.wait(20)
    goes[0] = False
    assert reading.wait(20)
    assert afterwards.ended.is_set()


@pytest.mark.parametrize("why", ["stopped", "not going on", "no file"])
def test_it_does_not_come_after_a_beginning(reading, file, afterwards, why):
    if why == "stopped":
        go_on = held(reading, file, chunks=2, then=afterwards)
        threading.Timer(0.1, go_on.set).start()
        reading.stop()
    elif why == "not going on":
        reading.start(str(file), True, lambda: False, afterwards)
    else:
        file.unlink()
        reading.start(str(file), True, always, afterwards)
    assert reading.wait(20)
    assert not afterwards.begun.is_set()
