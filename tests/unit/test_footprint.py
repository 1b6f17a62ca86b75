"""How large a checkpoint is once loaded, compared with what real webuis had loaded."""

import itertools

import pytest

from lib_multipass.memory.footprint import Loading, loaded_bytes, resident_bytes
from lib_multipass.memory.headers import (
    CHECKPOINT,
    CONDITIONING,
    DIFFUSION,
    DIFFUSION_ALONE,
    FLUX,
    OTHER,
    REFINER,
    SD1,
    SD2,
    SD3,
    SDXL,
    T5,
    TEXT,
    VAE,
    VAE_ALONE,
    Facts,
)
from support.measured import SD15, TINY, XL, facts, misjudged

TINY_XL = facts(
    SDXL,
    {DIFFUSION: 14_374_340, TEXT: {"I64": 77, "F16": 2_112_640}, VAE: 3_212_071},
    {DIFFUSION: 14_251_264, TEXT: 393_216, VAE: 3_198_864},
)
SD15_WITHOUT_VAE = facts(SD1, {DIFFUSION: 859_520_964, TEXT: 123_060_480}, {DIFFUSION: 859_077_120, TEXT: 84_934_656})

MEASURED = [
    (TINY, Loading(half=False), 35_212_084),
    (TINY, Loading(), 17_608_350),
    (TINY, Loading(fp8=True), 12_067_706),
    (TINY_XL, Loading(half=False), 78_824_540),
    (TINY_XL, Loading(), 39_412_578),
    (TINY_XL, Loading(half_vae=False), 45_836_720),
    (TINY_XL, Loading(fp8=True, cache_fp16=True), 24_682_078 + 29_461_000),
    (SD15, Loading(), 2_132_499_230),
    (SD15_WITHOUT_VAE, Loading(), 2_132_499_230),
    (XL, Loading(), 6_937_690_210),
    (XL, Loading(fp8=True), 3_813_692_126),
]
"""Sums over all parameters and buffers in webui 1.10.1 (1.6.0 differs by up to 2,000 bytes), with the fp16 copies;
the last ones of files that have real names and shapes, and nothing but zeros."""


def test_measured():
    assert misjudged(MEASURED) == []


def test_misjudged_sees_a_difference():
    assert len(misjudged([(TINY, Loading(), 17_000_000), (TINY, Loading(), 18_300_000)])) == 2


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16", "F8_E4M3"])
def test_the_files_dtype_does_not_matter(dtype):
    stored = facts(SD1, {DIFFUSION: 1000, TEXT: 100, VAE: 10}, dtype=dtype)
    assert loaded_bytes(stored, Loading()) == 2220
    assert loaded_bytes(stored, Loading(half_vae=False)) == 2240
    assert loaded_bytes(stored, Loading(half=False)) == 4440


def test_whole_numbers_keep_their_width():
    assert loaded_bytes(facts(SD1, {DIFFUSION: 1, TEXT: {"I64": 10}, VAE: {"BOOL": 3}}), Loading()) == 2 + 80 + 3


def test_conditioning_counts_and_averaged_weights_do_not():
    assert loaded_bytes(facts(SD2, {DIFFUSION: 1, TEXT: 1, VAE: 1, CONDITIONING: 50, OTHER: 999}), Loading()) == 106


USUAL_BYTES = {SD1: 2.13e9, SD2: 2.61e9, SDXL: 6.94e9, REFINER: 6.08e9, SD3: 5.97e9}
DIFFUSION_SIZES = {
    SD1: 859_520_964,
    SD2: 865_910_724,
    SDXL: 2_567_463_684,
    REFINER: 2_259_526_660,
    SD3: 2_084_951_104,
}


@pytest.mark.parametrize("architecture", USUAL_BYTES)
@pytest.mark.parametrize("kind", [CHECKPOINT, DIFFUSION_ALONE])
def test_missing_parts_are_built(architecture, kind):
    stored = facts(architecture, {DIFFUSION: DIFFUSION_SIZES[architecture]}, kind=kind)
    assert loaded_bytes(stored, Loading()) == pytest.approx(USUAL_BYTES[architecture], rel=0.01)


def test_a_lone_vae_is_only_itself():
    assert loaded_bytes(facts("unknown", {VAE: 10}, kind=VAE_ALONE), Loading()) == 20
    assert loaded_bytes(facts("unknown", {VAE: 10}, kind=VAE_ALONE), Loading(half_vae=False)) == 40


def test_unknown_architecture_is_what_the_file_holds():
    assert loaded_bytes(facts("unknown", {DIFFUSION: 10}), Loading()) == 20
    assert loaded_bytes(facts(FLUX, {DIFFUSION: 10, T5: 5}, kind=DIFFUSION_ALONE), Loading()) == 30


