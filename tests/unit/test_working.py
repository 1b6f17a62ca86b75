"""How much of the device the pictures need."""

from hypothesis import given
from hypothesis import strategies as st

from lib_multipass.memory import working
from lib_multipass.memory.working import reserve, second_pass_pixels

PIXELS = st.integers(1, 50_000_000)
MEASURED = st.dictionaries(PIXELS, st.integers(0, 10**11), max_size=4)


def test_until_something_was_measured_the_estimate_stands():
    megapixel = 1024 * 1024
    assert reserve(megapixel, {}) == working.BASE + working.PER_PIXEL * megapixel
    assert reserve(megapixel, {}, half=False) == working.BASE + 2 * working.PER_PIXEL * megapixel


def test_a_measured_job_says_more_than_the_estimate():
    measured = {1_000_000: 2_000_000_000}
    assert reserve(1_000_000, measured) == 2_200_000_000
    assert reserve(250_000, measured) == 2_200_000_000
    assert reserve(4_000_000, measured) == 8_800_000_000


def test_a_smaller_job_that_needed_more_is_not_forgotten():
    assert reserve(1_500_000, {1_000_000: 3_000_000_000, 2_000_000: 1_000_000_000}) == 3_300_000_000


@given(MEASURED, PIXELS, PIXELS, st.booleans())
def test_the_reserve_grows_with_the_pixels(measured, one, other, half):
    smaller, larger = sorted((one, other))
    assert reserve(smaller, measured, half) <= reserve(larger, measured, half)


@given(MEASURED.filter(bool), PIXELS)
def test_the_reserve_covers_what_was_measured(measured, pixels):
    needed = [bytes_ for known, bytes_ in measured.items() if known <= pixels]
    assert reserve(pixels, measured) >= max(needed, default=0)


def test_pixels_of_the_second_pass():
    assert second_pass_pixels(512, 768, 2) == 1024 * 1536
    assert second_pass_pixels(512, 768, 2, 1024, 0) == 1024 * 1536
    assert second_pass_pixels(512, 512, 2, 1024, 512) == 1024 * 1024
    assert second_pass_pixels(512, 512, 1.5, 0, 0) == 768 * 768
