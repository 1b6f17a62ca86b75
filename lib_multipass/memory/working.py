"""How much memory of the device the pictures of a job need besides the checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BASE = 800_000_000
"""Bytes that are there before the first pixel: the device's own libraries and buffers."""
VAE_PER_PIXEL = 1024
"""Bytes for each pixel of one picture and each byte of a number: four times the 256 channels that the decoder's last
layers have at full size. The webui decodes and encodes one picture of a batch at a time (1.6.0 to 1.10.1)."""
UNET_PER_PIXEL = 500
"""Bytes for each pixel of a whole batch at half precision in the diffusion model of SD 1.x, which takes more than that
of SDXL: prompt and negative prompt at once, without the scores of attention, which may take all that is free."""
SAFETY = 1.2
"""The estimate is this many times what the networks themselves hold: libraries take some for their own work."""
MARGIN = 1.1
"""A measured peak is not the highest that can be: prompts and extensions differ from job to job."""
MOST = 1.3
"""What was measured counts up to so many times the estimate: some ways to compute attention take whatever is free, and
with less they do with less."""


def estimate(pixels: int, batch: int = 1, half: bool = True, half_vae: bool = True) -> int:
    """Bytes that the pictures of a pass take, as long as nothing was measured; it also says how large a job is.

    Args:
        pixels: of one picture.
        batch: how many are made at once.
        half: whether the diffusion model computes in half precision.
        half_vae: whether the VAE does.
    """
    vae = VAE_PER_PIXEL * (2 if half_vae else 4) * pixels
    unet = UNET_PER_PIXEL * (1 if half else 2) * pixels * batch
    return int(BASE + SAFETY * max(vae, unet))


def reserve(estimated: int, measured: Mapping[int, int]) -> int:
    """Bytes to leave free for a job.

    The estimate stands until a job of this run was measured: then a job as large or smaller needs what that one did at
    most, and a larger one so many times as much.

    Args:
        estimated: the job's estimate.
        measured: bytes that earlier jobs needed at most, by their estimates.
    """
    if not measured:
        return estimated
    smaller = [needed for known, needed in measured.items() if known <= estimated]
    larger = [needed for known, needed in measured.items() if known >= estimated]
    if larger:
        learnt = max(min(larger), *smaller, 0)
    else:
        learnt = max(needed * estimated / known for known, needed in measured.items())
    return int(min(MARGIN * learnt, MOST * estimated))


@dataclass(frozen=True)
class Reading:
    """What the device said at one moment, in bytes."""

    used: int
    """What tensors of this process take."""
    peak: int
    """The most that they took since the peaks were set back."""
    room: int
    """What this process has of the device's memory and could still get."""
    reserved_peak: int
    """The most that was set aside for tensors, free blocks between them included, since the peaks were set back."""


def needed(before: Reading, after: Reading, arriving: int = 0) -> int:
    """Bytes that a pass needed besides the checkpoints.

    Args:
        before: at its beginning, when the peaks were set back.
        after: at its end.
        arriving: bytes of its checkpoint that came to the device meanwhile, since the webui moves it in parts.
    """
    return max(0, after.peak - before.used - arriving)


def is_beyond(before: Reading, after: Reading) -> bool:
    """Whether more was set aside meanwhile than the device had: the driver has taken it from the computer's memory."""
    return after.reserved_peak > before.room


def second_pass_pixels(width: int, height: int, scale: float, resize_x: int = 0, resize_y: int = 0) -> int:
    """Pixels of each picture that the hires pass works on.

    Sides given in ``resize_x`` and ``resize_y`` come instead of the factor; one alone keeps the proportions, and of two
    the webui makes the larger picture and cuts it (``calculate_target_resolution``, 1.6.0 to 1.10.1).
    """
    if resize_x or resize_y:
        scale = max(resize_x / width, resize_y / height)
    return int(width * scale) * int(height * scale)
