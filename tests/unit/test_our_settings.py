"""Our settings as the webui may have stored them: through its API, or by hand in its file."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lib_multipass.plan.our_settings import (
    CHOICES,
    CROSSING_UPSCALER,
    DEFAULTS,
    FAST,
    KEEP,
    LABELS,
    ORDER,
    STAGES,
    VRAM_RESERVE,
    checked,
    require,
)
from lib_multipass.words import MultipassError


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_default_and_null_are_right(name: str) -> None:
    assert checked(name, DEFAULTS[name]) == checked(name, None) == DEFAULTS[name]


@pytest.mark.parametrize("name", [name for name in DEFAULTS if name != CROSSING_UPSCALER])
@pytest.mark.parametrize("value", [[], {"a": 1}, math.nan, -1, 10**400])
def test_what_no_job_can_go_by_is_named(name: str, value: Any) -> None:
    with pytest.raises(MultipassError) as told:
        checked(name, value)
    assert told.value.detail.startswith(f"Settings, Multipass, {LABELS[name]} ({name}): ")
    assert " is not allowed here; it has to be " in told.value.detail


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        (KEEP, "vram", "it has to be one of 'Automatic', 'In VRAM', 'In RAM', 'As the webui is set'."),
        (ORDER, "pass by pass", "it has to be one of 'Automatic', 'Pass by pass', 'Picture by picture'."),
        (VRAM_RESERVE, "2", "it has to be a number from 0 to 1000000."),
        (STAGES, True, "it has to be a number from 0 to 1000000."),
        (FAST, "off", "it has to be true or false."),
    ],
)
def test_the_sentence_says_what_is_allowed(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(MultipassError) as told:
        require({}, {name: value})
    assert told.value.detail.endswith(f"{value!r} is not allowed here; {allowed}")


def test_right_values_stay() -> None:
    assert checked(CROSSING_UPSCALER, "gone") == "gone"  # Lanczos takes its place, and the result says so
    for name, value in [(VRAM_RESERVE, 0), (VRAM_RESERVE, 1.5), (FAST, True), *((KEEP, one) for one in CHOICES[KEEP])]:
        assert checked(name, value) is value
