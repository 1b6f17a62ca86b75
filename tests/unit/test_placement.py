"""Where checkpoints are kept: examples, and what must hold whatever there is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_multipass.memory.placement import (
    AUTOMATIC,
    DISK,
    IN_RAM,
    IN_VRAM,
    MOST,
    RAM,
    VRAM,
    Cap,
    Decision,
    Memory,
    Model,
    decide,
)

GB = 10**9


def model(name, size, **more):
    return Model(f"/{name}", name, int(size * GB), **more)


A, B, C = model("a", 2, place=VRAM), model("b", 2), model("c", 2)


def places(decision: Decision) -> str:
    return " ".join(f"{decision.names[file]}:{place}" for file, place in decision.places.items())


def memory(vram=None, ram=64.0, vram_reserve=0.0, ram_reserve=0.0):
    amounts = (vram, ram, vram_reserve, ram_reserve)
    return Memory(*(None if amount is None else int(amount * GB) for amount in amounts))


@pytest.mark.parametrize(
    ("given_memory", "expected"),
    [
        (memory(vram=6), "a:VRAM b:VRAM"),
        (memory(vram=2), "a:VRAM b:VRAM"),  # what lies there already does not have to fit again
        (memory(vram=1.9), "a:RAM b:RAM"),
        (memory(vram=4, vram_reserve=2.1), "a:RAM b:RAM"),
        (memory(vram=1, ram=4), "a:RAM b:RAM"),
        (memory(vram=1, ram=3), "a:RAM b:disk"),
        (memory(vram=1, ram=1), "a:disk b:disk"),
        (memory(vram=1, ram=6, ram_reserve=2.1), "a:RAM b:disk"),
        (memory(vram=9, ram=None), "a:VRAM b:VRAM"),
        (memory(vram=1, ram=None), "a:disk b:disk"),
        (memory(ram=4), "a:RAM b:RAM"),
        (memory(ram=None), "a:disk b:disk"),
    ],
)
def test_two_checkpoints(given_memory, expected):
    assert places(decide([A, B], given_memory, AUTOMATIC)) == expected


def test_without_vram_the_active_one_takes_ram_too():
    loaded = [replace(A, place=RAM), B, C]
    assert places(decide(loaded, memory(ram=4), AUTOMATIC)) == "a:RAM b:RAM c:RAM"
    assert places(decide(loaded, memory(ram=3.9), AUTOMATIC)).count(DISK) == 2  # one stays, two take turns
    assert places(decide(loaded, memory(ram=1.9), AUTOMATIC)).count(DISK) == 3


def test_a_part_of_them_in_vram():
    decision = decide([A, B, C], memory(vram=3, ram=9), AUTOMATIC)
    assert places(decision) == "a:RAM b:RAM c:VRAM" or places(decision).count(VRAM) == 1
    assert decision.vram == 4 * GB
    assert decision.ram == 4 * GB
    assert "wait in RAM: 5.0 GB of VRAM" in decision.reason


def test_the_most_used_ones_are_kept():
    often = replace(B, uses=3)
    decision = decide([A, often, C], memory(vram=0, ram=4.5), AUTOMATIC)
    assert places(decision) == "a:RAM b:RAM c:disk"
    assert decision.reason == "c will be loaded every time: 4.5 GB of RAM can be planned with, 0 MB stay free."
    assert places(decide([A, B, replace(C, uses=3)], memory(vram=0, ram=4.5), AUTOMATIC)) == "a:RAM b:disk c:RAM"


def test_two_that_are_not_kept_are_loaded_into_each_other():
    """The webui moves the one to RAM to load the other into it, beside those that wait there."""
    often = replace(B, uses=3)
    assert places(decide([A, often, C], memory(vram=0, ram=3.9), AUTOMATIC)) == "a:disk b:disk c:disk"
    small = replace(often, size=GB)
    assert places(decide([A, small, C], memory(vram=0, ram=2.9), AUTOMATIC)) == "a:disk b:disk c:disk"
    assert places(decide([A, small, C], memory(vram=0, ram=3), AUTOMATIC)) == "a:RAM b:RAM c:disk"
    tight = [replace(A, size=3 * GB), small, replace(C, size=3 * GB)]
    assert places(decide(tight, memory(vram=0, ram=3.9), AUTOMATIC)) == "a:disk b:disk c:disk"


def test_more_small_ones_are_better_than_a_large_one():
    models = [model("a", 1), model("b", 1), model("c", 6)]
    assert places(decide(models, memory(vram=0, ram=6.5), AUTOMATIC)) == "a:RAM b:RAM c:disk"


def test_the_wish_is_the_most():
    assert places(decide([A, B], memory(vram=99), IN_RAM)) == "a:RAM b:RAM"
    assert decide([A, B], memory(vram=99), IN_RAM).reason == ""
    assert places(decide([A, B], memory(vram=99), IN_VRAM)) == "a:VRAM b:VRAM"


def test_copies_for_loras_count():
    tagged = [replace(A, copies=2 * GB), replace(B, copies=2 * GB)]
    assert places(decide(tagged, memory(vram=99, ram=4), AUTOMATIC)) == "a:VRAM b:VRAM"
    assert places(decide(tagged, memory(vram=99, ram=3.9), AUTOMATIC)).count(DISK) == 2  # one not kept makes them too
    assert places(decide(tagged, memory(vram=0, ram=8), AUTOMATIC)) == "a:RAM b:RAM"
    assert places(decide(tagged, memory(vram=0, ram=7.9), AUTOMATIC)).count(DISK) == 1
    assert places(decide(tagged, memory(vram=0, ram=5.9), AUTOMATIC)).count(DISK) == 2


def test_parts_are_left_to_the_webui():
    split = [replace(A, split=True, place=RAM), replace(B, split=True)]
    decision = decide(split, memory(vram=99), AUTOMATIC)
    assert places(decision) == "a:RAM b:RAM"
    assert "--medvram" in decision.reason


def test_a_split_one_lies_in_ram_while_it_is_active():
    """An SDXL pair in a computer with 16 GB: with one kept, the other would lie there beside it."""
    pair = [model("a", 6.94, split=True, resident=5.2 * GB), model("b", 6.94, split=True, resident=5.2 * GB)]
    decision = decide(pair, memory(vram=7, ram=10.5, ram_reserve=2), AUTOMATIC)
    assert places(decision) == "a:disk b:disk"
    assert decision.ram == pytest.approx(6.94 * GB)
    decision = decide(pair, memory(vram=7, ram=15.9, ram_reserve=2), AUTOMATIC)
    assert places(decision) == "a:RAM b:RAM"
    assert decision.ram == pytest.approx(13.88 * GB)
    assert decision.vram == pytest.approx(5.2 * GB)


def test_what_a_split_one_has_on_the_device_is_free_there_and_not_in_ram():
    pair = [replace(A, split=True, resident=GB, place=RAM, held=GB), model("b", 2)]
    assert places(decide(pair, memory(vram=1, ram=1), AUTOMATIC)) == "a:RAM b:disk"
    assert places(decide(pair, memory(vram=2, ram=1), AUTOMATIC)) == "a:RAM b:VRAM"  # 2 + 1 + 0 of 3
    assert places(decide(pair, memory(vram=9, ram=0.9), AUTOMATIC)) == "a:disk b:VRAM"


def test_a_file_that_is_read_into_ram_needs_room():
    """A ``.ckpt`` lies beside the model that is made of it."""
    read = [replace(A, place=RAM, reading=3 * GB), replace(B, reading=3 * GB)]
    assert places(decide(read, memory(ram=5), AUTOMATIC)) == "a:RAM b:RAM"  # 4 beside 3, of 5 + 2
    assert places(decide(read, memory(ram=4.9), AUTOMATIC)) == "a:disk b:disk"
    assert places(decide(read, memory(vram=0, ram=3), AUTOMATIC)) == "a:RAM b:RAM"
    assert places(decide(read, memory(vram=0, ram=2.9), AUTOMATIC)) == "a:disk b:disk"
    loaded = [replace(checkpoint, place=RAM) for checkpoint in read]
    assert places(decide(loaded, memory(ram=0), AUTOMATIC)) == "a:RAM b:RAM"


def test_a_file_that_is_read_into_vram_needs_room_there():
    """``--lowram``."""
    read = [A, replace(B, reading_vram=3 * GB)]
    assert places(decide(read, memory(vram=5), AUTOMATIC)) == "a:VRAM b:VRAM"
    assert places(decide(read, memory(vram=4.9), AUTOMATIC)) == "a:RAM b:VRAM"
    assert places(decide(read, memory(vram=2.9), AUTOMATIC)) == "a:RAM b:RAM"


def test_a_copy_of_its_own_vae_stays_on_the_device():
    pair = [replace(A, size=3 * GB, beside=GB), replace(B, size=3 * GB, beside=GB)]
    decision = decide(pair, memory(vram=2, ram=64), AUTOMATIC)
    assert places(decision) == "a:RAM b:RAM"
    assert decision.vram == 4 * GB
    third = model("c", 1)
    assert places(decide([*pair, third], memory(vram=2, ram=64), AUTOMATIC)) == "a:RAM b:RAM c:VRAM"
    assert places(decide([*pair, third], memory(vram=1.9, ram=64), AUTOMATIC)) == "a:RAM b:RAM c:RAM"


def test_after_running_out_of_memory():
    decision = decide([A, B, C], memory(vram=99), AUTOMATIC, cap=Cap(vram=False))
    assert places(decision) == "a:RAM b:RAM c:RAM"
    assert decision.reason.endswith("with pictures as large or smaller, ran out of VRAM.")
    decision = decide([A, B, C], memory(vram=99), AUTOMATIC, cap=Cap(vram=False, count=1))
    assert places(decision).count(DISK) == 2
    assert decision.reason.endswith("loaded every time: an earlier job with these ran out of RAM.")
    decision = decide([A, B, C], memory(vram=99), AUTOMATIC, cap=Cap(count=0))
    assert places(decision) == "a:VRAM b:VRAM c:VRAM"


def test_others_on_the_device_stay_only_as_long_as_there_is_room():
    """Also where all that the job needs waits in RAM."""
    other = model("x", 3, place=VRAM)

    def staying(vram, **more):
        return decide([A, B], memory(vram=vram), more.pop("wish", AUTOMATIC), others=[other], most_others=1, **more)

    room = staying(0)
    assert (places(room), room.others) == ("a:VRAM b:VRAM", ())  # 0 + 2 + 3
    assert staying(2).others == ("/x",)
    assert staying(2, cap=Cap(vram=False)).others == ()
    assert staying(9, wish=IN_RAM).others == ()
    large = [replace(A, size=4 * GB, place=DISK), replace(B, size=4 * GB)]
    tight = decide(large, memory(vram=2), AUTOMATIC, others=[other], most_others=1)
    assert (places(tight), tight.others) == ("a:RAM b:RAM", ())
    assert decide(large, memory(vram=4), AUTOMATIC, others=[other], most_others=1).others == ("/x",)


def test_others_stay_only_as_long_as_there_is_room():
    other = model("x", 3, place=RAM)

    def staying(ram, most=1):
        return decide([A, B], memory(vram=0, ram=ram), AUTOMATIC, others=[other], most_others=most).others

    assert staying(4) == ("/x",)
    assert staying(3.9) == ()
    assert staying(4, most=0) == ()
    assert places(decide([A, B], memory(vram=0, ram=1), AUTOMATIC, others=[other], most_others=1)) == "a:RAM b:RAM"


def test_no_more_is_planned_with_than_the_device_has():
    """What its models take is estimated, and may come out too large, as that of a ``.ckpt``."""
    pair = [replace(A, size=9 * GB), model("b", 2)]
    free = replace(memory(vram=8, vram_reserve=1), vram_total=12 * GB)
    assert places(decide(pair, free, AUTOMATIC)) == "a:VRAM b:VRAM"  # 11 of 12, less 1
    tight = decide(pair, replace(free, vram_reserve=GB + 1), AUTOMATIC)
    assert places(tight) == "a:RAM b:RAM"
    assert tight.reason.startswith("b and a will wait in RAM: 11.0 GB of VRAM can be planned with")


def test_a_crowd():
    crowd = [model(f"m{n}", 1) for n in range(MOST + 4)]
    decision = decide(crowd, memory(vram=0, ram=99), AUTOMATIC)
    assert len(decision.kept) == MOST


SIZES = st.integers(0, 20)


def resident(model):
    return model.size // 2 if model.split else None


MODELS = st.lists(
    st.builds(
        Model,
        file=st.just(""),
        name=st.just("m"),
        size=SIZES,
        uses=st.integers(1, 3),
        place=st.sampled_from((VRAM, RAM, DISK)),
        copies=st.integers(0, 3),
        split=st.booleans(),
        reading=st.integers(0, 5),
    ),
    min_size=1,
    max_size=5,
).map(
    lambda models: [
        replace(m, file=str(n), place=RAM if m.split and m.place == VRAM else m.place, resident=resident(m))
        for n, m in enumerate(models)
    ]
)
AMOUNT = st.none() | st.integers(0, 60)
MEMORY = st.builds(Memory, AMOUNT, AMOUNT, st.integers(0, 20), st.integers(0, 20))
WISH = st.sampled_from((AUTOMATIC, IN_VRAM, IN_RAM))
CAPS = st.builds(Cap, st.booleans(), st.integers(0, 6))


def without_vram(models, given_memory):
    """Where the device has no memory, nothing lies in it."""
    return [replace(m, place=RAM) if given_memory.vram is None and m.place == VRAM else m for m in models]


@given(MODELS, MEMORY, WISH, CAPS)
def test_nothing_is_planned_beyond_what_is_free(models, given_memory, wish, cap):
    """Counted anew, step by step: each checkpoint is made active in turn, the others lie where they are kept."""
    models = without_vram(models, given_memory)
    decision = decide(models, given_memory, wish, cap=cap)
    if not decision.kept:
        return
    now = {place: sum(m.size for m in models if m.place == place) for place in (VRAM, RAM)}
    on_device = VRAM in decision.places.values()
    waits_in_ram = any(m.copies or decision.places[m.file] == RAM for m in models if m.file in decision.kept)
    for active in models:
        lying = [m for m in models if decision.places[m.file] != DISK or m is active]
        copies = sum(m.copies for m in lying)
        if given_memory.vram is None:
            in_vram, in_ram = 0, sum(m.size for m in lying)
        else:
            in_vram = sum(m.size for m in lying if m is not active and decision.places[m.file] == VRAM)
            in_vram += active.size if active.resident is None else active.resident
            in_ram = sum(m.size for m in lying if decision.places[m.file] == RAM or (m is active and m.split))
        if on_device:
            assert in_vram <= given_memory.vram + now[VRAM] - given_memory.vram_reserve
        if waits_in_ram:
            assert in_ram + copies <= given_memory.ram + now[RAM] - given_memory.ram_reserve


@given(MODELS, MEMORY, WISH, CAPS, st.integers(0, 30), st.integers(0, 30))
def test_more_memory_never_keeps_fewer(models, given_memory, wish, cap, more_vram, more_ram):
    models = without_vram(models, given_memory)
    larger = replace(
        given_memory,
        vram=None if given_memory.vram is None else given_memory.vram + more_vram,
        ram=None if given_memory.ram is None else given_memory.ram + more_ram,
    )
    less, more = (decide(models, amount, wish, cap=cap) for amount in (given_memory, larger))
    assert len(more.kept) >= len(less.kept)
    if not more_ram:
        assert (len(more.kept), len(more.at(VRAM))) >= (len(less.kept), len(less.at(VRAM)))


@given(MODELS, MEMORY, WISH, CAPS)
def test_the_wish_and_the_cap_are_never_exceeded(models, given_memory, wish, cap):
    decision = decide(without_vram(models, given_memory), given_memory, wish, cap=cap)
    if wish == IN_RAM or not cap.vram or given_memory.vram is None:
        assert decision.at(VRAM) == []
    assert len(decision.at(RAM)) <= cap.count
    assert not {m.file for m in models if m.split} & set(decision.at(VRAM))


@given(MODELS, MEMORY, WISH, CAPS, st.randoms())
def test_equal_input_gives_an_equal_plan(models, given_memory, wish, cap, chance):
    models = without_vram(models, given_memory)
    decision = decide(models, given_memory, wish, cap=cap)
    assert decide(list(models), given_memory, wish, cap=cap) == decision
    shuffled = list(models)
    chance.shuffle(shuffled)
    assert decide(shuffled, given_memory, wish, cap=cap).places == decision.places


@given(MODELS, MODELS, MEMORY, WISH, st.integers(0, 5))
def test_others_never_cost_a_place(models, others, given_memory, wish, most):
    models = without_vram(models, given_memory)
    others = [
        replace(m, file=f"other {n}") for n, m in enumerate(without_vram(others, given_memory)) if m.place != DISK
    ]
    freed = replace(
        given_memory,
        vram=None if given_memory.vram is None else given_memory.vram + sum(m.size for m in others if m.place == VRAM),
        ram=None if given_memory.ram is None else given_memory.ram + sum(m.size for m in others if m.place == RAM),
    )
    decision = decide(models, given_memory, wish, others=others, most_others=most)
    assert decision.places == decide(models, freed, wish).places
    assert len(decision.others) <= most


def test_what_lies_at_home_besides_is_free_without_it() -> None:
    """*Fast swaps*: the active one's weights are in RAM as well."""
    active, waiting = model("a", 2, place=VRAM, at_home=2 * GB), model("b", 2, place=RAM)
    little = memory(vram=1.9, ram=0)
    assert places(decide([active, waiting], little, AUTOMATIC)) == "a:RAM b:RAM"
    assert places(decide([replace(active, at_home=0), waiting], little, AUTOMATIC)) == "a:RAM b:disk"


def test_what_has_a_home_needs_no_copies_for_networks() -> None:
    pair = [model("a", 2, place=RAM, copies=GB), model("b", 2, place=RAM, copies=GB)]
    little = memory(vram=1.9, ram=0.5)
    assert places(decide(pair, little, AUTOMATIC)) != "a:RAM b:RAM"
    decision = decide(pair, replace(little, homes=True), AUTOMATIC)
    assert places(decision) == "a:RAM b:RAM"
    assert (decision.homes, decision.ram) == (True, 4 * GB)
    on_the_card = decide(pair, replace(memory(vram=9, ram=0), homes=True), AUTOMATIC)
    assert (places(on_the_card), on_the_card.ram) == ("a:VRAM b:VRAM", 2 * GB)
