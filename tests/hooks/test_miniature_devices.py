"""The miniature's pretended devices: what they account, what they refuse, and what a refusal leaves behind."""

from __future__ import annotations

import weakref

import psutil
import pytest
import torch

from support.jobs import A, B, C
from support.pretended import empty

CUDA, CPU = ("cuda", "cuda"), ("cpu", "cpu")


def test_torch_answers_for_the_device_until_it_ends(bench):
    device = bench.begin(2.5)
    size, where = bench.size, bench.host.devices.device
    assert where.type == bench.host.shared.device.type == "cuda"
    assert torch.cuda.is_available()
    assert torch.cuda.mem_get_info(0) == (device.total - size, device.total)
    assert torch.cuda.memory_allocated(where) == torch.cuda.memory_reserved(where) == size
    stats = torch.cuda.memory_stats(where)
    assert (stats["allocated_bytes.all.peak"], stats["num_ooms"]) == (size, 0)
    assert torch.cuda.get_device_name(where)
    assert bench.place(A) == CUDA
    assert bench.model(A).cond_stage_model.table.weight.device.type == "cpu"
    bench.stack.close()
    assert bench.host.devices.device.type == bench.host.shared.device.type == "cpu"
    assert not torch.cuda.is_available() or torch.cuda.get_device_name() != "Pretended device"
    assert bench.place(A) == CPU


def test_parked_and_activated(bench):
    device = bench.begin(1.5)
    bench.set(limit=2, keep=True)
    bench.swap(B)
    assert bench.story() == [("to cpu", A), ("read", B), ("build", B), ("load", B), ("to device", B)]
    assert (bench.place(A), bench.place(B), device.used) == (CPU, CUDA, bench.size)
    bench.swap(A)
    assert bench.story() == [("to cpu", B), ("to device", A), ("activate", A)]
    assert (bench.place(A), bench.place(B), device.used, device.peak) == (CUDA, CPU, bench.size, bench.size)


def test_all_on_the_device(bench):
    device = bench.begin(2.5)
    bench.set(limit=2, keep=False)
    bench.swap(B)
    assert bench.story() == [("read", B), ("build", B), ("load", B), ("to device", B)]
    bench.swap(A)
    assert bench.story() == [("activate", A)]
    assert (bench.place(A), bench.place(B), device.used) == (CUDA, CUDA, 2 * bench.size)


def test_into_the_same_instance(bench):
    device = bench.begin(1.5)
    bench.set(limit=1, keep=True)
    bench.swap(B)
    assert bench.story() == [("to cpu", A), ("read", B), ("load", B), ("to device", B)]
    assert (bench.place(B), device.used) == (CUDA, bench.size)


def test_eviction(bench):
    import mini

    device = bench.begin(3.5)
    bench.set(limit=3, keep=False)
    bench.swap(B)
    bench.swap(C)
    assert device.used == 3 * bench.size
    bench.story()
    bench.set(limit=1, keep=True)
    if mini.old_host:
        bench.refused(bench.swap, A, error=NotImplementedError)
        assert ("trash", B) in bench.story()
    else:
        bench.swap(A)
        assert bench.story() == [("to cpu", C), ("trash", B), ("trash", C), ("activate", A)]
        assert device.used == bench.size


def test_moves_by_hand_are_told_once(bench):
    device = bench.begin(1.5)
    models, model = bench.host.sd_models, bench.model(A)
    for _ in range(2):
        models.send_model_to_cpu(model)
    assert (device.used, torch.cuda.memory_reserved()) == (0, 0)
    assert model.to("cuda") is model
    model.to(device=torch.device("cpu"))
    models.send_model_to_device(model)
    for _ in range(2):
        models.send_model_to_trash(model)
    moves = ["to cpu", "to device", "to cpu", "to device", "trash"]
    assert bench.story() == [(verb, A) for verb in moves]
    assert next(model.parameters()).device.type == "meta"
    assert device.used == 0
    bench.refused(models.send_model_to_cpu, model, error=NotImplementedError)


def test_a_new_model_that_does_not_fit_goes_with_the_exception(bench):
    import mini

    device = bench.begin(1.5)
    bench.set(limit=2, keep=False)
    assert bench.refused(bench.swap, B).startswith("CUDA out of memory. Tried to allocate ")
    assert bench.story() == [("read", B), ("build", B), ("load", B), ("no room", B)]
    assert bench.host.sd_models.model_data.sd_model is None
    assert (bench.host.loaded, bench.place(A)) == ([A], CUDA)
    assert (device.used, device.ooms, device.peak) == (bench.size, 1, device.total)
    assert torch.cuda.memory_stats()["num_ooms"] == 1
    bench.set(keep=True)
    if mini.old_host:
        bench.refused(bench.swap, B, error=AttributeError)
    assert bench.swap(A) is bench.model(A)


def test_a_parked_model_that_does_not_fit_lies_half_on_the_device(bench):
    device = bench.begin(1.5)
    bench.set(limit=2, keep=True)
    bench.swap(B)
    bench.swap(A)
    device.busy = bench.size  # another program's
    bench.story()
    bench.refused(bench.swap, B)
    assert bench.story() == [("to cpu", A), ("no room", B)]
    assert bench.host.sd_models.model_data.sd_model is bench.model(A)
    assert (bench.place(A), bench.place(B)) == (CPU, ("cuda", "cpu"))
    assert device.used == device.total
    device.busy = 0
    assert device.used == device.total - bench.size == bench.model(B).on_device

    words = "all tensors to be on the same device"
    assert words in bench.refused(bench.host.run, bench.host.job(), error=RuntimeError)
    bench.story()
    bench.swap(B)
    bench.swap(A)
    assert bench.story()[:2] == [("to device", B), ("activate", B)]
    bench.host.run(bench.host.job())
    assert device.used == bench.size


