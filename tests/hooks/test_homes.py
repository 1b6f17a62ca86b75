"""Weights that live in RAM for good: what a move is, what comes back of it, and what stays whole when it fails.

The device is the CPU under another name, so that what was copied there is not what lies at home.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lib_multipass.webui.a1111 import homes
from lib_multipass.webui.a1111.homes import Home
from lib_multipass.webui.a1111.pins import Pins

DEVICE = torch.device("cpu", 0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm = nn.Linear(64, 64), nn.Linear(64, 64, bias=False), nn.LayerNorm(64)
        self.tied = nn.Linear(64, 64, bias=False)
        self.tied.weight = self.a.weight
        self.register_buffer("steps", torch.arange(10.0))

    def forward(self, x):
        return self.tied(self.norm(self.b(self.a(x))))


class Kept:
    """A module, its home, and what it makes of a picture."""

    def __init__(self, module=None):
        torch.manual_seed(0)
        self.module = Net() if module is None else module
        self.home = Home(self.module, Pins())
        self.values = self.copy()

    def copy(self):
        return {name: tensor.clone() for name, tensor in self.module.state_dict().items()}

    def is_same(self):
        now = self.module.state_dict()
        return now.keys() == self.values.keys() and all(torch.equal(now[name], self.values[name]) for name in now)

    def members(self):
        return [member.tensor for chunk in self.home.chunks for member in chunk.members]


@pytest.fixture
def kept():
    return Kept()


def test_moves_change_nothing_and_copy_nothing_back(kept, monkeypatch):
    parameters = list(kept.module.parameters())
    kept.home.come()
    at_home = [tensor.data_ptr() for tensor in parameters]
    monkeypatch.setattr(homes.Member, "is_home", lambda self: self.tensor.data_ptr() in at_home)
    for _ in range(3):
        kept.home.go(DEVICE)
        assert kept.home.is_away
        assert kept.is_same()
        assert not {tensor.data_ptr() for tensor in parameters} & set(at_home)
        kept.home.come()
        assert not kept.home.is_away
        assert kept.is_same()
        assert [tensor.data_ptr() for tensor in parameters] == at_home
    assert kept.module.tied.weight is kept.module.a.weight
    assert all(new is old for new, old in zip(kept.module.parameters(), parameters, strict=True))


def test_a_tied_parameter_lies_once(kept):
    kept.home.come()
    assert len(kept.members()) == len(list(kept.module.parameters()))


@pytest.mark.parametrize("change", ["copy_", "add_", "mul_"])
def test_what_was_written_on_the_device_comes_home(kept, change):
    kept.home.come()
    kept.home.go(DEVICE)
    with torch.no_grad():
        getattr(kept.module.b.weight, change)(torch.full((64, 64), 3.0))
    kept.values = kept.copy()
    kept.home.come()
    assert kept.is_same()
    kept.home.go(DEVICE)
    assert kept.is_same()


def test_a_new_tensor_in_its_place_comes_home(kept):
    kept.home.come()
    kept.home.go(DEVICE)
    kept.module.b.weight.data = kept.module.b.weight.data * 3
    kept.values = kept.copy()
    kept.home.come()
    assert kept.is_same()
    assert len(kept.members()) == 5


@pytest.mark.parametrize("when", ["away", "at home"])
def test_another_dtype_goes_its_own_way(kept, when):
    kept.home.come()
    if when == "away":
        kept.home.go(DEVICE)
    kept.module.b.half()
    kept.values = kept.copy()
    for _ in range(2):
        kept.home.come()
        assert kept.is_same()
        kept.home.go(DEVICE)
        assert kept.is_same()
    assert all(tensor is not kept.module.b.weight for tensor in kept.members())


def test_another_layout_goes_its_own_way():
    kept = Kept(nn.Sequential(nn.Conv2d(8, 8, 3), nn.Linear(4, 4)))
    kept.home.come()
    kept.module.to(memory_format=torch.channels_last)
    kept.home.go(DEVICE)
    assert kept.is_same()
    assert kept.module[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert all(tensor is not kept.module[0].weight for tensor in kept.members())


def test_a_layout_of_its_own_is_kept():
    kept = Kept(nn.Conv2d(8, 8, 3).to(memory_format=torch.channels_last))
    stride = kept.module.weight.stride()
    for _ in range(2):
        kept.home.come()
        kept.home.go(DEVICE)
        assert kept.module.weight.stride() == stride
        assert kept.is_same()
    assert len(kept.members()) == 2


def test_what_is_loaded_at_home_goes_along(kept):
    kept.home.come()
    kept.values = {name: tensor + 1 for name, tensor in kept.values.items()}
    kept.module.load_state_dict(kept.values)
    kept.home.go(DEVICE)
    assert kept.is_same()
    kept.home.come()
    assert kept.is_same()


def test_chunks_are_small_and_of_one_child(kept, monkeypatch):
    monkeypatch.setattr(homes, "CHUNK", 20_000)
    kept.module.add_module("deep", nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64)))
    kept.values = kept.copy()
    kept.home.come()
    sizes = [(chunk.child, len(chunk.members), chunk.size) for chunk in kept.home.chunks]
    assert sizes == [("a", 2, 16896), ("b", 1, 16384), ("norm", 2, 1024), ("deep", 2, 16896), ("deep", 2, 16896)]
    kept.home.go(DEVICE)
    assert kept.is_same()


def test_who_copies_a_child_copies_no_other(kept):
    kept.home.come()
    copied = copy.deepcopy(kept.module.norm.state_dict())
    assert copied["weight"].untyped_storage().nbytes() < 3 * 4096  # whole pages


def test_without_room_on_the_device_all_stays_where_it_is(kept, monkeypatch):
    monkeypatch.setattr(homes, "CHUNK", 20_000)
    kept.home.come()
    places = [tensor.data_ptr() for tensor in kept.module.parameters()]
    refused = iter([False, True])
    empty = torch.empty

    def full(*args, **kwargs):
        if kwargs.get("device") == DEVICE and next(refused):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return empty(*args, **kwargs)

    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        kept.home.go(DEVICE)
    monkeypatch.setattr(torch, "empty", empty)
    assert not kept.home.is_away
    assert [tensor.data_ptr() for tensor in kept.module.parameters()] == places
    assert kept.is_same()
    kept.home.go(DEVICE)
    assert kept.is_same()


@pytest.mark.parametrize("step", ["pages", "copy", "point"])
def test_a_failure_leaves_every_parameter_whole(kept, monkeypatch, step):
    monkeypatch.setattr(homes, "CHUNK", 20_000)
    calls = iter(range(100))

    def failing(original):
        def wrapped(*args, **kwargs):
            if next(calls) == 1:
                raise RuntimeError("DefaultCPUAllocator: not enough memory")
            return original(*args, **kwargs)

        return wrapped

    name = {"pages": "own_pages", "copy": "wait", "point": "_is_saved"}[step]
    if step == "point":
        kept.home.come()
        kept.home.go(DEVICE)
        with torch.no_grad():
            for tensor in kept.module.parameters():
                tensor.add_(1)
        kept.values = kept.copy()
    monkeypatch.setattr(homes, name, failing(getattr(homes, name)))
    with pytest.raises(RuntimeError):
        kept.home.come()
    assert kept.is_same()
    if step == "point":
        kept.home.come()
    else:
        kept.home.leave()
    assert kept.is_same()
    kept.home.go(DEVICE)
    assert kept.is_same()


def test_in_inference_mode(kept):
    with torch.inference_mode():
        kept.home.come()
        kept.home.go(DEVICE)
        assert kept.is_same()
        kept.home.come()
    assert not any(tensor.is_inference() for tensor in kept.module.parameters())
    kept.home.go(DEVICE)
    with torch.no_grad():
        kept.module.b.weight.add_(1)
    kept.values = kept.copy()
    kept.home.come()
    assert kept.is_same()


def test_who_leaves_is_as_any_other(kept):
    kept.home.come()
    kept.home.go(DEVICE)
    kept.home.leave()
    assert kept.home.size == 0
    kept.module.half()
    kept.values = kept.copy()
    kept.home.go(DEVICE)
    kept.home.come()
    assert kept.is_same()


def test_subclasses_and_what_has_no_memory_are_left_out():
    class Packed(nn.Parameter):
        pass

    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, device="meta"))
    module[0].weight = Packed(module[0].weight.data)
    home = Home(module, Pins())
    home.come()
    assert [member.tensor for chunk in home.chunks for member in chunk.members] == [module[0].bias]


def test_networks_are_out_at_home_and_need_no_copies(kept):
    """One was in when the weights got their home, with the webui's own copies; another comes on the device."""
    first, second = kept.module.a, kept.module.b
    for layer in (first, second):
        layer.network_layer_name = "any"
    with torch.no_grad():
        first.network_weights_backup, first.network_bias_backup = first.weight.clone(), first.bias.clone()
        first.weight.add_(1)
    first.network_current_names = (("any", 1.0, 1.0, None),)
    kept.home.come()
    kept.home.go(DEVICE)
    assert kept.is_same()
    homes_of = kept.home.homes()
    assert [layer.network_weights_backup is homes_of[id(layer.weight)] for layer in (first, second)] == [True, True]
    with torch.no_grad():
        second.weight.add_(1)
    second.network_current_names = (("any", 1.0, 1.0, None),)
    kept.home.come()
    assert kept.is_same()
    assert (first.network_current_names, second.network_current_names) == ((), ())
    assert [first.network_weights_backup, second.network_weights_backup] == [None, None]  # they would be the weights
    kept.home.leave()
    assert kept.is_same()


