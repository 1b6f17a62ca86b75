"""The pair of pictures in README.md is what the demo makes."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageStat

import demo
from support.webuis import REPOSITORY

ALIKE = 4
"""How far apart two pictures may be on average, of 255: a JPEG loses some, other processors round otherwise."""


def apart(one: Image.Image, other: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def test_the_pair_of_pictures_is_current() -> None:
    shown = Image.open(REPOSITORY / "docs" / "demo.jpg").convert("RGB")
    with demo.miniature() as server:
        first, _ = demo.render(server.client)
        result, infotext = demo.render(server.client, **demo.TWO_PASSES)
    made = demo.side_by_side(first, result, demo.SMALL)
    assert "Multipass checkpoint: photo.safetensors" in infotext
    assert made.size == shown.size
    assert apart(made, shown) < ALIKE
    assert apart(demo.side_by_side(first, first, demo.SMALL), shown) > 2 * ALIKE
