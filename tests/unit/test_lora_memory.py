"""How much LoRA copies can take."""

from lib_multipass.memory.footprint import Loading, most_backup_bytes
from lib_multipass.memory.headers import Facts
from support.measured import SD15, TINY, XL


def test_at_most():
    text_and_diffusion = 859_520_964 + 123_060_480
    assert most_backup_bytes(SD15, Loading()) == 2 * text_and_diffusion
    assert most_backup_bytes(SD15, Loading(half=False)) == 4 * text_and_diffusion
    assert most_backup_bytes(SD15, Loading(half_vae=False, other_vae=True)) == 2 * text_and_diffusion
    assert most_backup_bytes(XL, Loading()) == 2 * (2_567_463_684 + 817_720_321)
    assert most_backup_bytes(TINY, Loading()) == 2 * (5_456_292 + 121_504) + 77 * 8
    fp8 = 2 * text_and_diffusion - 859_077_120 - 84_934_656
    assert most_backup_bytes(SD15, Loading(fp8=True)) == fp8
    assert most_backup_bytes(SD15, Loading(fp8=True, cache_fp16=True)) == fp8
    assert most_backup_bytes(Facts(1000), Loading(half=False)) == 2000
