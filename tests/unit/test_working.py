"""How much of the device the pictures need."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_multipass.memory import working
from lib_multipass.memory.working import Reading, estimate, is_beyond, needed, reserve, second_pass_pixels

PIXELS = st.integers(1, 50_000_000)
ESTIMATES = st.integers(10**8, 10**11)
MEASURED = st.dictionaries(ESTIMATES, st.integers(0, 10**11), max_size=4)


@pytest.mark.parametrize(
    ("side", "batch", "dtypes", "real"),
    [
        (1024, 4, {}, 2_147_483_648),
        (1024, 1, {}, 2_147_483_648),
        (1536, 1, {"half_vae": False}, 9_663_676_416),
        (1024, 1, {"half": False, "half_vae": False}, 4_294_967_296),
        (1024, 8, {}, 4_195_000_000),
        (1024, 4, {"half": False}, 4_195_000_000),
    ],
)
def test_the_estimate_is_what_the_networks_hold_and_a_little_more(side, batch, dtypes, real):
    """What the decoder and the diffusion model of SD 1.x really hold, counted in ``tests/real/test_working.py``."""
    estimated = estimate(side * side, batch, **dtypes)
    assert real + working.BASE < estimated < 1.25 * real + working.BASE


def test_of_a_batch_one_picture_at_a_time_is_decoded():
    assert estimate(1024 * 1024, 4) == estimate(1024 * 1024)
    assert estimate(1024 * 1024, 16) > 3 * estimate(1024 * 1024)
    assert estimate(2048 * 2048) > 3 * estimate(1024 * 1024, 4)


def test_until_something_was_measured_the_estimate_stands():
    assert reserve(3_400_000_000, {}) == 3_400_000_000


def test_a_measured_job_says_more_than_the_estimate():
    measured = {3_000_000_000: 2_000_000_000}
    assert reserve(3_000_000_000, measured) == 2_200_000_000
    assert reserve(2_000_000_000, measured) == 2_200_000_000
    assert reserve(9_000_000_000, measured) == 6_600_000_000


def test_a_smaller_job_that_needed_more_is_not_forgotten():
    assert reserve(3_500_000_000, {3_400_000_000: 3_000_000_000, 3_600_000_000: 1_000_000_000}) == 3_300_000_000


def test_what_takes_all_that_is_free_teaches_little():
    """Attention that is computed in as few steps as there is memory for."""
    assert reserve(3_000_000_000, {3_000_000_000: 20_000_000_000}) == 3_900_000_000
    assert reserve(9_000_000_000, {3_000_000_000: 20_000_000_000}) == 11_700_000_000


@given(MEASURED, ESTIMATES, ESTIMATES)
def test_the_reserve_grows_with_the_estimate(measured, one, other):
    smaller, larger = sorted((one, other))
    assert reserve(smaller, measured) <= reserve(larger, measured)


@given(PIXELS, PIXELS, st.integers(1, 8), st.booleans(), st.booleans())
def test_the_estimate_grows_with_the_pixels(one, other, batch, half, half_vae):
    smaller, larger = sorted((one, other))
    assert estimate(smaller, batch, half, half_vae) <= estimate(larger, batch, half, half_vae)
    assert estimate(smaller, batch, half, half_vae) <= estimate(smaller, batch + 1, half, half_vae)
    least, most = estimate(smaller, batch), estimate(smaller, batch, False, False)
    assert least <= estimate(smaller, batch, half, half_vae) <= most


@given(MEASURED.filter(bool), ESTIMATES)
def test_the_reserve_covers_what_was_measured_up_to_its_cap(measured, estimated):
    smaller = [bytes_ for known, bytes_ in measured.items() if known <= estimated]
    assert reserve(estimated, measured) >= min(int(working.MOST * estimated), max(smaller, default=0))
    assert reserve(estimated, measured) <= working.MOST * estimated


def test_what_a_pass_needed_is_counted_from_its_beginning():
    before, after = Reading(used=5, peak=90, room=100, reserved_peak=90), Reading(9, 30, 100, 40)
    assert needed(before, after) == 25
    assert needed(before, after, arriving=20) == 5
    assert needed(before, after, arriving=40) == 0


@pytest.mark.parametrize(("reserved_peak", "expected"), [(99, False), (100, False), (101, True)])
def test_more_than_there_was_came_from_elsewhere(reserved_peak, expected):
    assert is_beyond(Reading(5, 5, 100, 8), Reading(5, 60, 100, reserved_peak)) is expected


def test_pixels_of_the_second_pass():
    assert second_pass_pixels(512, 768, 2) == 1024 * 1536
    assert second_pass_pixels(512, 768, 2, 1024, 0) == 1024 * 1536
    assert second_pass_pixels(512, 512, 2, 1024, 512) == 1024 * 1024
    assert second_pass_pixels(512, 512, 1.5, 0, 0) == 768 * 768
