"""The plan is what happens, move for move: jobs on a pretended device, told as the miniature saw them."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from support.jobs import A, B, C
from support.moves import FACES, PIXELS, begin, lies, only_planned, picture, planned, refused, render
from support.pictures import OTHER, ended


def load(name):
    return [("read", name), ("build", name), ("load", name), ("to device", name)]


def test_all_in_vram(small):
    device = begin(small, 2.1)
    forecast, story = render(small, True, B)
    assert planned(forecast) == lies(small) == {A: "VRAM", B: "VRAM"}
    assert story == load(B)
    assert render(small, True, B)[1] == [("activate", A), ("activate", B)]
    assert device.ooms == 0
    assert small.host.shared.opts.data.get("sd_checkpoints_keep_in_cpu", True) is True


def test_parked_in_ram(small):
    device = begin(small, 1.5)
    forecast, story = render(small, True, B)
    assert planned(forecast) == {A: "RAM", B: "RAM"}
    assert story == [("to cpu", A), *load(B)]
    assert lies(small) == {A: "RAM", B: "VRAM"}  # the active one takes its turn
    moves = [("to cpu", B), ("to device", A), ("activate", A), ("to cpu", A), ("to device", B), ("activate", B)]
    assert render(small, True, B)[1] == moves
    assert (device.ooms, device.peak) == (0, small.size + 16 * PIXELS)


@pytest.mark.parametrize("keep", ["Automatic", "In VRAM"])
def test_where_the_webui_moves_its_models_itself_they_are_planned_in_ram(small, monkeypatch, keep):
    """As reForge does, which leaves them where they are when it is told to move one."""
    monkeypatch.setitem(sys.modules, "ldm_patched.modules.model_management", ModuleType("model_management"))
    monkeypatch.setattr(small.host.shared.cmd_opts, "medvram", True)
    begin(small, 2.1)
    forecast = only_planned(small, {"checkpoint": B, "keep": keep})
    assert planned(forecast) == {A: "RAM", B: "RAM"}
    assert (forecast.memory.vram_free, forecast.memory.vram_needed, forecast.reason) == (None, 0, "")
    assert "2 checkpoints stay in RAM (" in forecast.text()


def test_where_a_model_of_reforge_lies(small):
    from lib_multipass.webui.a1111 import hardware

    begin(small, 2.1)
    model = small.model(A)
    for device, place in (("cuda", "VRAM"), ("cpu", "RAM")):
        weights = [SimpleNamespace(device=torch.device(name)) for name in ("cpu", device)]
        unet = SimpleNamespace(model=SimpleNamespace(parameters=lambda weights=weights: weights))
        model.forge_objects = SimpleNamespace(unet=unet)
        assert hardware.place_of(model) == place
    del model.forge_objects


def test_one_in_vram_and_two_take_turns(small):
    device = begin(small, 2.1)
    fast = planned(render(small, True, B, C, faces=dict(FACES))[0])
    assert sorted(fast.values()) == ["RAM", "RAM", "VRAM"]
    stays = next(name for name, place in fast.items() if place == "VRAM")
    moved = {name for verb, name in render(small, True, B, C, faces=dict(FACES))[1] if verb in ("to cpu", "to device")}
    assert moved == {A, B, C} - {stays}
    assert device.ooms == 0


def test_nothing_fits_anywhere(small):
    device = begin(small, 1.5, host=int(1.5 * small.size))
    render(small, True, B)
    forecast, story = render(small, True, B)
    assert planned(forecast) in ({A: "RAM", B: "disk"}, {A: "disk", B: "disk"})
    assert device.ooms == 0
    assert len(small.host.loaded) <= 2
    assert [name for verb, name in story if verb == "read"]


def test_a_checkpoint_without_a_place_never_lies_in_ram(small):
    """Room in RAM for one of two: the other goes straight from the device, and comes from disk."""
    device = begin(small, 1.5, host=int(1.9 * small.size))
    render(small, True, B)
    forecast, story = render(small, True, B)
    assert planned(forecast) == {A: "RAM", B: "disk"}
    assert story == [("trash", B), ("to device", A), ("activate", A), ("to cpu", A), *load(B)]
    assert (device.ooms, small.host.loaded) == (0, [B, A])


def test_loaded_every_time_is_as_the_webui_does_it(small):
    begin(small, 1.5, host=int(0.5 * small.size))
    render(small, True, B)
    forecast, story = render(small, True, B)
    assert planned(forecast) == {A: "disk", B: "disk"}
    again = [("read", A), ("load", A), ("to device", A), ("to cpu", A), ("read", B), ("load", B), ("to device", B)]
    assert story == [("to cpu", B), *again]
    assert small.host.loaded == [B]


def test_another_pair(small):
    device = begin(small, 2.1)
    render(small, True, B)
    forecast, story = render(small, True, C)
    assert planned(forecast) == lies(small) == {A: "VRAM", C: "VRAM"}
    assert story[0] == ("trash", B)  # its place on the device is needed
    assert ("build", C) in story
    assert render(small, True, C)[1] == [("activate", A), ("activate", C)]
    assert device.ooms == 0


def test_a_larger_picture_parks(small):
    device = begin(small, 2.1)
    render(small, True, B)
    forecast, story = render(small, True, B, hr_scale=5)
    assert planned(forecast) == {A: "RAM", B: "RAM"}
    assert story[0] == ("to cpu", A)
    assert device.ooms == 0
    forecast, _ = render(small, True, B)
    assert planned(forecast) == {A: "VRAM", B: "VRAM"}


def test_what_was_measured_counts(small):
    from lib_multipass.memory import working

    device = begin(small, 2.1)
    working.UNET_PER_PIXEL = 800  # an estimate that is far too high
    assert planned(render(small, True, B)[0]) == {A: "RAM", B: "RAM"}
    assert planned(render(small, True, B)[0]) == {A: "VRAM", B: "VRAM"}
    assert device.ooms == 0


@pytest.mark.parametrize("keep", [True, False])
def test_a_plain_job_gives_back_what_the_users_settings_do_not_keep(small, keep):
    device = begin(small, 2.1)
    small.set(limit=2, keep=keep)
    render(small, True, B)
    small.host.run(small.host.job())
    assert small.host.loaded == [A, B]
    assert lies(small) == {A: "VRAM", B: "RAM" if keep else "VRAM"}
    assert device.used == (1 if keep else 2) * small.size


def test_release_frees_the_device_at_once(small):
    from lib_multipass.api.release import release

    device = begin(small, 2.1)
    render(small, True, B)
    answer = release()
    assert (answer.released, answer.kept, small.host.loaded) == ([B], [A], [A])
    assert device.used == torch.cuda.memory_reserved() == small.size
    assert "Released beta: " in answer.text()
    assert release().text().startswith("Nothing was kept")
    assert render(small, True, B)[1] == load(B)


def test_release_gives_what_was_freed_back_to_the_system(small, monkeypatch):
    from lib_multipass.api.release import release
    from lib_multipass.memory import freed

    begin(small, 2.1)
    render(small, True, B)
    given_back = []
    monkeypatch.setattr(freed, "give_back", lambda: given_back.append([*small.host.loaded]))
    release()
    assert given_back == [[A]]


def test_the_wish_in_ram_leaves_the_device_alone(small):
    device = begin(small, 3.5)
    assert planned(render(small, True, B)[0]) == {A: "VRAM", B: "VRAM"}
    forecast, story = render(small, {"checkpoint": B, "keep": "In RAM"})
    assert planned(forecast) == {A: "RAM", B: "RAM"}
    assert story[0] == ("to cpu", A)
    assert device.peak <= 2 * small.size + 16 * PIXELS


def test_a_device_that_does_not_tell_what_is_free_has_nothing_parked(small, monkeypatch):
    """Whatever the user's setting says."""

    def untold(*args):
        raise RuntimeError("this driver does not tell")

    device = begin(small, 3.5)
    small.set(keep=False)
    monkeypatch.setattr(torch.cuda, "mem_get_info", untold)
    for _ in range(2):
        assert planned(render(small, True, B)[0]) == {A: "RAM", B: "RAM"}
        assert lies(small) == {A: "RAM", B: "VRAM"}
    assert device.used == small.size


