"""The weights of the next checkpoint, made ready while the pass before it samples, inside jobs of the miniature."""

import copy
import itertools
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch

from lib_multipass.memory import reader
from lib_multipass.passes import ahead as ahead_of_time
from lib_multipass.plan.our_settings import READ_AHEAD
from lib_multipass.state import running

B = "beta"
NUMBER = itertools.count()
UNET, TEXT, VAE = "model.diffusion_model.", "cond_stage_model.", "first_stage_model."


@pytest.fixture
def ready(host):
    """The module, once a webui serves."""
    from lib_multipass.webui.a1111 import ready

    host.run(host.job())
    return ready


@pytest.fixture
def newcomer(host, ready):
    """Makes checkpoints that were never used, of a dtype, and with changes; they go at the end."""
    made = []

    def make(dtype=torch.float32, suffix=".safetensors", **changed):
        beta = host.sd_models.get_closet_checkpoint_match(B)
        made.append(Path(beta.filename).with_name(f"ready-{next(NUMBER)}{suffix}"))
        tensors = safetensors.torch.load_file(beta.filename)
        tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        safetensors.torch.save_file({**tensors, **changed}, made[-1])
        host.sd_models.list_models()
        return host.sd_models.get_closet_checkpoint_match(made[-1].name)

    yield make
    host.run(host.job())
    for path in made:
        path.unlink(missing_ok=True)
    host.sd_models.list_models()


@pytest.fixture
def handed_out(ready, monkeypatch):
    """The names of the weights that were handed out, swap by swap; a first pass waits until all are made."""
    taken, read, hand_out = [], ahead_of_time.Ahead.read, ready.Ready.hand_out

    def read_and_wait(self):
        read(self)
        assert self.reader.wait(20)

    def noted(self, state):
        result = hand_out(self, state)
        taken.append({name for name, tensor in result.items() if tensor is not state[name]})
        return result

    monkeypatch.setattr(ahead_of_time.Ahead, "read", read_and_wait)
    monkeypatch.setattr(ready.Ready, "hand_out", noted)
    return taken


HALF, FLOAT, EIGHT = torch.bfloat16, torch.float32, torch.float8_e4m3fn


def always():
    return True


def made_of(ready, checkpoint, dtype=torch.float32, all_of_it=True, beside=0, keep_going=always):
    """What was made of a file."""
    one = ready.Ready(
        checkpoint.filename, lambda name, _stored: dtype if name.startswith((UNET, TEXT)) else None, all_of_it, beside
    )
    one.make(keep_going)
    return one


def stored_in(checkpoint):
    return safetensors.torch.load_file(checkpoint.filename)


def worth_it(tensors):
    return {name for name, tensor in tensors.items() if tensor.dim() > 1 and name.startswith((UNET, TEXT))}


def pixels(host, name):
    return host.run(host.job(True, name)).images[0].tobytes()


def test_a_swap_takes_what_was_made(host, ready, newcomer, handed_out, monkeypatch):
    one, other = newcomer(), newcomer()
    with_it = pixels(host, one.name)
    assert handed_out == [worth_it(stored_in(one))] != [set()]
    monkeypatch.setitem(host.shared.opts.data, READ_AHEAD, False)
    assert pixels(host, other.name) == with_it
    assert len(handed_out) == 1


def test_parameters_take_its_memory(host, ready, newcomer, handed_out, monkeypatch):
    places, hand_out = {}, ready.Ready.hand_out

    def noted(self, state):
        result = hand_out(self, state)
        places.update({name: tensor.data_ptr() for name, tensor in result.items() if type(tensor) is ready.Lent})
        return result

    monkeypatch.setattr(ready.Ready, "hand_out", noted)
    host.run(host.job(True, newcomer().name))
    parameters = dict(host.sd_models.model_data.sd_model.named_parameters())
    assert places
    assert {name: parameters[name].data_ptr() for name in places} == places
    assert {type(parameter) for parameter in parameters.values()} == {torch.nn.Parameter}