def test_weights_that_do_not_fit_into_an_instance_leave_it_unlisted(bench):
    device = bench.begin(1.5)
    bench.set(limit=1, keep=True)
    device.busy = bench.size
    bench.refused(bench.swap, B)
    assert bench.host.loaded == []
    assert bench.host.sd_models.model_data.sd_model is bench.model(B)
    assert bench.place(B) == ("cuda", "cpu")


def test_work_is_accounted_while_it_runs(bench):
    device = bench.begin(2, per_pixel=16)
    bench.host.run(bench.host.job())
    assert device.peak == torch.cuda.memory_stats()["allocated_bytes.all.peak"] == bench.size + 16 * 128 * 128
    assert (device.used, device.busy, device.ooms) == (bench.size, 0, 0)
    torch.cuda.reset_peak_memory_stats()
    assert device.peak == bench.size
    bench.host.run(bench.host.job(batch_size=3, hr_scale=1))
    assert device.peak == bench.size + 16 * 64 * 64 * 3


def test_work_that_does_not_fit(bench):
    device = bench.begin(1.5, per_pixel=150)
    bench.refused(bench.host.run, bench.host.job())
    assert bench.story() == [("no room", A)]
    assert (bench.place(A), device.used, device.busy, device.ooms) == (CUDA, bench.size, 0, 1)
    assert device.peak == bench.size + 150 * 64 * 64
    bench.host.run(bench.host.job(hr_scale=1))
    assert device.ooms == 1


def test_reserved_memory_stays_until_it_is_given_back(bench):
    device = bench.begin(2, per_pixel=16)
    with bench.model(A).working(100):
        assert torch.cuda.memory_allocated() == bench.size + 1600
    assert torch.cuda.memory_allocated() == bench.size
    assert torch.cuda.memory_reserved() == bench.size + 1600
    assert torch.cuda.mem_get_info()[0] == device.total - bench.size - 1600
    bench.host.devices.torch_gc()
    assert torch.cuda.memory_reserved() == bench.size


def test_weights_may_count_more(bench):
    device = bench.begin(2000, scale=1000)
    assert device.used == 1000 * bench.size
    assert bench.place(A) == CUDA
    bench.host.run(bench.host.job())


def test_host_memory(bench):
    size = bench.size
    device = bench.begin(1.5, host=10 * size)
    assert psutil.virtual_memory().available == 10 * size
    bench.set(limit=2, keep=True)
    bench.swap(B)
    assert psutil.virtual_memory().available == 9 * size
    file = bench.host.sd_models.get_closet_checkpoint_match(B).filename
    assert device.lowest == 9 * size - bench.host.sd_models.Path(file).stat().st_size
    bench.host.sd_models.send_model_to_trash(bench.model(A))
    assert psutil.virtual_memory().available == 10 * size
    bench.stack.close()
    assert psutil.virtual_memory().total != 10 * size


def test_host_memory_alone(bench):
    bench.begin(None, host=10 * bench.size)
    assert bench.host.devices.device.type == "cpu"
    bench.set(limit=2, keep=True)
    bench.swap(B)
    assert bench.story()[0] == ("to cpu", A)
    assert psutil.virtual_memory().available == 8 * bench.size
    bench.host.run(bench.host.job())


def test_medvram_keeps_models_off_the_device(bench, monkeypatch):
    monkeypatch.setattr(bench.host.shared.cmd_opts, "medvram", True)
    device = bench.begin(0.5)
    assert bench.host.lowvram.is_needed(bench.model(A))
    assert bench.model(A).lowvram
    assert (bench.place(A), device.used) == (CPU, 0)
    bench.host.run(bench.host.job())


@pytest.mark.parametrize(("flag", "needed"), [("lowvram", True), ("medvram_sdxl", False), (None, False)])
def test_lowvram_goes_by_the_flags(host, monkeypatch, flag, needed):
    if flag:
        monkeypatch.setattr(host.shared.cmd_opts, flag, True)
    assert bool(host.lowvram.is_needed(host.shared.sd_model)) is needed
    sdxl = type("Sdxl", (), {"conditioner": None})()
    assert bool(host.lowvram.is_needed(sdxl)) is (flag is not None)


def test_models_leave_no_trace(bench):
    device = bench.begin(1.5)
    gone = weakref.ref(bench.model(A))
    empty(bench.host)
    assert gone() is None
    assert device.used == 0


def test_without_a_device_nothing_is_accounted(host):
    from mini import device, events

    host.run(host.job())
    model, models = host.shared.sd_model, host.sd_models
    assert device.current is None
    assert model.on_device == 0
    models.send_model_to_device(model)
    events.clear()
    for verb in (models.send_model_to_cpu, models.send_model_to_cpu, models.send_model_to_device):
        verb(model)
    model.to("cpu")
    assert [told for told, _ in events.story] == ["to cpu", "to device"]
