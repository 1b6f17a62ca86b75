"""How much memory may be page-locked."""

from __future__ import annotations

import pytest

from lib_multipass.memory.pinning import allowance


@pytest.mark.parametrize(
    ("total", "left", "is_windows", "expected"),
    [(100, None, False, 50), (100, None, True, 40), (100, 30, False, 30), (100, 45, True, 40), (None, 30, False, 0)],
)
def test_a_share_of_the_computer_and_no_more_than_the_group_leaves(total, left, is_windows, expected):
    assert allowance(total, left, is_windows) == expected
