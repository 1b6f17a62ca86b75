"""Page-locked memory: what is locked, how much at most, and what follows a refusal. The driver is pretended."""

from __future__ import annotations

import mmap
from types import SimpleNamespace

import pytest
import torch

from lib_multipass.webui.a1111 import pins
from lib_multipass.webui.a1111.pins import Pins, own_pages


class Driver:
    """What ``torch.cuda.cudart()`` gives."""

    def __init__(self):
        self.locked, self.answers = {}, 0

    def cudaHostRegister(self, address, size, flags):  # noqa: N802
        if not self.answers:
            self.locked[address] = size
        return self.answers

    def cudaHostUnregister(self, address):  # noqa: N802
        self.locked.pop(address)
        return 0


@pytest.fixture
def driver(monkeypatch):
    made = Driver()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "cudart", lambda: made)
    monkeypatch.setattr(pins, "_clear_error", lambda _device: setattr(made, "cleared", True))
    monkeypatch.setattr(pins.cgroups, "free_bytes", lambda: None)
    monkeypatch.setattr(pins, "psutil", SimpleNamespace(virtual_memory=lambda: SimpleNamespace(total=10 * 2**20)))
    return made


@pytest.mark.parametrize("size", [1, mmap.PAGESIZE, mmap.PAGESIZE + 1, 10**6])
def test_pages_are_whole_and_hold_what_is_asked_for(size):
    pages = own_pages(size)
    assert pages.data_ptr() % mmap.PAGESIZE == pages.numel() % mmap.PAGESIZE == 0
    assert size <= pages.numel() < size + mmap.PAGESIZE


def test_what_is_locked_is_unlocked_once(driver):
    known, pages = Pins(), own_pages(10**6)
    assert known.lock(pages)
    assert driver.locked == {pages.data_ptr(): pages.numel()} == known.locked
    assert known.used == pages.numel()
    known.unlock(pages)
    known.unlock(pages)
    assert (driver.locked, known.used) == ({}, 0)


def test_no_more_than_a_share_of_the_computer(driver):
    known, pages = Pins(), [own_pages(2 * 2**20) for _ in range(4)]
    assert [known.lock(one) for one in pages] == [True, True, False, False]
    assert not known.is_refused


def test_no_more_than_the_containers_group_leaves(driver, monkeypatch):
    monkeypatch.setattr(pins.cgroups, "free_bytes", lambda: 3 * 2**20)
    known, pages = Pins(), [own_pages(2 * 2**20) for _ in range(2)]
    assert [known.lock(one) for one in pages] == [True, True]
    monkeypatch.setattr(pins.cgroups, "free_bytes", lambda: 2**20)
    assert not known.lock(own_pages(2 * 2**20))


def test_a_refusal_is_the_last_question(driver):
    known, driver.answers = Pins(), 1
    assert not known.lock(own_pages(10**6))
    assert known.is_refused
    assert driver.cleared
    driver.answers = 0
    assert not known.lock(own_pages(10**6))
    assert driver.locked == {}


def test_a_driver_that_cannot_be_asked_refuses(driver, monkeypatch):
    monkeypatch.setattr(torch.cuda, "cudart", lambda: SimpleNamespace())
    known = Pins()
    assert not known.lock(own_pages(10**6))
    assert known.is_refused


def test_without_a_card_nothing_is_locked(driver, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not Pins().lock(own_pages(10**6))
    assert driver.locked == {}
