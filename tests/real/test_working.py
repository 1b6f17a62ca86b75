"""The estimate of what pictures need of the device against the networks of real webuis."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from lib_multipass.memory import working
from support import webuis
from support.hosts import NEO

COUNT = Path(webuis.__file__).with_name("real_needs.py")


@pytest.mark.real
@pytest.mark.parametrize("given", webuis.given(), ids=str)
def test_what_the_networks_hold(given: webuis.Webui) -> None:
    """The decoder in one picture, the diffusion models in each of a batch."""
    if given.kind is NEO or not (given.root / "repositories" / "generative-models").is_dir():
        pytest.skip("this webui has other networks")
    command = [given.python, str(COUNT), "--repositories", str(given.root / "repositories")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(given, printed)
    for dtype, width in (("float16", 2), ("float32", 4)):
        found = json.loads(printed)[dtype]
        assert found["decoder"] == working.VAE_PER_PIXEL * width
        assert found["SD 1.x"] == pytest.approx(working.UNET_PER_PIXEL * width / 2, rel=0.01)
        assert found["SDXL"] < found["SD 1.x"]
