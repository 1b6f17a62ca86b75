"""What second passes needed of the device, and what was taken beyond it: on a pretended one."""

from __future__ import annotations

import sys

import pytest
import torch

from support.jobs import A, B, C
from support.moves import FACES, PIXELS, begin, lies, only_planned, planned, render


def learnt(bench):
    """Bytes by the estimate of their pass; all of the miniature's checkpoints are of one architecture."""
    from lib_multipass.state import kept

    (known,) = kept.measured.values() or ({},)
    return known


def test_what_a_pass_needed_is_learnt_from_that_pass_alone(small):
    """Not from what was there before it, nor from what comes after it."""
    device = begin(small, 3)
    device.peak = device.total  # of an earlier job, or of another program's work
    render(small, True, B, C, faces=dict(FACES))
    assert learnt(small) == {16 * PIXELS: 16 * PIXELS}
    assert device.peak > device.used


def test_the_webuis_own_device_is_read(small):
    """Torch's current one is another."""
    device = begin(small, 2.1, index=1)
    assert torch.cuda.current_device() == 0
    device.peak = device.total
    assert planned(render(small, True, B)[0]) == lies(small) == {A: "VRAM", B: "VRAM"}
    assert learnt(small) == {16 * PIXELS: 16 * PIXELS}


def test_a_larger_batch_of_smaller_pictures_is_no_larger_job(small, monkeypatch):
    """One picture at a time is decoded, and that may take more than all of them in the diffusion model."""
    from lib_multipass.memory import working

    monkeypatch.setattr(working, "VAE_PER_PIXEL", 100)
    begin(small, 3)
    forecast = only_planned(small, True, B)
    assert only_planned(small, True, B, batch_size=4).memory.vram_reserve == forecast.memory.vram_reserve
    assert forecast.memory.vram_reserve == 400 * PIXELS
    assert only_planned(small, True, B, batch_size=30).memory.vram_reserve == 30 * 16 * PIXELS


@pytest.mark.parametrize(("dtype", "width"), [(torch.float16, 2), (torch.bfloat16, 2), (torch.float32, 4)])
def test_the_vaes_own_numbers_count(small, monkeypatch, dtype, width):
    """Whatever the diffusion model computes in."""
    from lib_multipass.memory import working

    monkeypatch.setattr(working, "VAE_PER_PIXEL", 100)
    monkeypatch.setattr(small.host.devices, "dtype_vae", dtype)
    begin(small, 3)
    assert only_planned(small, True, B).memory.vram_reserve == 100 * width * PIXELS


def test_what_takes_all_that_is_free_does_not_take_the_places_away(small, monkeypatch):
    from lib_multipass.memory import working

    monkeypatch.setattr(working, "MOST", 1.3)
    device = begin(small, 2.5)
    device.per_pixel = (device.total - 2 * small.size) // PIXELS
    for _ in range(3):
        assert planned(render(small, True, B)[0]) == {A: "VRAM", B: "VRAM"}
    assert learnt(small)[16 * PIXELS] > 2 * 16 * PIXELS
    assert device.ooms == 0


def test_a_second_pass_that_is_not_made_again_teaches_nothing(small, monkeypatch):
    """It takes nothing of the device, with whichever checkpoint it is known."""
    from lib_multipass.state import kept

    monkeypatch.setitem(small.host.shared.opts.data, "multipass_stages", 512)
    begin(small, 3)
    render(small, True, B)
    kept.measured.clear()
    render(small, True, B)
    assert learnt(small) == {}
    kept.stages.clear()


def spilling(bench, monkeypatch, room, **more):
    """A device on Windows."""
    monkeypatch.setattr(sys, "platform", "win32")
    return begin(bench, room, spills=True, **more)


def said(caplog):
    return [record.message for record in caplog.records if " ran out in a job " in record.message]


def test_memory_that_the_driver_takes_from_the_computer_counts_as_run_out(small, monkeypatch, caplog):
    """Nobody raises anything then; the pictures only take many times as long."""
    from lib_multipass.memory import working

    monkeypatch.setattr(working, "MOST", 1.3)
    device = spilling(small, monkeypatch, 2.1)
    assert planned(render(small, True, B)[0]) == {A: "VRAM", B: "VRAM"}
    assert said(caplog) == []
    device.per_pixel = 400
    render(small, True, B)
    assert device.ooms == 0
    later = "later jobs with them, and with pictures as large or larger, park them in RAM"
    assert said(caplog) == [f"VRAM ran out in a job with alpha, beta; {later}"]
    small.host.devices.torch_gc()
    device.per_pixel = 16
    assert planned(render(small, True, B)[0]) == {A: "RAM", B: "RAM"}
    assert planned(render(small, True, B, hr_scale=1.9)[0]) == {A: "VRAM", B: "VRAM"}
    assert len(said(caplog)) == 1