def test_t5_is_loaded_when_it_is_wanted():
    parts = {DIFFUSION: 100, TEXT: 20, VAE: 10}
    for stored in (facts(SD3, parts), facts(SD3, {**parts, T5: 4_762_310_656})):
        assert loaded_bytes(stored, Loading()) == 260
        assert loaded_bytes(stored, Loading(t5=True)) == 260 + 2 * 4_762_310_656


def test_fp8_takes_weights_to_one_byte_but_for_the_vae():
    stored = facts(SDXL, {DIFFUSION: 100, TEXT: 50, VAE: 10}, {DIFFUSION: 90, TEXT: 20, VAE: 10})
    assert loaded_bytes(stored, Loading(fp8=True)) == 320 - 110
    assert loaded_bytes(stored, Loading(fp8=True, half=False)) == 640 - 330
    assert loaded_bytes(stored, Loading(fp8=True, cache_fp16=True)) == 320 - 110 + 220
    assert loaded_bytes(stored, Loading(cache_fp16=True)) == 320
    assert resident_bytes(stored, Loading(fp8=True, cache_fp16=True)) == 320 - 110


def test_no_copies_of_what_is_not_loaded():
    stored = facts(SD3, {DIFFUSION: 100, TEXT: 50, VAE: 10, T5: 80, OTHER: 9}, {DIFFUSION: 100, T5: 80, OTHER: 9})
    assert loaded_bytes(stored, Loading(fp8=True, cache_fp16=True)) == 320 - 100 + 200


def test_another_vae_comes_on_top():
    stored = facts(SD1, {DIFFUSION: 100, TEXT: 50, VAE: 10})
    assert loaded_bytes(stored, Loading(other_vae=True)) == 340
    assert loaded_bytes(stored, Loading(other_vae=True, half_vae=False)) == 380


@pytest.mark.parametrize("loading", [Loading(), Loading(half=False), Loading(half_vae=False), Loading(other_vae=True)])
def test_all_is_on_the_device(loading):
    assert resident_bytes(XL, loading) == loaded_bytes(XL, loading)


@pytest.mark.parametrize(
    ("stored", "medvram", "lowvram"),
    [
        (SD15, 2 * 859_520_964, 2 * 123_060_480),
        (SD15_WITHOUT_VAE, 2 * 859_520_964, 2 * 123_060_480),
        (XL, 2 * 2_567_463_684, 2 * 817_720_321),
        (facts(SD3, {DIFFUSION: 100, TEXT: 40, VAE: 10}), 200, 200),
        (facts("unknown", {DIFFUSION: 100, TEXT: 40}), 200, 200),
        (facts(FLUX, {DIFFUSION: 100}), 200, 200),
    ],
)
def test_one_component_at_a_time(stored, medvram, lowvram):
    assert resident_bytes(stored, Loading(medvram=True)) == medvram
    assert resident_bytes(stored, Loading(lowvram=True)) == lowvram
    assert resident_bytes(stored, Loading(lowvram=True, medvram=True)) == lowvram


LARGEST_BLOCKS = {
    SD1: 97_038_080 + 12_164,
    SD2: 97_693_440 + 12_164,
    SDXL: 413_117_440 + 5_257_604,
    REFINER: 280_101_888 + 6_309_124,
}
"""Elements of the largest block of the diffusion model with what stays beside it, counted on the webui's configs."""


@pytest.mark.parametrize("architecture", LARGEST_BLOCKS)
def test_lowvram_may_leave_the_blocks_out(architecture):
    stored = facts(architecture, {DIFFUSION: DIFFUSION_SIZES[architecture]})
    assert resident_bytes(stored, Loading(lowvram=True)) > 2 * LARGEST_BLOCKS[architecture]


@pytest.mark.parametrize("resident", [loaded_bytes, resident_bytes])
def test_file_of_which_only_the_size_is_known(resident):
    assert resident(Facts(1000), Loading(medvram=True)) == 1000
    assert resident(Facts(1000), Loading(half=False)) == 2000
    assert resident(Facts(0, problem="It is not a file."), Loading()) == 0


def test_resident_is_never_more_than_loaded():
    switches = [dict(zip(Loading.__dataclass_fields__, values, strict=True)) for values in _all_switches()]
    for stored, switch in itertools.product((TINY, TINY_XL, SD15, XL, SD15_WITHOUT_VAE), switches):
        loading = Loading(**switch)
        assert 0 < resident_bytes(stored, loading) <= loaded_bytes(stored, loading)


def _all_switches():
    return itertools.product((False, True), repeat=len(Loading.__dataclass_fields__))
