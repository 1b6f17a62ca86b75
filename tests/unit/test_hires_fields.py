"""Fields that some webuis have for the hires pass alone, as they are declared."""

from __future__ import annotations

import pytest

from lib_multipass.memory.architectures import SD1, SDXL
from lib_multipass.memory.headers import Facts
from lib_multipass.plan import hires
from lib_multipass.plan.args import NO_VAE, PassArgs
from lib_multipass.plan.borrowing import borrowed
from lib_multipass.plan.forecast import FIRST, SECOND
from lib_multipass.plan.roles import Roles
from lib_multipass.plan.second_pass import SecondPass
from lib_multipass.plan.situation import Hires, Situation
from lib_multipass.plan.vae_choice import VaeSettings
from lib_multipass.words import MultipassError
from support.listed import Info

ENCODER = "first_stage_model.encoder."
VAES = ("sharp.safetensors", "soft.safetensors")


def of_its_own(own=None, modules=(), foreign=False, **given):
    asked = Hires(given={"cfg_scale": 7.0, **given}, modules=modules, cfg_left_out=1.0, cfg_of_first=7.0)
    return hires.of_its_own(asked, own or SecondPass(), VAES, foreign)


def test_a_webui_without_these_fields_gets_none():
    assert of_its_own(SecondPass("sharp.safetensors", 9.0)) == {}


@pytest.mark.parametrize(("second", "modules"), [("beta", None), ("alpha", ()), ("alpha", None)])
@pytest.mark.parametrize("frozen", [True, False])
def test_a_webui_that_swaps_by_frozen_settings(second, modules, frozen):
    """Forge Neo; it would fail after the first pass."""
    roles = Roles(Info("alpha.safetensors"), Info(f"{second}.safetensors"), None, SecondPass(modules=modules), None)
    if frozen and (second, modules) != ("alpha", None):
        with pytest.raises(MultipassError, match="settings are frozen on its command line"):
            hires.require_swap(Hires(frozen=frozen), roles)
    else:
        hires.require_swap(Hires(frozen=frozen), roles)


@pytest.mark.parametrize(
    ("own", "given", "scale"), [(None, 1.0, 7.0), (None, 0, 7.0), (None, 4.0, 4.0), (9.0, 4.0, 9.0)]
)
def test_the_cfg_scale_is_the_first_passs_the_chosen_one_or_its_own(own, given, scale):
    assert of_its_own(SecondPass(cfg_scale=own), hr_cfg=given) == {"hr_cfg": scale}


@pytest.mark.parametrize(
    ("vae", "given", "declared"),
    [
        ("Use same VAE", None, ["Use same choices"]),
        ("Use same VAE", ["text"], None),
        ("Automatic", ["text"], ["Use same choices"]),
        ("sharp.safetensors", None, ["text", "sharp.safetensors"]),
        (NO_VAE, None, ["text"]),
    ],
)
def test_modules(vae, given, declared):
    found = of_its_own(SecondPass(vae), ("soft.safetensors", "text"), hr_additional_modules=given)
    assert found == ({} if declared is None else {"hr_additional_modules": declared})


@pytest.mark.parametrize("chosen", [(), ("other text",), ("sharp.safetensors", "other text")])
def test_modules_that_were_chosen_as_a_list_are_all(chosen):
    own = SecondPass("sharp.safetensors" if len(chosen) == 2 else NO_VAE, modules=chosen)
    found = of_its_own(own, ("soft.safetensors", "text"), hr_additional_modules=["theirs"])
    assert found == {"hr_additional_modules": [*chosen]}


@pytest.mark.parametrize(
    ("vae", "theirs", "expected"),
    [
        ("Use same VAE", ["text.safetensors", "sharp.safetensors"], '["text.safetensors", "sharp.safetensors"]'),
        ("Use same VAE", ["/models/VAE/sharp.safetensors", "gone"], '["sharp.safetensors"]'),
        ("Use same VAE", [], "[]"),
        ("Use same VAE", None, "Use same VAE"),
        ("Use same VAE", ["Use same choices"], "Use same VAE"),
        ("Automatic", ["text.safetensors"], "Automatic"),
        ("soft.safetensors", ["text.safetensors"], "soft.safetensors"),
        ("[]", ["text.safetensors"], "[]"),
    ],
)
def test_what_the_webuis_own_field_chooses_counts_as_chosen(vae, theirs, expected):
    """ADetailer's passes have it then, too, and the infotext says it."""
    asked = PassArgs(True, "photo", vae=vae)
    found = hires.with_theirs(asked, {"hr_additional_modules": theirs}, [*VAES, "text.safetensors"])
    assert found == PassArgs(True, "photo", vae=expected)
    assert hires.with_theirs(asked, {"hr_additional_modules": theirs}, None) == asked
    assert hires.with_theirs(asked, {}, VAES) == asked


@pytest.mark.parametrize("given", [None, ["Use same choices"]])
def test_a_vae_of_another_latent_space_is_left_out_of_the_modules(given):
    found = of_its_own(modules=("soft.safetensors", "text"), foreign=True, hr_additional_modules=given)
    assert found == {"hr_additional_modules": ["text"]}


@pytest.mark.parametrize("wanted", [None, "Latent"])
def test_a_webui_without_latent_upscalers_gets_one_on_pixels(wanted):
    asked = Hires(
        given={"enable_hr": True, "hr_upscaler": wanted, "denoising_strength": 0.5, "hr_scale": 2},
        plain_upscaler="None",
        defaults_to_latent=False,
    )
    assert hires.declared(asked) == {"hr_upscaler": "None"}


def test_two_checkpoints_of_one_name_are_told_apart_in_sentences():
    first, second = Info("cartoons/v1.safetensors"), Info("photos/v1.safetensors")
    facts = {first.filename: Facts(1, architecture=SD1), second.filename: Facts(1, architecture=SDXL, lacks=(ENCODER,))}
    told = hires.why_not_latent("Latent", Hires(latent_upscalers=["Latent"]), Roles(first, second, None), facts)
    assert told.startswith(f"{first.name} is SD 1.x, {second.name} is SDXL: the upscaler Latent ")
    facts[second.filename] = Facts(1, architecture=SD1, lacks=(ENCODER,))
    cast = [(FIRST, first), (SECOND, second)]
    lent = borrowed(Situation(facts=facts, vaes=VaeSettings()), cast, {})
    assert lent == [f"{second.name} has no VAE of its own and works with that of {first.name}."]