@pytest.mark.parametrize("pass_", ["first", "faces"])
def test_it_counts_in_every_pass(small, monkeypatch, caplog, pass_):
    device = spilling(small, monkeypatch, 2.1)
    name = {"first": "StableDiffusionProcessingTxt2Img", "faces": "StableDiffusionProcessingImg2Img"}[pass_]
    kind = getattr(small.host.processing, name)
    own = kind.init

    def init(self, *args, **kwargs):
        with device.working(small.host.shared.sd_model, 2 * device.total // 16):
            return own(self, *args, **kwargs)

    monkeypatch.setattr(kind, "init", init)
    render(small, True, B, faces=dict(FACES))
    assert len(said(caplog)) == 1


@pytest.mark.parametrize(
    ("system", "release", "expected"),
    [("linux", "6.8.0-45-generic", 0), ("linux", "5.15.153.1-microsoft-standard-WSL2", 1), ("win32", "10", 1)],
)
def test_only_some_drivers_do_that(small, monkeypatch, caplog, system, release, expected):
    """Elsewhere somebody else has given memory back meanwhile."""
    import platform

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "release", lambda: release)
    device = begin(small, 2.1)
    device.busy = device.total - small.size  # another program's, or as good as that
    p = small.host.job(True, B)
    p.scripts.before_process(p)
    device.busy, device.reserved_peak = 0, device.total + 1
    p.close()
    assert len(said(caplog)) == expected


def test_what_torch_has_taken_beyond_the_card_is_not_planned_with(small, monkeypatch):
    """What is set aside beyond it can be used again, and would be as slow."""
    from lib_multipass.webui.a1111 import hardware

    device = spilling(small, monkeypatch, 2.1)
    device.reserved = device.total + 9 * small.size
    assert hardware.vram() == (device.total - device.used, device.total)


def test_no_more_is_planned_with_than_the_card_has(small, monkeypatch):
    """What lies there is estimated: here as nearly twice as much as it is."""
    from lib_multipass.webui.a1111 import files

    loaded_size = files.loaded_size
    monkeypatch.setattr(files, "loaded_size", lambda *args: int(1.9 * loaded_size(*args)))
    begin(small, 3)
    assert planned(only_planned(small, True, B)) == {A: "RAM", B: "RAM"}


@pytest.fixture
def sdxl(small, monkeypatch):
    """``--medvram-sdxl``: the second of two checkpoints is moved in parts, the first as a whole.

    The miniature's files do not say what they are; of a loaded one the model itself counts.
    """
    from lib_multipass.webui.a1111 import hardware

    monkeypatch.setattr(hardware, "is_split", lambda facts: True)
    monkeypatch.setattr(small.host.lowvram, "module_in_gpu", None)
    monkeypatch.setattr(small.host.lowvram, "is_needed", lambda model: model.sd_checkpoint_info.name_for_extra == B)
    return small


def largest(bench, name):
    return max(part.size for part in bench.model(name).parts())


def test_one_moved_as_a_whole_stays_in_vram_where_it_fits_beside_the_parts_of_another(sdxl):
    """From job to job: what the parts took is not taken for the pictures' need."""
    device = begin(sdxl, 1)
    device.total += largest(sdxl, A)
    render(sdxl, True, B)
    for _ in range(3):
        forecast, story = render(sdxl, True, B)
        assert planned(forecast) == {A: "VRAM", B: "RAM"}
        assert story == [("activate", A), ("activate", B)]
        assert device.ooms == 0
    assert forecast.memory.vram_needed == sdxl.size + largest(sdxl, B)
    assert learnt(sdxl)[16 * PIXELS] <= 16 * PIXELS


@pytest.mark.parametrize("second", [B, C])
def test_a_part_that_was_left_on_the_device_makes_room(sdxl, second):
    """The webui leaves it there, if it is to keep models on the device; also that of a checkpoint of other jobs."""
    device = begin(sdxl, 1)
    device.total = sdxl.size + largest(sdxl, A) + 2 * PIXELS  # for the part and the whole, not for the pictures besides
    sdxl.set(limit=3, keep=False)
    sdxl.swap(B)
    sdxl.model(B).cond_stage_model(["a cat"])
    sdxl.swap(A)
    assert device.used == sdxl.size + largest(sdxl, B)
    assert planned(render(sdxl, True, second)[0]) == {A: "RAM", second: "RAM"}
    assert B in sdxl.host.loaded
    assert device.ooms == 0
