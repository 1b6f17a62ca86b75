"""The fuzzer: a short run of each target, and that what breaks a rule is found."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys

import pytest

from support import fuzz_targets, fuzz_watch
from support.fuzz_watch import LARGEST, SAMPLED, Source, ViolationError, Watch
from support.webuis import REPOSITORY

FUZZ = REPOSITORY / "tools" / "fuzz.py"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", fuzz_targets.TARGETS)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris does not exist for this Python")
def test_a_short_run(name, scale):
    short, (seed,) = scale.of(500, 10_000), scale.seeds(1, 1, 1)
    command = [sys.executable, str(FUZZ), name, "--executions", str(short), "--seed", str(seed)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{name}: {short:,} executions in " in run.stdout
    assert "slowest" in run.stdout
    assert "largest allocation" in run.stdout


@pytest.mark.parametrize("name", fuzz_targets.TARGETS)
def test_unguided(name, tmp_path):
    """Without atheris too: the same rules for inputs that are only random."""
    dice = random.Random(7)
    watch = Watch(name, fuzz_targets.TARGETS[name], tmp_path)
    for seed in fuzz_targets.seeds(name):
        watch.execute(seed)
    for _ in range(300):
        watch.execute(dice.randbytes(dice.randrange(600)))
    assert list(tmp_path.iterdir()) == []


def test_without_atheris_it_says_so(tmp_path):
    (tmp_path / "atheris.py").write_text("raise ImportError('no wheel')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.path.append({str(FUZZ.parent)!r}); import fuzz; "
    code += "sys.exit(fuzz.main(['args']))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("The fuzzer needs atheris, which cannot be imported here (no wheel);")


def failing(source):
    raise KeyError(source.below(9))


def slow(source):
    sum(range(20_000_000))


def large(source):
    bytearray(LARGEST + 1000)


BROKEN = {failing: "it raised\nTraceback", slow: "ms of processor time", large: "bytes at once"}


@pytest.mark.parametrize("target", BROKEN, ids=lambda target: target.__name__)
def test_what_breaks_a_rule_is_found_and_saved(target, tmp_path):
    watch = Watch("args", target, tmp_path / "found")
    with pytest.raises(ViolationError, match=BROKEN[target]):
        watch.execute(b"abc")
    (saved,) = (tmp_path / "found").iterdir()
    assert saved.read_bytes() == b"abc"
    assert str(watch).startswith("args: 1 executions in ")


def test_allocations_are_found_between_the_samples(tmp_path, monkeypatch):
    """By the process's own size, when it has never been so large before."""
    resident = [5000]
    monkeypatch.setattr(fuzz_watch, "_most_resident", lambda: resident[0])

    def growing(source):
        if source:
            resident[0] += bytearray(LARGEST + 1000)[0] + 1

    watch = Watch("args", growing, tmp_path)
    for _ in range(SAMPLED // 2):
        watch.execute(b"")
    assert watch.traced == 1
    with pytest.raises(ViolationError, match="bytes at once"):
        watch.execute(b"now")


def test_a_saved_input_is_executed_again(tmp_path):
    path = tmp_path / "input"
    path.write_bytes(b"\1\2\3")
    command = [sys.executable, str(FUZZ), "args", "--replay", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("args: 1 executions in ")


def test_sources_never_end():
    source = Source(b"\5ab")
    assert (source.below(4), source.raw(9), bool(source)) == (1, b"ab", False)
    assert (source.below(4), source.of("xyz"), source.number(), source.text(), source.rest()) == (0, "x", 0.0, "", b"")


def test_targets_reach_what_they_are_for(tmp_path, monkeypatch):
    """Random bytes alone make settings that are taken, headers that are true, and names that lead to checkpoints."""
    dice, reached = random.Random(3), {"args": 0, "headers": 0, "paste": 0}
    parse, facts, read = (
        fuzz_targets.PassArgs.parse,
        fuzz_targets.read_facts,
        fuzz_targets.pasting.read,
    )

    def counted(name, original, good):
        def call(*args):
            found = original(*args)
            reached[name] += bool(good(found))
            return found

        return call

    monkeypatch.setattr(fuzz_targets.PassArgs, "parse", counted("args", parse, lambda found: found))
    for _ in range(300):
        fuzz_targets.parse_args(Source(dice.randbytes(300)))
    monkeypatch.setattr(fuzz_targets, "read_facts", counted("headers", facts, lambda found: found.parameters))
    for _ in range(300):
        fuzz_targets.read_header(Source(b"\2" + dice.randbytes(dice.randrange(80))))
    monkeypatch.setattr(fuzz_targets.pasting, "read", counted("paste", read, lambda found: found.found))
    for _ in range(100):
        fuzz_targets.read_paste(Source(dice.randbytes(300)))
    assert min(reached.values()) >= 5, reached