def test_what_moves_fast_keeps_its_own_memory(host, ready, newcomer, monkeypatch):
    checkpoint = newcomer()
    one = made_of(ready, checkpoint)
    monkeypatch.setattr(ready.host, "fast_swaps", SimpleNamespace(are_on=lambda: True))
    assert {type(tensor) for tensor in one.hand_out(stored_in(checkpoint)).values()} == {torch.Tensor}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("wanted", [torch.float16, torch.float32])
def test_weights_are_what_the_webui_would_make_of_them(ready, newcomer, dtype, wanted):
    checkpoint = newcomer(dtype)
    stored = stored_in(checkpoint)
    made = made_of(ready, checkpoint, wanted).hand_out(stored)
    for name, tensor in stored.items():
        expected = tensor.to(wanted) if name in worth_it(stored) else tensor
        assert made[name].dtype == expected.dtype
        assert torch.equal(made[name], expected)


def test_where_nothing_lies_in_ram_only_what_has_another_dtype_is_made(ready, newcomer):
    checkpoint = newcomer(torch.float16)
    assert made_of(ready, checkpoint, torch.float16, all_of_it=False)._made == {}
    assert made_of(ready, checkpoint, torch.float32, all_of_it=False)._made.keys() == worth_it(stored_in(checkpoint))


def test_at_most_16_mb_at_once(ready, newcomer, monkeypatch):
    assert ready.SLICE == 16 * 1024 * 1024
    sizes, pieces = [], ready._pieces

    def noted(made, stored):
        for piece in pieces(made, stored):
            sizes.append(max(part.numel() * part.element_size() for part in piece))
            yield piece

    checkpoint = newcomer(torch.float16)
    monkeypatch.setattr(ready, "SLICE", 4096)
    monkeypatch.setattr(ready, "_pieces", noted)
    made = made_of(ready, checkpoint).hand_out(stored_in(checkpoint))
    assert max(sizes) == 4096
    assert all(torch.equal(made[name], tensor.float()) for name, tensor in stored_in(checkpoint).items())


def test_a_swap_in_the_middle_takes_what_is_whole(ready, newcomer):
    checkpoint, answers = newcomer(), iter([True, True, True, False])
    stored = stored_in(checkpoint)
    one = made_of(ready, checkpoint, keep_going=lambda: next(answers))
    assert len(one._made) == 3
    handed = one.hand_out(stored)
    assert sum(type(tensor) is ready.Lent for tensor in handed.values()) == 3
    assert all(torch.equal(handed[name], tensor) for name, tensor in stored.items())
    assert one._made == {}


def test_after_a_swap_nothing_more_is_made(ready, newcomer, monkeypatch):
    monkeypatch.setattr(ready, "SLICE", 64)
    checkpoint = newcomer()
    one, asked = ready.Ready(checkpoint.filename, lambda _name, stored: stored, True, 0), []

    def swaps_at_once():
        asked.append(one.hand_out(stored_in(checkpoint)))
        return True

    one.make(swaps_at_once)
    assert len(asked) == 1
    assert one._made == {}


def test_what_an_extension_changes_on_the_way_counts(host, ready, newcomer, handed_out, monkeypatch):
    """It changes a weight whenever a file is read."""
    read = host.sd_models.read_state_dict

    def changed(*args, **kwargs):
        state = read(*args, **kwargs)
        state[f"{UNET}layout"] = state[f"{UNET}layout"] + 1
        return state

    one, other = newcomer(), newcomer()
    monkeypatch.setattr(host.sd_models, "read_state_dict", changed)
    with_it = pixels(host, one.name)
    assert handed_out == [worth_it(stored_in(one)) - {f"{UNET}layout"}]
    monkeypatch.setitem(host.shared.opts.data, READ_AHEAD, False)
    assert pixels(host, other.name) == with_it


def changed_in_place(tensor):
    """A few elements of it, none of them among those that are looked at."""
    return tensor.clone().flatten().index_fill_(0, torch.tensor([1]), 7).reshape(tensor.shape)


