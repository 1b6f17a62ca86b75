"""Models of which the webui moves one part at a time to the device, move for move."""

from __future__ import annotations

import pytest

from support.jobs import A, B, C
from support.moves import FACES, PIXELS, begin, lies, only_planned, picture, planned, refused, render
from support.pretended import empty


@pytest.fixture(params=["medvram", "lowvram"])
def split(small, monkeypatch, request):
    small.expected = picture(small)
    empty(small.host)
    monkeypatch.setattr(small.host.shared.cmd_opts, request.param, True)
    monkeypatch.setattr(small.host.lowvram, "module_in_gpu", None)
    return small


def begin_split(bench, room, **more):
    """A device with room for so many parts as large as the largest, beside the pictures."""
    device = begin(bench, 9, **more)
    device.total = int(room * largest(bench)) + 16 * PIXELS
    return device


def largest(bench):
    return max(part.size for part in bench.model(A).parts())


def on_device(bench):
    """The names of the parts of each model that are there, whole or not."""
    models = bench.host.sd_models.model_data.loaded_sd_models
    there = {model.sd_checkpoint_info.name_for_extra: model for model in models}
    return {name: [n for n, part in model.named_children() if part.on_device] for name, model in there.items()}


def test_they_are_left_to_the_webui(split):
    device = begin_split(split, 1.5)
    forecast, _ = render(split, True, B)
    assert planned(forecast) == lies(split) == {A: "RAM", B: "RAM"}
    assert "--medvram or --lowvram" in forecast.reason
    assert forecast.memory.vram_needed == largest(split)
    assert not any(verb in ("to device", "read") for verb, _ in render(split, True, B)[1])
    assert on_device(split) == {B: [], A: []}
    assert device.ooms == 0


def three(bench):
    """Two jobs with three checkpoints, of which the second is used twice; the plan and the moves of the latter."""
    for _ in range(2):
        tab = {**FACES, "ad_use_checkpoint": True, "ad_checkpoint": C}
        p = bench.host.job(True, B, "As set in ADetailer", faces=tab)
        args, start = list(p.script_args), bench.host.script("ADetailer").args_from
        args[start + 3] = {**tab, "ad_checkpoint": B}
        p.script_args = tuple(args)
        bench.story()
        bench.host.run(p)
    return planned(bench.forecast), bench.story()


def test_one_that_is_thrown_away_takes_its_part_off_the_device(split):
    """The webui would try to move that part away in each later job, and fail."""
    begin_split(split, 1.5, host=int(2.5 * split.size))
    places, story = three(split)
    assert places == {A: "disk", B: "RAM", C: "disk"}
    assert ("trash", A) in story
    for _ in range(2):
        assert picture(split) == split.expected


def test_a_part_that_cannot_be_moved_off_is_forgotten(split, monkeypatch):
    begin_split(split, 1.5, host=int(2.5 * split.size))
    three(split)
    lowvram = split.host.lowvram
    send, calls = lowvram.send_everything_to_cpu, []

    def fail_once():
        calls.append(None)
        if len(calls) > 1:
            send()
        elif lowvram.module_in_gpu is not None:
            raise MemoryError
        else:
            calls.clear()

    monkeypatch.setattr(lowvram, "send_everything_to_cpu", fail_once)
    three(split)
    for _ in range(2):
        assert picture(split) == split.expected


@pytest.mark.parametrize("keep", [True, False])
def test_plain_jobs_after_it(split, keep):
    """Its models are let go; with this setting off, the webui leaves a part of the other on the device."""
    begin_split(split, 1.5)
    split.set(keep=keep)
    render(split, True, B)
    assert picture(split) == split.expected
    assert split.host.loaded == [A]
    assert picture(split) == split.expected


def test_an_active_one_lies_in_ram_too(split):
    """Room for one and a half: keeping one of two would take two."""
    size = split.size
    device = begin_split(split, 1.5, host=int(1.5 * size))
    for _ in range(2):
        forecast, _ = render(split, True, B)
        assert planned(forecast) == {A: "disk", B: "disk"}
        assert split.host.loaded == [B]
    assert forecast.memory.ram_needed == size
    assert device.available >= 0
    device.host = int(2 * size)
    assert planned(render(split, True, B)[0]) == {A: "RAM", B: "RAM"}


def test_a_part_that_lies_half_on_the_device_is_put_right(split):
    """It did not fit; the webui takes the one that came before for the one that is there."""
    device = begin_split(split, 1.5)
    render(split, True, B)
    device.busy = device.total - split.model(A).model.size // 2  # another program's
    assert refused(split, True, B) == {A: "RAM", B: "RAM"}
    device.busy = 0
    assert device.used == 0
    assert picture(split) == split.expected
    render(split, True, B)


def test_one_moved_as_a_whole_has_the_device_for_itself(small, monkeypatch):
    """``--medvram-sdxl``: only some are split. What the plan says waits in RAM leaves the device, whatever is set."""
    monkeypatch.setattr(small.host.lowvram, "module_in_gpu", None)
    monkeypatch.setattr(small.host.lowvram, "is_needed", lambda model: model.sd_checkpoint_info.name_for_extra == B)
    device = begin(small, 1.1)
    small.set(keep=False)
    for _ in range(2):
        render(small, True, B)
    assert planned(render(small, True, B)[0]) == {A: "RAM", B: "RAM"}
    assert device.ooms == 0
    small.swap(A)
    assert on_device(small) == {A: [], B: []}
    assert device.used == small.size


def test_what_is_on_the_device_is_not_taken_for_free_in_ram(split):
    """It will be there again when the next part comes."""
    begin_split(split, 1.5, host=int(1.9 * split.size))
    split.model(A).cond_stage_model(["a cat"])
    assert on_device(split) == {A: ["cond_stage_model"]}
    assert planned(only_planned(split, True, B)) == {A: "disk", B: "disk"}


def test_one_that_was_to_be_overwritten_goes_with_its_part(split, monkeypatch):
    """The webui has taken it off its list, and failed to move its part away."""
    begin_split(split, 1.5, host=int(0.5 * split.size))
    render(split, True, B)
    send, calls = split.host.lowvram.send_everything_to_cpu, []

    def fail_the_second_time():
        calls.append(None)
        if len(calls) == 2:
            split.host.shared.sd_model.cond_stage_model(["a cat"])
            raise MemoryError
        send()

    monkeypatch.setattr(split.host.lowvram, "send_everything_to_cpu", fail_the_second_time)
    split.refused(split.host.run, split.host.job(True, B), error=MemoryError)
    assert picture(split) == split.expected