def test_copies_for_loras_count(small):
    """Beside each kept checkpoint its weights may come to lie in RAM once more."""
    begin(small, 1.5, host=int(3.5 * small.size))
    assert planned(render(small, True, B)[0]) == {A: "RAM", B: "RAM"}
    forecast, _ = render(small, True, B, prompt="a cat <lora:style:1>")
    assert sorted(planned(forecast).values()) == ["RAM", "disk"]


def out_of_memory(bench, *args, **fields):
    bench.refused(bench.host.run, bench.host.job(*args, **fields))


def said(caplog):
    return [record.message for record in caplog.records if " ran out in a job " in record.message]


def test_pictures_too_large_for_the_device_take_vram_away_from_that_size_up(small, caplog):
    """Copies in RAM free nothing on the device, so they stay, however often it runs out."""
    from lib_multipass.state import kept

    device = begin(small, 2.1)
    render(small, True, B)
    device.per_pixel = 400  # what the estimate does not know
    for expected in ({A: "VRAM", B: "VRAM"}, {A: "RAM", B: "RAM"}, {A: "RAM", B: "RAM"}):
        assert refused(small, True, B) == expected
        assert len(set(lies(small))) == len(small.host.loaded)  # nothing lies in two places
    assert device.busy == 0
    later = "later jobs with them, and with pictures as large or larger, park them in RAM"
    assert said(caplog)[0] == f"VRAM ran out in a job with alpha, beta; {later}"
    assert "smaller pictures or a smaller batch would fit" in said(caplog)[1]

    device.per_pixel = 16
    forecast, _ = render(small, True, B)
    assert planned(forecast) == {A: "RAM", B: "RAM"}
    assert forecast.reason.endswith("with pictures as large or smaller, ran out of VRAM.")
    assert planned(render(small, True, B, hr_scale=1.9)[0]) == {A: "VRAM", B: "VRAM"}  # a smaller picture
    assert planned(render(small, True, B, hr_scale=2.1)[0]) == {A: "RAM", B: "RAM"}
    assert planned(render(small, True, C)[0]) == {A: "VRAM", C: "VRAM"}  # other checkpoints are not blamed
    kept.lacks.clear()
    assert planned(render(small, True, B)[0]) == {A: "VRAM", B: "VRAM"}


