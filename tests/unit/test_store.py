"""What is kept between jobs stays within its allowance, and the longest unused goes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lib_multipass.memory.store import Store


def filled(**sizes: int) -> Store:
    store = Store()
    for key, size in sizes.items():
        store.put(key, key.upper(), size, 100)
    return store


def test_what_was_put_in_comes_out() -> None:
    store = filled(a=10, b=20)
    assert (store.get("a"), store.get("b"), store.get("c")) == ("A", "B", None)
    assert (store.bytes, len(store)) == (30, 2)


def test_the_longest_unused_goes_first() -> None:
    store = filled(a=40, b=40)
    store.get("a")
    store.put("c", "C", 40, 100)
    assert (store.get("a"), store.get("b"), store.get("c")) == ("A", None, "C")


def test_what_is_worth_least_goes_before_it() -> None:
    store = filled(a=40)
    store.put("b", "B", 40, 100, worth=1)
    store.put("c", "C", 20, 100, worth=1)
    store.get("a")
    store.put("d", "D", 40, 100, worth=1)
    assert [store.get(key) for key in "abcd"] == [None, "B", "C", "D"]
    store.put("e", "E", 40, 100)
    assert [store.get(key) for key in "bcde"] == ["B", "C", "D", None]


def test_what_is_larger_than_the_allowance_is_not_kept() -> None:
    store = filled(a=40, b=101)
    assert (store.get("a"), store.get("b"), store.bytes) == ("A", None, 40)


def test_a_key_is_kept_once() -> None:
    store = filled(a=40)
    store.put("a", "another", 10, 100)
    assert (store.get("a"), store.bytes, len(store)) == ("another", 10, 1)


def test_a_lower_allowance_lets_go() -> None:
    store = filled(a=40, b=40)
    store.shrink(50)
    assert (store.get("a"), store.get("b"), store.bytes) == (None, "B", 40)
    store.shrink(0)
    assert (len(store), store.bytes) == (0, 0)


def test_clearing_lets_go_of_everything() -> None:
    store = filled(a=40, b=40)
    store.clear()
    assert (store.get("a"), len(store), store.bytes) == (None, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 60)), max_size=40), st.integers(0, 150))
def test_it_never_takes_more_than_it_may(puts: list[tuple[int, int]], allowance: int) -> None:
    store, sizes = Store(), {}
    for key, size in puts:
        store.put(key, (key, size), size, allowance)
        sizes[key] = size
        here = {known: store.get(known) for known in range(7)}
        assert store.bytes == sum(value[1] for value in here.values() if value) <= allowance
        assert all(value in (None, (known, sizes.get(known))) for known, value in here.items())
