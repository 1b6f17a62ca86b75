"""The plan as people read it, and the console line at the end of a job."""

import pytest

from lib_multipass.plan.forecast import FACES, FIRST, REFINER, SECOND, Forecast, Kept, MemoryReport, Pass
from lib_multipass.plan.report import Journal, Made, Swap
from lib_multipass.words import count_text, size_text

CARTOON, PHOTO = ("cartoon", "SD 1.x", 2_132_000_000), ("photo", "SDXL", 6_938_000_000)
PASSES = (Pass(FIRST, *CARTOON), Pass(SECOND, *PHOTO), Pass(FACES, *PHOTO))


def forecast(*places, vram=None, passes=PASSES, **memory):
    kept = [Kept(name, size, "disk", then) for (name, _, size), then in zip((CARTOON, PHOTO), places, strict=True)]
    return Forecast(passes, tuple(kept), MemoryReport(vram_free=vram, **memory), "Automatic")


def test_the_line_of_a_plan():
    plan = forecast("VRAM", "VRAM", vram=14_000_000_000, vram_total=24_000_000_000, vram_needed=9_070_000_000)
    assert plan.text() == (
        "1 cartoon · SD 1.x · 2.1 GB → 2 photo · SDXL · 6.9 GB → faces: photo — "
        "2 checkpoints stay in VRAM (9.1 of 14.0 GB free)"
    )


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (("RAM", "RAM"), "2 checkpoints stay in RAM (9.1 of 20.0 GB free)"),
        (("VRAM", "RAM"), "1 checkpoint stays in VRAM, 1 checkpoint stays in RAM (9.1 of 20.0 GB free)"),
        (("RAM", "disk"), "1 checkpoint stays in RAM, photo is loaded every time (9.1 of 20.0 GB free)"),
        (("disk", "disk"), "cartoon, photo are loaded every time"),
    ],
)
def test_what_is_kept(places, words):
    assert forecast(*places, ram_free=20_000_000_000, ram_needed=9_070_000_000).text().endswith(f" — {words}")


def test_what_lies_there_already_counts_as_free():
    plan = forecast("VRAM", "VRAM", vram=10_000_000_000, vram_needed=9_070_000_000)
    there = [Kept(kept.checkpoint, kept.bytes, "VRAM", kept.then) for kept in plan.checkpoints]
    assert Forecast(PASSES, tuple(there), plan.memory, "Automatic").text().endswith("(9.1 of 19.1 GB free)")


def test_a_checkpoint_is_described_once():
    passes = (*PASSES[:2], Pass(FACES, *CARTOON), Pass(REFINER, "fine", "SDXL refiner", 6_075_000_000))
    text = forecast("RAM", "RAM", passes=passes).text()
    assert "→ faces: cartoon → refiner: fine · SDXL refiner · 6.1 GB —" in text


def test_the_console_line():
    journal, plan = Journal(), forecast("RAM", "RAM")
    assert journal.line(plan) == f"{plan.text()} — no swap, 0 loads from disk"
    journal.swaps += [Swap("photo", 5.0, 1), Swap("cartoon", 0.5, 0), Swap("photo", 1.0, 0)]
    assert journal.line(plan) == (f"{plan.text()} — 3 swaps (to photo 2 × 3.00 s, to cartoon 0.50 s), 1 load from disk")


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when they are added."""
    now = [100.0]
    monkeypatch.setattr("lib_multipass.plan.report.time.perf_counter", lambda: now[0])
    return now


def test_a_pass_takes_its_own_time_alone(clock):
    """The webui makes the second pass in the middle of the first one's function, and the swap in the second one's."""
    journal = Journal()
    with journal.making(FIRST, "cartoon"):
        clock[0] += 3
        with journal.making(SECOND, "photo"):
            clock[0] += 5
            journal.swapped(Swap("photo", 5.0, 1))
            with journal.making(FIRST, "cartoon"):  # of a later batch, made ahead
                clock[0] += 2
            clock[0] += 4
    clock[0] += 1
    journal.close()
    assert journal.passes == [Made(FIRST, "cartoon", 2.0), Made(SECOND, "photo", 4.0), Made(FIRST, "cartoon", 3.0)]
    assert journal.seconds == 15.0
    assert journal.summary() == "15.0 s, 1 swap, 1 load from disk"


def test_a_pass_that_is_known_is_not_one_that_was_made(clock):
    journal = Journal()
    with journal.making(FIRST, "cartoon"):
        journal.known("first pass")
        with journal.making(SECOND, "photo"):
            journal.known("enlarged picture")
            clock[0] += 4
    assert journal.passes == [Made(SECOND, "photo", 4.0)]
    journal.close()
    assert journal.summary() == "4.0 s, no swap, 0 loads from disk; not made again: first pass, enlarged picture"


def test_a_pass_that_fails_has_ended(clock):
    journal = Journal()
    with pytest.raises(ValueError, match="broken"), journal.making(FIRST, "cartoon"):
        raise ValueError("broken")
    journal.swapped(Swap("photo", 1.0, 0))
    with journal.making(FACES, "photo"):
        clock[0] += 1
    assert journal.passes[-1] == Made(FACES, "photo", 1.0)


def test_numbers_for_people():
    assert [size_text(n) for n in (0, 6_900_000, 999_000_000, 1_000_000_000)] == ["0 MB", "7 MB", "999 MB", "1.0 GB"]
    assert [count_text(n, "load") for n in (0, 1, 2)] == ["0 loads", "1 load", "2 loads"]
