"""Who moves fast on a pretended card, who never does, and that nothing of it stays."""

from __future__ import annotations

import pytest

from support.jobs import A, B, C
from support.moves import begin, lies, picture, planned, refused, render
from support.pretended import empty

FAST = "multipass_fast_swaps"


@pytest.fixture
def moving(small, monkeypatch):
    """The miniature on a card, with *Fast swaps*."""
    small.expected, small.pair = picture(small), pair(small)
    empty(small.host)
    monkeypatch.setitem(small.host.shared.opts.data, FAST, True)
    yield small
    from lib_multipass.state import kept
    from lib_multipass.webui import host

    host.models.let_go(None)
    kept.pins = None  # a driver that has refused once is not asked again


def pair(bench):
    return bench.host.run(bench.host.job(True, B)).images[0].tobytes()


def movers():
    from lib_multipass.state import kept

    return {mover.model().sd_checkpoint_info.name_for_extra: mover for mover in kept.movers}


def replaced(bench):
    loaded = bench.host.sd_models.model_data.loaded_sd_models
    return sorted(
        model.sd_checkpoint_info.name_for_extra
        for model in loaded
        for module in model.modules()
        if "to" in vars(module)
    )


def away():
    return {name: [home.is_away for home in mover.homes] for name, mover in movers().items()}


def test_what_waits_in_ram_moves_fast(moving):
    device = begin(moving, 1.5)
    for _ in range(2):
        forecast, story = render(moving, True, B)
        assert planned(forecast) == {A: "RAM", B: "RAM"}
    assert ("to device", B) in story
    assert away() == {A: [False], B: [True]}
    assert lies(moving) == {A: "RAM", B: "VRAM"}
    assert sum(device.locked.values()) >= 2 * moving.size
    assert replaced(moving) == [A, B]


def test_what_stays_on_the_card_does_not(moving):
    begin(moving, 3)
    forecast, _ = render(moving, True, B)
    assert planned(forecast) == {A: "VRAM", B: "VRAM"}
    assert movers() == {}


def test_nor_does_anything_where_it_is_off(moving, monkeypatch):
    monkeypatch.setitem(moving.host.shared.opts.data, FAST, False)
    device = begin(moving, 1.5)
    render(moving, True, B)
    assert (movers(), device.locked) == ({}, {})


@pytest.mark.parametrize(("flag", "fast"), [("on", True), ("off", False)])
def test_the_flag_wins(moving, monkeypatch, flag, fast):
    monkeypatch.setitem(moving.host.shared.opts.data, FAST, not fast)
    monkeypatch.setattr(moving.host.shared.cmd_opts, FAST, flag)
    begin(moving, 1.5)
    render(moving, True, B)
    assert bool(movers()) is fast


def test_a_processor_has_nothing_to_move_to(moving):
    assert pair(moving) == moving.pair
    assert movers() == {}


def test_pictures_are_those_of_the_processor(moving):
    begin(moving, 1.5)
    for _ in range(3):
        assert pair(moving) == moving.pair
    assert picture(moving) == moving.expected


def test_a_plain_job_takes_all_of_it_back(moving):
    device = begin(moving, 1.5)
    render(moving, True, B)
    assert movers()
    moving.host.run(moving.host.job())
    assert (movers(), replaced(moving), device.locked) == ({}, [], {})


def test_so_does_a_release(moving):
    from lib_multipass.api import release

    device = begin(moving, 1.5)
    render(moving, True, B)
    release.release()
    assert (movers(), replaced(moving), device.locked) == ({}, [], {})


def test_so_does_reload_ui(moving):
    device = begin(moving, 1.5)
    render(moving, True, B)
    moving.host.reload_ui()
    assert (movers(), replaced(moving), device.locked) == ({}, [], {})
    render(moving, True, B)
    assert sorted(movers()) == [A, B]


