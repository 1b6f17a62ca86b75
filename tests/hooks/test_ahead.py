"""Reading the next checkpoint ahead, inside jobs of the miniature: what is read, when, and who hashes it."""

import hashlib
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch

from lib_multipass.memory import reader
from lib_multipass.passes import ahead as ahead_of_time
from lib_multipass.plan.our_settings import READ_AHEAD
from lib_multipass.state import running
from support.beneath_ours import beneath

MB = 1024 * 1024
A, B = "alpha", "beta"
NUMBER = itertools.count()


@pytest.fixture
def hashed(host):
    """The files that the webui hashed by itself, in order: its function is noted below our wrapper."""
    with beneath(host, host.hashes, "calculate_sha256") as files:
        yield files


class Reading:
    """What is read ahead, in a job and by hand; jobs share one reader here, which stays when they are over."""

    def __init__(self) -> None:
        self.reader = reader.Reader()

    def begin(self, in_use) -> None:
        """As in a job with these checkpoints."""
        part = ahead_of_time.Ahead(in_use)
        plan = SimpleNamespace(in_use=in_use, given_vaes={}, base=in_use[0])
        running.job = SimpleNamespace(parts={ahead_of_time.Ahead: part}, owner=lambda: None, number=0, plan=plan)
        part.read()

    def end(self) -> None:
        part = running.part(ahead_of_time.Ahead)
        if part is not None:
            part.end()
            running.end()


