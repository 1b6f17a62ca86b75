"""Where VAEs are modules: which of them the second checkpoint has for the whole job, and what is said if it has not."""

from __future__ import annotations

from typing import Any

import pytest

from lib_multipass.memory.architectures import SD1, SDXL, UNKNOWN
from lib_multipass.memory.headers import CHECKPOINT, DIFFUSION_ALONE, Facts
from lib_multipass.memory.placement import Model
from lib_multipass.plan.args import PassArgs
from lib_multipass.plan.decide import Plan, decide
from lib_multipass.plan.hires import check_refiner
from lib_multipass.plan.roles import roles_of
from lib_multipass.plan.situation import Faces, Hires, Machine, Situation
from lib_multipass.plan.vae_choice import VaeSettings
from support.adetailer_args import FACE
from support.listed import CARTOON, KNOWN, PHOTO

VAES = ["sharp.safetensors", "soft.safetensors"]
TEXT, OTHER_TEXT = "text.safetensors", "other text.safetensors"


def plan(
    vae: Any,
    base: Any = CARTOON,
    tab: Any = None,
    first: Any = (TEXT,),
    kinds: Any = None,
    module: str | None = None,
    module_facts: Facts | None = None,
    sets: int = 1,
    kind: str = CHECKPOINT,
    is_request: bool = False,
    **own: Any,
) -> Plan:
    args = PassArgs.parse([{"checkpoint": PHOTO.name, "vae": vae, **own}])
    roles = roles_of(args, base, KNOWN, VAES, [*VAES, TEXT, OTHER_TEXT])
    facts = {known.filename: Facts(1, architecture=SD1, kind=kind) for known in KNOWN}
    facts |= {file: Facts(1, architecture=other) for file, other in (kinds or {}).items()}
    second = PHOTO.filename
    given = {"enable_hr": True, "hr_upscaler": "Lanczos", "denoising_strength": 0.5, "hr_scale": 2, "batch_size": 1}
    settings = VaeSettings(
        files={name: name for name in VAES},
        facts=Facts(1),
        are_modules=True,
        setting="Automatic",
        override=None,
        module=module,
        module_facts=module_facts,
    )
    situation = Situation(
        facts=facts,
        vaes=settings,
        hires=Hires(given=given if is_request else {**given, "hr_additional_modules": None}, modules=first),
        faces=Faces([True, False, {**FACE, **(tab or {})}], [base], {"ad_checkpoint", "ad_vae"}),
        models={file: Model(file, file, 1) for file in facts} | {second: Model(second, second, sets, sets)},
        machine=Machine(ram=100),
    )
    return decide(roles, situation)


@pytest.mark.parametrize(
    ("vae", "modules"),
    [
        ([], []),
        (["sharp"], ["sharp.safetensors"]),
        (["other text", "soft"], [OTHER_TEXT, "soft.safetensors"]),
        ("sharp", [TEXT, "sharp.safetensors"]),
        ("None", [TEXT]),
        ("Use same VAE", None),
        ("Automatic", None),
    ],
)
def test_the_second_checkpoint_has_them_for_the_whole_job(vae: Any, modules: list[str] | None) -> None:
    made = plan(vae)
    assert made.vaes.modules == ({} if modules is None else {PHOTO.filename: modules})
    assert made.fields["hr_additional_modules"] == (modules if modules is not None else ["Use same choices"])
    assert not [said for said in made.comments if "text encoders" in said]


@pytest.mark.parametrize(
    "where",
    [{"base": PHOTO}, {"adetailer_follows": False}, {"tab": {"ad_use_vae": True, "ad_vae": "Automatic"}}],
    ids=["the first pass's checkpoint", "faces that do not follow", "a tab with a VAE of its own"],
)
def test_it_has_not_where_a_pass_is_to_have_others(where: dict) -> None:
    assert plan(["other text"], **where).vaes.modules == {}


SAID = "ADetailer's passes on photo had the first pass's text encoders."


@pytest.mark.parametrize(
    ("vae", "where", "said"),
    [
        (["other text"], {"base": PHOTO}, True),
        ([], {"base": PHOTO}, True),
        (["text", "sharp"], {"base": PHOTO}, False),
        ([], {"base": PHOTO, "first": ()}, False),
        ([], {"base": PHOTO, "adetailer_follows": False}, False),
        ([], {"base": PHOTO, "tab": {"ad_tab_enable": False}}, False),
        ("sharp", {"base": PHOTO}, False),
    ],
)
def test_text_encoders_that_stay_behind_are_told(vae: Any, where: dict, said: bool) -> None:
    assert (SAID in plan(vae, **where).comments) == said


