"""What a job will do: names resolved, infotext keys, values that a request left out."""

import pytest

from lib_multipass import __version__
from lib_multipass.plan import args
from lib_multipass.plan.args import PassArgs
from lib_multipass.plan.hires import missing_hires_values
from lib_multipass.plan.roles import roles_of
from lib_multipass.words import MultipassError
from support.listed import CARTOON, IN_FOLDER, KNOWN, PHOTO


def plan(checkpoint, adetailer=args.SAME_AS_SECOND, base=CARTOON):
    return roles_of(PassArgs(True, checkpoint, adetailer), base, KNOWN)


def test_faces_follow_the_choice():
    assert plan("photo").faces is PHOTO
    assert plan("photo", args.SAME_AS_FIRST).faces is CARTOON
    assert plan("photo", args.AS_IN_ADETAILER).faces is None
    assert plan("photo", "pony v6").faces is IN_FOLDER


def test_same_file_under_another_name_is_no_swap():
    assert plan("photo").swaps
    assert not plan("cartoon [aa11bb22cc]").swaps
    assert plan("cartoon").infotext == {}


def test_infotext_leaves_defaults_out():
    assert plan("photo").infotext == {
        "Multipass checkpoint": "photo.safetensors [dd33ee44ff]",
        "Multipass version": __version__,
    }
    assert plan("photo", args.SAME_AS_FIRST).infotext["Multipass ADetailer"] == "Same as first pass"
    assert plan("photo", "pony v6").infotext["Multipass ADetailer"] == IN_FOLDER.title


@pytest.mark.parametrize("wrong", [{"checkpoint": "nowhere"}, {"adetailer": "nowhere"}])
def test_wrong_names_stop(wrong):
    with pytest.raises(MultipassError, match="'nowhere'") as caught:
        roles_of(PassArgs(**{"enabled": True, "checkpoint": "photo", **wrong}), CARTOON, KNOWN)
    assert args.label(next(iter(wrong))) in caught.value.detail


API_WITHOUT_HIRES = {"denoising_strength": None, "hr_scale": 2.0, "hr_upscaler": None}


def test_an_empty_api_request_gets_what_the_page_shows():
    assert missing_hires_values(API_WITHOUT_HIRES, {}, switched_on=True) == {
        "denoising_strength": 0.7,
        "hr_upscaler": "Latent",
    }
    page = {"denoising_strength": 0.4, "hr_upscaler": "Lanczos", "hr_scale": 1.5}
    assert missing_hires_values(API_WITHOUT_HIRES, page, switched_on=True) == {
        "denoising_strength": 0.4,
        "hr_upscaler": "Lanczos",
    }


def test_values_that_are_there_stay():
    given = {"denoising_strength": 0.0, "hr_scale": 3.0, "hr_upscaler": "Lanczos"}
    assert missing_hires_values(given, {}, switched_on=True) == {}


def test_a_request_with_a_hires_pass_keeps_its_upscaler():
    assert missing_hires_values(API_WITHOUT_HIRES, {}, switched_on=False) == {"denoising_strength": 0.7}