@pytest.fixture
def ahead(host, hashed, monkeypatch):
    """Reading in small steps."""
    reading = Reading()
    monkeypatch.setattr(ahead_of_time, "Reader", lambda: reading.reader)
    monkeypatch.setattr(reader, "CHUNK", MB // 2)
    host.run(host.job())
    yield reading
    reading.end()
    assert reading.reader.wait(5)


@pytest.fixture
def newcomer(host, hashed):
    """A checkpoint of some 10 MB that was never used."""
    beta = host.sd_models.get_closet_checkpoint_match(B)
    path = Path(beta.filename).with_name(f"newcomer-{next(NUMBER)}.safetensors")
    weights = safetensors.torch.load_file(beta.filename)
    safetensors.torch.save_file(weights, path, metadata={"padding": f"{next(NUMBER)}" + 8 * MB * "x"})
    host.sd_models.list_models()
    checkpoint = host.sd_models.get_closet_checkpoint_match(path.name)
    assert checkpoint.sha256 is None
    hashed.clear()
    yield checkpoint
    host.run(host.job())
    path.unlink(missing_ok=True)
    host.sd_models.list_models()


@pytest.fixture
def one_chunk_only(monkeypatch):
    """The thread reads a chunk and then rests until somebody stops it."""
    monkeypatch.setattr(reader, "_give_way", lambda stop: lambda: stop.wait(20))


def content_hash(checkpoint):
    return hashlib.sha256(Path(checkpoint.filename).read_bytes()).hexdigest()


def cached(host, checkpoint):
    return host.hashes.sha256_from_cache(checkpoint.filename, f"checkpoint/{checkpoint.name}")


def memory(monkeypatch, available):
    from lib_multipass.webui.a1111 import hardware

    monkeypatch.setattr(hardware, "ram_free", lambda: available)


def test_the_swap_finds_the_hash(host, ahead, newcomer, hashed, monkeypatch):
    read = ahead_of_time.Ahead.read

    def read_and_wait(self):
        read(self)
        assert ahead.reader.wait(20)

    monkeypatch.setattr(ahead_of_time.Ahead, "read", read_and_wait)
    host.run(host.job(True, newcomer.name))
    assert host.loaded[0] == newcomer.name_for_extra
    assert newcomer.sha256 == cached(host, newcomer) == content_hash(newcomer)
    assert hashed == []
    assert ahead.reader.path is None


def test_the_swap_reads_what_is_left(host, ahead, newcomer, hashed, one_chunk_only):
    host.run(host.job(True, newcomer.name))
    assert newcomer.sha256 == cached(host, newcomer) == content_hash(newcomer)
    assert hashed == []


def test_the_same_picture_as_without(host, ahead, newcomer, one_chunk_only, monkeypatch):
    first = host.run(host.job(True, newcomer.name))
    monkeypatch.setattr(ahead_of_time.Ahead, "read", lambda _self: None)
    again = host.run(host.job(True, newcomer.name))
    assert first.images[0].tobytes() == again.images[0].tobytes()


def test_a_file_that_changed_is_hashed_by_the_webui(host, ahead, newcomer, hashed):
    ahead.begin([newcomer])
    assert ahead.reader.wait(20)
    with Path(newcomer.filename).open("ab") as opened:
        opened.write(b"changed")
    newcomer.calculate_shorthash()
    assert newcomer.sha256 == content_hash(newcomer)
    assert hashed == [newcomer.filename]


def test_the_first_that_is_not_loaded_is_read(host, ahead, newcomer):
    first, second = (host.sd_models.get_closet_checkpoint_match(name) for name in (A, B))
    assert host.loaded == [A]
    ahead.begin([first, newcomer, second])
    assert ahead.reader.path == newcomer.filename
    ahead.begin([first, newcomer, second])
    assert ahead.reader.path == newcomer.filename
    ahead.end()
    ahead.begin([first])
    assert ahead.reader.path is None


def test_what_is_cached_in_memory_is_not_read(host, ahead, newcomer, monkeypatch):
    monkeypatch.setitem(host.sd_models.checkpoints_loaded, newcomer, {})
    ahead.begin([newcomer])
    assert ahead.reader.path is None


def test_a_hash_that_nobody_asked_for_is_kept(host, ahead, newcomer, hashed):
    """A job that failed before its swap."""
    ahead.begin([newcomer])
    assert ahead.reader.wait(20)
    ahead.end()
    assert cached(host, newcomer) == content_hash(newcomer)
    assert hashed == []


def test_the_end_of_a_job_ends_the_reading(host, ahead, newcomer, hashed, one_chunk_only):
    ahead.begin([newcomer])
    assert not ahead.reader.wait(0.2)
    ahead.end()
    assert ahead.reader.wait(0)
    assert cached(host, newcomer) is None
    assert hashed == []


def test_a_job_that_fails_ends_the_reading(host, ahead, newcomer, one_chunk_only, monkeypatch):
    job = host.processing.StableDiffusionProcessingTxt2Img

    def fail(*_args, **_kwargs):
        assert ahead.reader.path == newcomer.filename
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(job, "sample", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            host.run(host.job(True, newcomer.name))
    assert ahead.reader.path is None


def test_a_piece_of_a_job_ends_the_reading(host, ahead, newcomer):
    """X/Y/Z plot closes only the whole job."""
    host.shared.state.begin(job="test")
    host.processing.process_images(host.job(True, newcomer.name))
    host.shared.state.end()
    assert ahead.reader.path is None


def test_an_interrupt_ends_the_reading(host, ahead, newcomer, hashed, monkeypatch):
    rested = []
    monkeypatch.setattr(reader, "_give_way", lambda stop: lambda: rested.append(stop.wait(0.1)))
    host.shared.state.begin(job="test")
    ahead.begin([newcomer])
    host.shared.state.interrupt()
    assert ahead.reader.wait(5)
    assert len(rested) < 3
    host.shared.state.end()
    newcomer.calculate_shorthash()
    assert newcomer.sha256 == content_hash(newcomer)
    assert hashed == []


def test_a_known_hash_is_not_made_again(host, ahead, newcomer, monkeypatch):
    newcomer.calculate_shorthash()
    for available, path in ((15 * MB, None), (None, None), (100 * MB, newcomer.filename)):
        memory(monkeypatch, available)
        ahead.begin([newcomer])
        assert ahead.reader.path == path
    assert ahead.reader.wait(20)
    assert ahead.reader.digest is None


def test_an_unknown_hash_is_made_without_memory_too(host, ahead, newcomer, monkeypatch):
    memory(monkeypatch, 0)
    ahead.begin([newcomer])
    assert ahead.reader.wait(20)
    assert ahead.reader.digest == content_hash(newcomer)


def test_no_hashing_is_honoured(host, ahead, newcomer, monkeypatch):
    monkeypatch.setattr(host.shared.cmd_opts, "no_hashing", True)
    memory(monkeypatch, 0)
    ahead.begin([newcomer])
    assert ahead.reader.path is None
    memory(monkeypatch, 100 * MB)
    ahead.begin([newcomer])
    assert ahead.reader.wait(20)
    assert ahead.reader.digest is None
    ahead.end()
    assert cached(host, newcomer) is None


def test_off_by_its_setting(host, ahead, newcomer, monkeypatch):
    monkeypatch.setitem(host.shared.opts.data, READ_AHEAD, False)
    ahead.begin([newcomer])
    assert ahead.reader.path is None


def test_a_file_that_is_gone_is_left_to_the_webui(host, ahead, newcomer):
    Path(newcomer.filename).unlink()
    ahead.begin([newcomer])
    assert ahead.reader.path is None
    ahead.end()


def test_memory_is_asked_for_or_unknown(host, monkeypatch):
    from lib_multipass.webui.a1111 import hardware

    assert hardware.ram_free() > MB
    monkeypatch.setattr(hardware, "psutil", None)
    assert hardware.ram_free() is None