@pytest.mark.parametrize(("at", "said"), [(0.5, True), (12.0, True), (0, False), (None, False)])
def test_a_refiner_that_the_webui_leaves_out_is_told_and_does_nothing(at: float | None, said: bool) -> None:
    """Forge Neo uses none together with a hires pass, whatever its latent space."""
    facts = {known.filename: Facts(1, architecture=SD1) for known in KNOWN}
    hires = Hires(given={"refiner_switch_at": at})
    situation = Situation(facts, VaeSettings(), hires=hires, idle_refiner=PHOTO)
    roles = roles_of(PassArgs(True, PHOTO.name), CARTOON, KNOWN)
    told = check_refiner(situation, roles)
    assert told == (
        "The refiner photo has no part in this picture: this webui uses none together with Hires. fix." * said
    )


@pytest.mark.parametrize(
    ("channels", "base", "left_out"),
    [(16, UNKNOWN, True), (4, UNKNOWN, False), (None, UNKNOWN, False), (16, SDXL, False)],
)
def test_a_vae_with_other_latent_channels_is_left_out_of_the_second_passs_modules(
    channels: int | None, base: str, left_out: bool
) -> None:
    """Also where the architecture of the first pass's checkpoint is none that is told apart."""
    made = plan(
        "Use same VAE",
        first=(TEXT, VAES[0]),
        kinds={CARTOON.filename: base, PHOTO.filename: SDXL},
        module=VAES[0],
        module_facts=Facts(1, latent_channels=channels),
    )
    assert made.fields["hr_additional_modules"] == ([TEXT] if left_out else ["Use same choices"])
    said = f"was not put on {PHOTO.name_for_extra}"
    assert (said in " ".join(made.comments)) == left_out
    assert list(made.vaes.apart) == [PHOTO.filename] * left_out


OFF = {"tab": {"ad_tab_enable": False}}


@pytest.mark.parametrize("loaded", [1, 2])
@pytest.mark.parametrize(("where", "needed"), [({"base": PHOTO}, 2), ({"adetailer_follows": False}, 3)])
@pytest.mark.parametrize("is_request", [False, True])
def test_one_file_with_two_sets_of_modules_takes_two_places(
    where: dict, needed: int, loaded: int, is_request: bool
) -> None:
    """Whether both of its models are loaded already, or one; also in a plan that is asked for."""
    made = plan(["other text"], sets=loaded, is_request=is_request, **where).forecast
    assert made.memory.ram_needed == needed
    assert {one.bytes for one in made.passes} == {1}


@pytest.mark.parametrize(
    ("vae", "where", "needed"),
    [
        (["text"], {"base": PHOTO}, 1),
        ("Use same VAE", {"base": PHOTO}, 1),
        (["other text"], {}, 2),
        (["other text"], {"adetailer_follows": False, **OFF}, 2),
    ],
    ids=["the same", "the first pass's", "others for the whole job", "no faces with the first pass's"],
)
@pytest.mark.parametrize("loaded", [1, 2])
def test_one_set_of_modules_takes_one_place(vae: Any, where: dict, needed: int, loaded: int) -> None:
    """One that an earlier job had besides is let go of."""
    assert plan(vae, sets=loaded, **where).forecast.memory.ram_needed == needed


@pytest.mark.parametrize(
    ("first", "vae", "lacks"),
    [
        ((), "Use same VAE", "no text encoder and no VAE"),
        ((TEXT,), "Use same VAE", "no VAE"),
        ((TEXT,), "sharp", ""),
        ((), "sharp", "no text encoder"),
        ((TEXT, VAES[0]), "Use same VAE", ""),
        ((TEXT, VAES[0]), [], "no text encoder and no VAE"),
        ((), ["text", "soft"], ""),
    ],
)
@pytest.mark.parametrize("is_request", [False, True])
def test_what_is_not_chosen_for_a_diffusion_model_alone_is_told_before(
    first: Any, vae: Any, lacks: str, is_request: bool
) -> None:
    """Forge Neo fails on it, after the first pass."""
    sentence = f"photo is a diffusion model alone, and {lacks} is chosen for it; choose its files in Second-pass VAE."
    for kind in (CHECKPOINT, DIFFUSION_ALONE):
        warnings = plan(vae, first=first, kind=kind, is_request=is_request).forecast.warnings
        assert [said for said in warnings if "diffusion model" in said] == [sentence] * bool(
            lacks and kind != CHECKPOINT
        )
