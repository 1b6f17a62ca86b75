"""How much memory of the device the pictures of a job need besides the checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

BASE = 800_000_000
"""Bytes that are there before the first pixel: the device's own libraries and buffers."""
PER_PIXEL = 3_000
"""Bytes for each pixel of the second pass, times the batch size, at half precision. The VAE's decoder alone holds about
2,000 for a picture while it enlarges its last layers; attention and the batch come on top."""
MARGIN = 1.1
"""A measured peak is not the highest that can be: prompts and extensions differ from job to job."""


def reserve(pixels: int, measured: Mapping[int, int], half: bool = True) -> int:
    """Bytes to leave free for a job.

    The estimate above stands until a job of this run was measured: then a job of as many pixels or fewer needs what
    that one did at most, and a larger one so many times as much.

    Args:
        pixels: of the second pass, times the batch size.
        measured: bytes that earlier jobs needed at most, by their pixels.
        half: whether the webui computes in half precision.
    """
    if not measured:
        return int(BASE + PER_PIXEL * pixels * (1 if half else 2))
    smaller = [needed for known, needed in measured.items() if known <= pixels]
    larger = [needed for known, needed in measured.items() if known >= pixels]
    if larger:
        return int(MARGIN * max(min(larger), *smaller, 0))
    return int(MARGIN * max(needed * pixels / known for known, needed in measured.items()))


def second_pass_pixels(width: int, height: int, scale: float, resize_x: int = 0, resize_y: int = 0) -> int:
    """Pixels that the hires pass works on.

    Sides given in ``resize_x`` and ``resize_y`` come instead of the factor; one alone keeps the proportions, and of two
    the webui makes the larger picture and cuts it (``calculate_target_resolution``, 1.6.0 to 1.10.1).
    """
    if resize_x or resize_y:
        scale = max(resize_x / width, resize_y / height)
    return int(width * scale) * int(height * scale)