def test_who_is_thrown_away_leaves_nothing(moving):
    device = begin(moving, 1.5)
    for _ in range(2):
        render(moving, True, B)
    before = sum(device.locked.values())
    moving.host.sd_models.send_model_to_trash(moving.model(A))
    assert away() == {A: [False], B: [True]}
    assert sum(device.locked.values()) < before
    from lib_multipass.webui import host

    host.models.read_anew(moving.model(A))
    assert sorted(movers()) == [B]
    assert all(address in device.locked for mover in movers().values() for address in pages(mover))


def pages(mover):
    return [chunk.pages.data_ptr() for home in mover.homes for chunk in home.chunks]


def test_another_pair_takes_its_turn(moving):
    device = begin(moving, 1.5)
    render(moving, True, B)
    forecast, _ = render(moving, True, C)
    assert planned(forecast) == {A: "RAM", C: "RAM"}
    assert sorted(movers()) == [A, C]
    assert set(device.locked) == {address for mover in movers().values() for address in pages(mover)}


def test_a_card_that_is_full_leaves_them_whole(moving, monkeypatch):
    device = begin(moving, 1.5)
    render(moving, True, B)
    total, device.total = device.total, int(device.used / 2)
    refused(moving, True, B)
    device.total = total
    assert pair(moving) == moving.pair
    assert picture(moving) == moving.expected


def test_a_driver_that_locks_nothing(moving):
    device = begin(moving, 1.5)
    device.locks = False
    for _ in range(2):
        assert pair(moving) == moving.pair
    from lib_multipass.state import kept

    assert kept.pins.is_refused
    assert sorted(movers()) == [A, B]
    assert device.locked == {}


def test_a_computer_without_memory_for_it_moves_as_ever(moving, monkeypatch):
    from lib_multipass.webui.a1111 import homes

    def refuse(size):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 268435456 bytes.")

    monkeypatch.setattr(homes, "own_pages", refuse)
    begin(moving, 1.5)
    for _ in range(2):
        forecast, _ = render(moving, True, B)
    assert planned(forecast) == {A: "RAM", B: "RAM"}
    assert lies(moving) == {A: "RAM", B: "VRAM"}
    assert away() == {A: [False], B: [False]}


@pytest.mark.parametrize("flag", ["medvram", "lowvram"])
def test_parts_move_fast_by_themselves(moving, monkeypatch, flag):
    monkeypatch.setattr(moving.host.shared.cmd_opts, flag, True)
    monkeypatch.setattr(moving.host.lowvram, "module_in_gpu", None)
    device = begin(moving, 3)
    for _ in range(2):
        render(moving, True, B)
    assert {name: len(homes) for name, homes in away().items()} == {A: 3, B: 3}
    assert sum(sum(homes) for homes in away().values()) <= 1
    model = moving.model(A)
    assert all("to" in vars(part) for part in model.parts())
    moving.host.sd_models.send_model_to_trash(moving.model(A))
    assert sorted(movers()) == [B]
    assert device.ooms == 0


def test_the_plan_counts_what_lies_twice(moving):
    begin(moving, 1.5)
    for _ in range(2):
        render(moving, True, B)
    from lib_multipass.webui import host
    from lib_multipass.webui.a1111 import gathering

    for name, least in ((A, 0), (B, moving.size)):
        info = moving.model(name).sd_checkpoint_info
        known = gathering.model_of(info, host.files.facts_of(info), False)
        assert (known.at_home > 0) is (least > 0)
        assert known.at_home >= least


def test_somebody_elses_move_stays(moving):
    """Another extension has replaced it, first after us and then before us."""
    begin(moving, 1.5)
    render(moving, True, B)
    moved, model = [], moving.model(A)
    ours = vars(model)["to"]

    def theirs(*args, **kwargs):
        moved.append(args)
        return ours(*args, **kwargs)

    model.to = theirs
    moving.host.run(moving.host.job())
    assert moving.model(A) is model
    assert vars(model)["to"] is theirs
    moved.clear()
    for _ in range(2):
        render(moving, True, B)
    assert vars(model)["to"] not in (ours, theirs)
    assert moved
    assert lies(moving) == {A: "RAM", B: "VRAM"}
    moving.host.run(moving.host.job())
    assert vars(model)["to"] is theirs
