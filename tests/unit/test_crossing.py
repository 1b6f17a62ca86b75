"""Which checkpoints can follow one another."""

from __future__ import annotations

import pytest

from lib_multipass.memory.headers import FLUX, LORA, REFINER, SD1, SD2, SD3, SDXL, UNKNOWN, VAE_ALONE, Facts
from lib_multipass.plan import crossing
from lib_multipass.words import MultipassError


def facts(architecture=UNKNOWN, **more):
    return Facts(1, architecture, **more)


@pytest.mark.parametrize(
    ("first", "second", "fit"),
    [
        (SD1, SD2, True),
        (SD1, SDXL, False),
        (SDXL, SD2, False),
        (SDXL, REFINER, True),
        (SD3, SDXL, False),
        (UNKNOWN, SDXL, True),
    ],
)
def test_latents(first, second, fit):
    assert crossing.latents_fit(facts(first), facts(second)) is fit
    assert crossing.latents_fit(facts(second), facts(first)) is fit


def test_replacement():
    assert crossing.replacement("4x", ["Lanczos", "4x"]) == "4x"
    assert crossing.replacement("4x", ["Lanczos"]) == "Lanczos"


def refused(check, *args) -> str | None:
    try:
        check(*args)
    except MultipassError as error:
        return str(error)
    return None


def test_architectures_that_this_webui_cannot_load():
    told = refused(crossing.require_architecture, "Second-pass checkpoint", "x.safetensors", facts(FLUX), {FLUX, SD3})
    assert told
    assert "Second-pass checkpoint: the architecture of x.safetensors is Flux, which this webui cannot load" in told
    for architecture in (SD1, SD2, SDXL, REFINER, SD3, UNKNOWN):
        assert refused(crossing.require_architecture, "", "", facts(architecture), {FLUX}) is None


def test_a_refiner_begins_nothing():
    assert "cannot begin" in refused(crossing.require_beginner, "First", "x", facts(REFINER))
    for architecture in (SD1, SD2, SDXL, SD3, UNKNOWN):
        assert refused(crossing.require_beginner, "First", "x", facts(architecture)) is None


def test_what_is_no_checkpoint():
    for kind in (LORA, VAE_ALONE):
        assert "is no checkpoint" in refused(crossing.require_checkpoint, "Second", "x", facts(kind=kind))
    assert refused(crossing.require_checkpoint, "Second", "x", facts(inpainting=True)) is None
    assert refused(crossing.require_checkpoint, "Second", "x", facts(REFINER)) is None


def test_a_refiner_goes_on_in_its_own_latent_space():
    told = refused(crossing.require_same_latents, "r", "b", facts(REFINER), facts(SD1))
    assert "Refiner: r is SDXL refiner and cannot go on with a picture that b (SD 1.x) began" in told
    assert refused(crossing.require_same_latents, "r", "b", facts(REFINER), facts(SDXL)) is None
    assert refused(crossing.require_same_latents, "r", "b", facts(), facts(SDXL)) is None