CHANGES = {
    "gone": lambda _tensor: None,
    "another shape": torch.Tensor.flatten,
    "another layout": lambda tensor: tensor.transpose(2, 3),
    "a copy": torch.clone,
    "a little": changed_in_place,
    "of a kind of its own": torch.nn.Parameter,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_webui_does_not_read_so_is_left_out(ready, newcomer, change):
    checkpoint = newcomer()
    stored, name = stored_in(checkpoint), f"{UNET}layout"
    one = made_of(ready, checkpoint)
    read = {**stored, name: CHANGES[change](stored[name])}
    if read[name] is None:
        del read[name]
    handed = one.hand_out(read)
    assert {known for known, tensor in handed.items() if tensor is not stored[known]} >= worth_it(stored) - {name}
    assert handed.get(name) is read.get(name)


def test_what_was_changed_where_it_lies_counts(ready, newcomer):
    """Where it lies is no sign then; the elements that are looked at are."""
    checkpoint, name = newcomer(), f"{UNET}layout"
    one, read = made_of(ready, checkpoint), stored_in(checkpoint)
    read[name] += 1
    assert one.hand_out(read)[name] is read[name]


@pytest.mark.parametrize("dtype", [EIGHT, HALF])
def test_every_dtype_can_be_looked_at(ready, newcomer, dtype):
    """Also what is no number in it."""
    checkpoint, name = newcomer(HALF, **{f"{UNET}odd": torch.full((8, 8), torch.nan).to(dtype)}), f"{UNET}odd"
    one = ready.Ready(checkpoint.filename, lambda _name, stored: stored, True, 0)
    one.make(always)
    assert type(one.hand_out(stored_in(checkpoint))[name]) is ready.Lent


def test_a_cache_of_files_that_is_switched_on_meanwhile_gets_its_own(host, ready, newcomer, monkeypatch):
    checkpoint = newcomer()
    one, stored = made_of(ready, checkpoint), stored_in(checkpoint)
    monkeypatch.setitem(host.shared.opts.data, "sd_checkpoint_cache", 1)
    assert one.hand_out(stored) is stored


def test_a_file_that_changed_is_read_by_the_webui(ready, newcomer):
    checkpoint = newcomer()
    one, stored = made_of(ready, checkpoint), stored_in(checkpoint)
    with Path(checkpoint.filename).open("ab") as file:
        file.write(b"changed")
    assert one.hand_out(stored) == stored
    assert one._made == {}


def test_without_room_nothing_is_made(ready, newcomer, monkeypatch):
    from lib_multipass.webui.a1111 import hardware

    checkpoint = newcomer()
    weights = {
        name: tensor for name, tensor in stored_in(checkpoint).items() if name in worth_it(stored_in(checkpoint))
    }
    needed = sum(tensor.numel() * 4 for tensor in weights.values())
    for free, count in ((None, 0), (needed + 6, len(weights) - 1), (needed + 7, len(weights))):
        monkeypatch.setattr(hardware, "ram_free", lambda free=free: free)
        one = ready.Ready(checkpoint.filename, lambda name, _: FLOAT if name in weights else None, True, 7)
        assert len(one._empty) == count
        one.make(always)
        assert len(one._made) == count


def test_what_others_take_meanwhile_is_theirs(ready, newcomer, monkeypatch):
    from lib_multipass.webui.a1111 import hardware

    one = ready.ready_for(newcomer(), 10**8)
    assert one._empty
    monkeypatch.setattr(hardware, "ram_free", lambda: 10**8)
    one.make(always)
    assert one._made == {}


def test_memory_is_asked_for_in_the_jobs_thread(ready, newcomer, monkeypatch):
    """glibc gives each thread memory of its own, and may never get it back from one that has ended."""
    asked, empty = [], torch.empty

    def noted(*args, **kwargs):
        asked.append(threading.current_thread() is threading.main_thread())
        return empty(*args, **kwargs)

    monkeypatch.setattr(ready.torch, "empty", noted)
    one = ready.ready_for(newcomer(), 0)
    thread = threading.Thread(target=one.make, args=(always,))
    thread.start()
    thread.join(20)
    assert asked
    assert set(asked) == {True}
    assert one._made


def test_the_reserve_and_the_largest_checkpoint_stay_free(host, ready, newcomer, monkeypatch):
    asked, ready_for = [], ready.ready_for

    def noted(checkpoint, beside):
        asked.append(beside - max(known.bytes for known in running.job.plan.forecast.checkpoints))
        return ready_for(checkpoint, beside)

    monkeypatch.setattr(ready, "ready_for", noted)
    monkeypatch.setitem(host.shared.opts.data, "multipass_ram_reserve", 1)
    host.run(host.job(True, newcomer().name))
    assert asked == [10**9]


def test_a_file_that_cannot_be_read_is_left_to_the_webui(ready, newcomer, caplog):
    checkpoint = newcomer()
    stored = stored_in(checkpoint)
    Path(checkpoint.filename).write_bytes(b"no header")
    with caplog.at_level("INFO"):
        assert made_of(ready, checkpoint).hand_out(stored) == stored
    assert "could not be made ready" in caplog.text


def test_what_cannot_be_handed_out_is_left_to_the_webui(host, ready, newcomer, handed_out, monkeypatch, caplog):
    def fail(_self, _state):
        raise MemoryError

    one, other = newcomer(), newcomer()
    monkeypatch.setattr(ready.Ready, "hand_out", fail)
    with_it = pixels(host, one.name)
    assert "could not be used" in caplog.text
    monkeypatch.setitem(host.shared.opts.data, READ_AHEAD, False)
    assert pixels(host, other.name) == with_it


def left_alone(host, monkeypatch):
    """Where nothing is made ready, by name."""
    options = ("sd_checkpoint_cache", 1), ("disable_mmap_load_safetensors", True)
    return {
        **{name: lambda name=name, to=to: monkeypatch.setitem(host.shared.opts.data, name, to) for name, to in options},
        "--lowram": lambda: monkeypatch.setattr(host.shared, "weight_load_location", None),
    }


@pytest.mark.parametrize("where", ["sd_checkpoint_cache", "disable_mmap_load_safetensors", "--lowram"])
def test_not_where_the_webui_does_otherwise_with_files(host, ready, newcomer, monkeypatch, where):
    checkpoint = newcomer()
    assert ready.ready_for(checkpoint, 0) is not None
    left_alone(host, monkeypatch)[where]()
    assert ready.ready_for(checkpoint, 0) is None


@pytest.fixture
def of_reforge(ready, monkeypatch):
    """As in reForge: what is made of a file, with that device, which has so much VRAM."""
    from lib_multipass.webui.a1111 import forge_models, hardware

    monkeypatch.setattr(forge_models, "webui_moves_them", lambda: True)
    monkeypatch.setattr(forge_models, "loads_to_the_device", lambda: False)
    monkeypatch.setattr(ready.devices, "dtype_unet", torch.float16)

    def make(checkpoint, device, vram=0):
        monkeypatch.setattr(ready.devices, "device", torch.device(device))
        monkeypatch.setattr(hardware, "vram", lambda: (0, vram))
        one = ready.ready_for(checkpoint, 0)
        if one is not None:
            one.make(always)
        return one

    return make


OF_REFORGE = [("cuda", HALF, {HALF}), ("cpu", HALF, {HALF, FLOAT}), ("cuda", FLOAT, set()), ("cpu", FLOAT, {FLOAT})]


@pytest.mark.parametrize(("device", "stored", "dtypes"), OF_REFORGE)
def test_reforges_weights_never_get_a_smaller_dtype(of_reforge, newcomer, device, stored, dtypes):
    """It chooses its own by what is stored; in full precision is the diffusion model alone, and that without a card."""
    made = of_reforge(newcomer(stored), device)._made
    assert {tensor.dtype for tensor, _ in made.values()} == dtypes
    assert all(tensor.is_inference() for tensor, _ in made.values())
    assert all(name.startswith(UNET) for name, (tensor, _) in made.items() if tensor.dtype == FLOAT)


@pytest.mark.parametrize(("is_reforge", "made"), [(False, [UNET, TEXT]), (True, [UNET, TEXT, "depth_model."])])
def test_which_weights_are_made(request, ready, newcomer, is_reforge, made):
    """A1111 gives a VAE and a depth model dtypes of their own."""
    more = {f"{part}.weight": torch.rand(4, 4) for part in ("depth_model", "vae", "model_ema", "first_stage_model")}
    checkpoint = newcomer(HALF, **{name: tensor.to(HALF) for name, tensor in more.items()})
    if is_reforge:
        one = request.getfixturevalue("of_reforge")(checkpoint, "cpu")
    else:
        one = ready.ready_for(checkpoint, 0)
        one.make(always)
    stored = stored_in(checkpoint)
    assert one._made.keys() == {name for name in stored if name.startswith(tuple(made)) and stored[name].dim() > 1}


def test_reforge_goes_on_loading_where_it_did(of_reforge, newcomer, monkeypatch):
    """It loads into VRAM where more of that is free than of RAM."""
    from lib_multipass.webui.a1111 import hardware

    monkeypatch.setattr(hardware, "ram_free", lambda: 10**9)
    assert of_reforge(newcomer(HALF), "cuda", vram=10**9)._made == {}
    assert of_reforge(newcomer(HALF), "cuda", vram=10**8)._made != {}


def test_not_of_what_reforge_loads_to_the_device(of_reforge, newcomer, monkeypatch):
    from lib_multipass.webui.a1111 import forge_models

    monkeypatch.setattr(forge_models, "loads_to_the_device", lambda: True)
    assert of_reforge(newcomer(HALF), "cuda") is None


@pytest.mark.parametrize(("state", "says"), [("HIGH_VRAM", True), ("SHARED", True), ("NORMAL_VRAM", False)])
def test_memory_managers_that_load_to_the_device(ready, monkeypatch, state, says):
    from lib_multipass.webui.a1111 import forge_models

    management = SimpleNamespace(vram_state=SimpleNamespace(name=state))
    monkeypatch.setitem(sys.modules, "ldm_patched.modules.model_management", management)
    assert forge_models.loads_to_the_device() == says


def test_not_of_quantised_weights_there(of_reforge, newcomer):
    assert of_reforge(newcomer(EIGHT), "cuda") is None


def test_not_of_a_ckpt(ready):
    assert ready.ready_for(SimpleNamespace(filename="model.ckpt"), 0) is None


@pytest.mark.parametrize(
    ("device", "split", "made"), [("cuda", False, False), ("cuda", True, True), ("cpu", False, True)]
)
def test_weights_that_lie_in_ram_are_made_whatever_their_dtype(ready, newcomer, monkeypatch, device, split, made):
    from lib_multipass.webui.a1111 import hardware

    monkeypatch.setattr(ready.devices, "device", torch.device(device))
    monkeypatch.setattr(hardware, "is_split", lambda _facts: split)
    assert ready.ready_for(newcomer(), 0)._all == made


def test_the_first_passs_checkpoint_is_read_and_not_made(host, ready, newcomer):
    """It may not be needed again."""
    checkpoint, part = newcomer(), None
    running.job = SimpleNamespace(parts={}, owner=lambda: None, number=0)
    try:
        for in_use, made in (
            ([checkpoint], False),
            ([host.sd_models.get_closet_checkpoint_match("alpha"), checkpoint], True),
        ):
            part = ahead_of_time.Ahead(in_use)
            part.read()
            assert part.reader.path == checkpoint.filename
            assert (part._ready is not None) == made
            part.end()
            assert part._ready is None
    finally:
        running.job = None


def test_nothing_is_made_after_the_end_of_a_job(host, ready, newcomer, monkeypatch):
    """The reading thread rests before each slice until somebody stops it."""
    begun, make = threading.Event(), ready.Ready.make

    def make_begun(self, keep_going):
        begun.set()
        make(self, keep_going)

    monkeypatch.setattr(reader, "_give_way", lambda stop: lambda: begun.is_set() and stop.wait(20))
    monkeypatch.setattr(ready.Ready, "make", make_begun)
    part = ahead_of_time.Ahead([host.sd_models.get_closet_checkpoint_match("alpha"), newcomer()])
    running.job = SimpleNamespace(parts={}, owner=lambda: None, number=0)
    try:
        part.read()
        assert begun.wait(20)
        one = part._ready
        part.end()
        assert part.reader.wait(0)
        assert one._made == {}
    finally:
        running.job = None


def lent(ready, *shape, dtype=torch.float32):
    return torch.rand(*shape).to(dtype).as_subclass(ready.Lent)


def test_a_lent_weight_is_a_tensor_for_all_else(ready):
    weight = lent(ready, 4, 4)
    plain = weight.as_subclass(torch.Tensor)
    for result in (weight + 1, weight.half(), weight.to("meta"), weight.float().clone(), weight[:2]):
        assert type(result) is torch.Tensor
    assert weight.to(dtype=None) is weight.to(torch.float32) is weight
    assert torch.equal(weight * 2, plain * 2)


@pytest.mark.parametrize("differs", ["dtype", "layout", "a part", "no parameter", "made for inference"])
def test_what_is_not_like_it_gets_its_values(ready, differs):
    weight, base = lent(ready, 4, 6), torch.zeros(4, 6)
    in_inference = torch.inference_mode if differs == "made for inference" else torch.no_grad
    with in_inference():
        target = {
            "dtype": lambda: torch.nn.Parameter(base.half()),
            "layout": lambda: torch.nn.Parameter(torch.zeros(6, 4).t()),
            "a part": lambda: torch.nn.Parameter(torch.zeros(5, 6)[:4]),
            "no parameter": lambda: base,
            "made for inference": lambda: torch.nn.Parameter(torch.zeros(4, 6), requires_grad=False),
        }[differs]()
    place = target.data_ptr()
    with in_inference():
        assert target.copy_(weight) is target
    assert target.data_ptr() == place != weight.data_ptr()
    assert torch.equal(target, weight.to(target.dtype))


def test_it_lends_once(ready):
    weight, first, second = lent(ready, 4, 6), *(torch.nn.Parameter(torch.zeros(4, 6)) for _ in range(2))
    with torch.no_grad():
        first.copy_(weight)
        second.copy_(weight)
    assert first.data_ptr() == weight.data_ptr() != second.data_ptr()
    assert torch.equal(second, first)


def test_a_copy_of_a_lent_weight_is_an_ordinary_tensor(ready):
    weight = lent(ready, 4, 6)
    copied = copy.deepcopy({"weight": weight})["weight"]
    assert type(copied) is torch.Tensor
    assert copied.data_ptr() != weight.data_ptr()
    assert torch.equal(copied, weight.as_subclass(torch.Tensor))


def test_both_made_for_inference(ready):
    """As webuis of Forge's family make their models."""
    with torch.inference_mode():
        weight, target = lent(ready, 4, 6), torch.nn.Parameter(torch.zeros(4, 6))
        target.copy_(weight)
        assert target.data_ptr() == weight.data_ptr()
        assert target.is_inference()


def test_a_parameter_can_be_made_of_a_lent_weight(ready):
    """As layers do that take what was read as it is; it lends nothing from then on."""
    weight = lent(ready, 4, 6)
    made, other = torch.nn.Parameter(weight, requires_grad=False), torch.nn.Parameter(torch.zeros(4, 6))
    assert made.data_ptr() == weight.data_ptr()
    for source in (made, made.detach(), weight):
        with torch.no_grad():
            other.copy_(source)
        assert other.data_ptr() != made.data_ptr()
        assert torch.equal(other, made)


def test_nothing_draws_a_random_number(ready, newcomer):
    checkpoint, before = newcomer(), torch.get_rng_state()
    made_of(ready, checkpoint).hand_out(stored_in(checkpoint))
    assert torch.equal(torch.get_rng_state(), before)