def test_only_the_computers_own_lack_lowers_what_is_kept_in_ram(small, monkeypatch, caplog):
    begin(small, 1.5)
    models = small.host.sd_models
    read = models.read_state_dict
    for expected in ({A: "RAM", B: "RAM"}, {A: "RAM", B: "disk"}, {A: "disk", B: "disk"}):
        small.host.run(small.host.job())
        monkeypatch.setattr(models, "read_state_dict", too_small_a_paging_file)
        assert sorted(refused(small, True, B, error=OSError).values()) == sorted(expected.values())
        monkeypatch.setattr(models, "read_state_dict", read)
    assert [told.partition("; ")[2] for told in said(caplog)] == [
        "later jobs with them keep at most 1 of them in RAM",
        "later jobs with them keep none of them in RAM",
        "later jobs with them keep none of them in RAM",
    ]
    assert said(caplog)[0].startswith("RAM ran out")
    forecast, _ = render(small, True, B)
    assert forecast.reason == "alpha and beta will be loaded every time: an earlier job with these ran out of RAM."


def too_small_a_paging_file(*args, **kwargs):
    raise OSError("El archivo de paginación es demasiado pequeño para completar la operación. (os error 1455)")


@pytest.mark.parametrize("end", [("interrupt", 1), ("skip", 1), ("interrupt", 3), ("skip", 3)])
@pytest.mark.parametrize("second", [A, B])
def test_a_job_that_was_ended_teaches_nothing(small, monkeypatch, end, second):
    """Its first pass alone takes far less than the job would have; the estimate is right here."""
    from lib_multipass.memory import working

    monkeypatch.setattr(working, "UNET_PER_PIXEL", 80)
    device = begin(small, 2.3)
    device.per_pixel = 160
    torch.cuda.reset_peak_memory_stats()
    with ended(small.host, end):
        render(small, True, second)
    assert planned(render(small, True, B)[0]) == {A: "RAM", B: "RAM"}
    assert device.ooms == 0


def test_a_way_that_the_device_has_no_room_for_is_no_failure(small, caplog):
    """cuDNN tries and goes without; torch counts that as refused too."""
    device = begin(small, 2.1, tries=10**6)
    for _ in range(3):
        assert planned(render(small, True, B)[0]) == {A: "VRAM", B: "VRAM"}
    assert device.ooms > 0
    assert said(caplog) == []


def test_running_out_that_a_script_swallows_is_seen(small, monkeypatch, caplog):
    """The picture is there, without its face."""
    device = begin(small, 2.1)
    kind = small.host.processing.StableDiffusionProcessingImg2Img

    def decode(self, *args, **kwargs):
        device._refuse(small.model(B), 1)

    monkeypatch.setattr(kind, "init", decode)
    assert planned(render(small, True, B, faces=dict(FACES))[0]) == {A: "VRAM", B: "VRAM"}
    assert len(said(caplog)) == 1
    assert planned(render(small, True, B, faces=dict(FACES))[0]) == {A: "RAM", B: "RAM"}


def test_pictures_that_are_missing_and_refused_memory_are_a_failure(small, monkeypatch, caplog):
    """Whoever swallowed it told nobody."""
    device = begin(small, 2.1)
    processing = small.host.processing
    whole = processing._process_batch

    def batch(p, infotexts, pictures):
        if p.iteration == 0:
            return whole(p, infotexts, pictures)
        device.ooms += 1
        return None

    monkeypatch.setattr(processing, "_process_batch", batch)
    render(small, True, B, n_iter=2)
    assert len(said(caplog)) == 1


