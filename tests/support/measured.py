"""Facts of measured files, and how far an estimate may be off."""

from lib_multipass.memory.footprint import loaded_bytes
from lib_multipass.memory.headers import CHECKPOINT, DIFFUSION, OTHER, SD1, SDXL, TEXT, VAE, Facts

CLOSE = 0.03
"""How far an estimate may be off."""


def facts(architecture, parameters, matrices=None, kind=CHECKPOINT, dtype="F16"):
    counted = {part: {dtype: count} if isinstance(count, int) else count for part, count in parameters.items()}
    return Facts(10**9, architecture, kind, False, counted, matrices or {})


TINY = facts(
    SD1,
    {DIFFUSION: 5_456_292, TEXT: {"I64": 77, "F16": 121_504}, VAE: 3_212_071, OTHER: {"F32": 8000, "F16": 4000}},
    {DIFFUSION: 5_419_264, TEXT: 98_304, VAE: 3_198_864},
)


SD15 = facts(
    SD1,
    {DIFFUSION: 859_520_964, TEXT: 123_060_480, VAE: 83_653_863, OTHER: 859_520_964},
    {DIFFUSION: 859_077_120, TEXT: 84_934_656, VAE: 83_587_920},
    dtype="F32",
)


XL = facts(
    SDXL,
    {DIFFUSION: 2_567_463_684, TEXT: 817_720_321, VAE: 83_653_863},
    {DIFFUSION: 2_565_880_320, TEXT: 556_793_856, VAE: 83_587_920},
)


def misjudged(measured):
    """The rows of ``(facts, loading, bytes)`` where the estimate is further off than ``CLOSE``."""
    estimates = [(loading, loaded_bytes(facts, loading), real) for facts, loading, real in measured]
    return [row for row in estimates if abs(row[1] - row[2]) > CLOSE * row[2]]