@pytest.mark.parametrize("how", ["leave", "nothing of a chunk is left"])
def test_nothing_is_unlocked_while_it_is_on_its_way(kept, monkeypatch, how):
    kept.home.come()
    told = []
    monkeypatch.setattr(homes, "wait", lambda tensors: told.extend(["waited"] * len(list(tensors))))
    monkeypatch.setattr(Pins, "unlock", lambda _self, _pages: told.append("unlocked"))
    if how == "leave":
        kept.home.go(DEVICE)
        kept.home.leave()
    else:
        kept.module.norm.half()
        kept.home.go(DEVICE)
    assert told
    assert told == ["waited", "unlocked"] * (len(told) // 2)


def test_who_has_left_settles_no_more(kept):
    kept.home.leave()
    kept.home.come()
    kept.home.go(DEVICE)
    assert (kept.home.chunks, kept.home.is_away) == ([], False)
    assert kept.is_same()


def test_another_dtype_goes_its_own_way_with_a_network_in_it_too(kept):
    """It is what the webui made of it; only half of a layer at home would be neither."""
    kept.module.a.network_layer_name = "any"
    kept.home.come()
    kept.home.go(DEVICE)
    with torch.no_grad():
        kept.module.a.weight.add_(1)
    kept.module.a.network_current_names = (("any", 1.0, 1.0, None),)
    kept.module.a.half()
    kept.home.come()
    assert {tensor.dtype for tensor in kept.module.a.parameters()} == {torch.float16}
    assert torch.equal(kept.module.a.weight, kept.values["a.weight"].half())
    assert kept.module.a.network_current_names == ()


def test_a_move_home_that_failed_half_way_goes_on(kept, monkeypatch):
    monkeypatch.setattr(homes, "CHUNK", 20_000)
    kept.home.come()
    kept.home.go(DEVICE)
    with torch.no_grad():
        for tensor in (kept.module.a.weight, kept.module.b.weight):
            tensor.add_(1)
    kept.values = kept.copy()
    saved, calls = homes._is_saved, iter(range(9))

    def failing(*args):
        if next(calls) == 1:
            raise RuntimeError("no memory")
        return saved(*args)

    monkeypatch.setattr(homes, "_is_saved", failing)
    with pytest.raises(RuntimeError):
        kept.home.come()
    assert kept.is_same()
    kept.home.come()
    assert not kept.home.is_away
    assert kept.is_same()