def test_a_container_leaves_less_than_the_computer_has(small):
    """Room for one of two, whatever psutil tells; the cache of files is given up before anybody is killed."""
    device = begin(small, 1.5, container=int(1.9 * small.size))
    render(small, True, B)
    assert planned(render(small, True, B)[0]) == {A: "RAM", B: "disk"}
    device.container = int(9 * small.size)
    assert sum(device.cached.values()) > 0
    assert planned(render(small, True, B)[0]) == {A: "RAM", B: "RAM"}


def test_a_swap_that_runs_out_of_memory_leaves_everything_whole(small):
    """Stock would go on with a parked model that it takes for the active one."""
    expected = picture(small)
    device = begin(small, 1.5)
    for _ in range(2):
        render(small, True, B)
    small.swap(A)
    device.busy = device.total - small.size  # another program's
    small.story()
    out_of_memory(small, True, B)
    device.busy = 0
    assert lies(small) == {A: "VRAM", B: "RAM"}
    assert device.used == small.size
    assert picture(small) == expected


def test_a_swap_that_fails_otherwise_leaves_everything_whole(small, monkeypatch):
    expected = picture(small)
    device = begin(small, 1.5)
    for _ in range(2):
        render(small, True, B)
    small.swap(A)
    models = small.host.sd_models
    send = models.send_model_to_device

    def fail_once(model):
        models.send_model_to_device = send
        raise RuntimeError(f"the driver does not take {model.sd_checkpoint_info.name_for_extra}")

    monkeypatch.setattr(models, "send_model_to_device", fail_once)
    with pytest.raises(RuntimeError, match="does not take beta"):
        render(small, True, B)
    assert lies(small) == {A: "VRAM", B: "RAM"}
    assert (device.used, device.ooms) == (small.size, 0)
    assert picture(small) == expected


def test_a_load_that_runs_out_of_memory_leaves_everything_whole(small):
    expected = picture(small)
    device = begin(small, 1.5)
    device.busy = device.total - small.size
    out_of_memory(small, True, B)
    device.busy = 0
    assert set(lies(small)) == set(small.host.loaded) <= {A}
    assert picture(small) == expected
    render(small, True, B)
    assert device.used == small.size


def test_running_out_inside_a_grid_is_seen_by_the_next_job(small):
    """X/Y/Z plot swallows what its cells raise and never closes them."""
    device = begin(small, 2.1)
    render(small, True, B)
    device.per_pixel = 400
    cell = small.host.job(True, B)
    cell.close = lambda: None
    with pytest.raises(torch.cuda.OutOfMemoryError):
        small.host.processing.process_images(cell)
    device.per_pixel = 16
    assert planned(render(small, True, B)[0]) == {A: "RAM", B: "RAM"}


def test_the_copy_of_a_replaced_vae_stays_on_the_device(small):
    """A model that is made there with another VAE has it beside itself, and no move takes it along."""
    from mini.painter import Autoencoder

    small.monkeypatch.setitem(small.host.shared.opts.data, "sd_vae", OTHER)
    copy = Autoencoder().size
    device = begin(small, 2)
    assert device.used == small.size + copy
    device.total += copy + copy // 2
    forecast, _ = render(small, True, B)
    assert planned(forecast) == {A: "RAM", B: "RAM"}
    assert forecast.memory.vram_needed == device.used == small.size + 2 * copy
    device.total += 4 * PIXELS + copy  # what was measured is taken for more, to be safe
    again, _ = render(small, True, B)
    assert planned(again) == {A: "VRAM", B: "VRAM"}
    assert device.ooms == 0
    assert again.memory.vram_needed == 2 * (small.size + copy) == device.peak - 16 * PIXELS


def test_files_that_are_read_into_memory_count(small, monkeypatch):
    """Mapped ones do not."""
    begin(small, 3.5)
    shared, models = small.host.shared, small.host.sd_models
    size = models.Path(models.get_closet_checkpoint_match(B).filename).stat().st_size
    usual = only_planned(small, True, B).memory
    assert usual.vram_needed == pytest.approx(2 * small.size, rel=0.01)
    monkeypatch.setitem(shared.opts.data, "disable_mmap_load_safetensors", True)
    assert only_planned(small, True, B).memory.ram_needed == usual.ram_needed + 2 * size
    monkeypatch.delitem(shared.opts.data, "disable_mmap_load_safetensors")
    monkeypatch.setattr(shared, "weight_load_location", None)  # --lowram
    assert only_planned(small, True, B).memory.vram_needed == usual.vram_needed + size
