"""What a pasted infotext means: settings, names that lead to files, and what is said about the rest."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from lib_multipass import __version__
from lib_multipass.plan import args
from lib_multipass.plan.args import PassArgs
from lib_multipass.plan.pasting import base_of, choices_with, offer_of, read
from lib_multipass.plan.roles import roles_of
from lib_multipass.words import MultipassError
from support.listed import CARTOON, IN_FOLDER, KNOWN, PHOTO, Info

VAES = ["ema.pt", "old.vae.ckpt"]
MINE = {"Multipass checkpoint": PHOTO.title, "Multipass version": __version__}


def plan(adetailer, **more):
    return roles_of(PassArgs(True, "photo", adetailer, **more), CARTOON, KNOWN, VAES)


@pytest.mark.parametrize("adetailer", [*args.ADETAILER_MODES, "pony v6"])
def test_pasting_gives_the_settings_back(adetailer):
    pasted = read({"Steps": "4", **plan(adetailer).infotext}, KNOWN, VAES)
    again = plan(pasted.values["adetailer"])
    assert pasted.values["enabled"] is True
    assert pasted.notes == ()
    assert again == plan(adetailer)
    assert pasted.found["checkpoint"] is PHOTO
    assert ("adetailer" in pasted.found) == (adetailer not in args.ADETAILER_MODES)


def test_pasting_a_picture_made_without_us_turns_us_off():
    pasted = read({"Hires checkpoint": "photo"}, KNOWN, VAES)
    assert pasted.values == {
        "enabled": False,
        "checkpoint": "",
        "adetailer": args.SAME_AS_SECOND,
        "vae": args.SAME_VAE,
        "cfg_scale": 0.0,
        "clip_skip": 0,
        "adetailer_follows": True,
    }
    assert (pasted.found, pasted.notes) == ({}, ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cfg_scale", "?"),
        ("cfg_scale", "nan"),
        ("cfg_scale", "31"),
        ("clip_skip", "2.5"),
        ("clip_skip", "99"),
        ("adetailer_follows", "?"),
    ],
)
def test_text_that_is_no_value_counts_as_not_there_and_is_told(name, text):
    key = args.FIELDS[name].metadata["infotext"]
    pasted = read({**MINE, key: text}, KNOWN, VAES)
    assert pasted.values[name] == args.default(name)
    assert [f"{key}: {text}" in note for note in pasted.notes] == [True]


def test_what_a_newer_version_wrote_is_taken_as_far_as_it_is_understood():
    params = {**MINE, "Multipass version": "9.1", "Multipass clip skip": "2", "Multipass third pass": "x" * 500}
    pasted = read(params, KNOWN, VAES)
    assert pasted.values["checkpoint"] == PHOTO.title
    assert pasted.values["clip_skip"] == 2
    (note,) = pasted.notes
    assert "Multipass third pass: xxx" in note
    assert "9.1" in note
    assert __version__ in note
    assert len(note) < 250


def test_a_note_stays_readable_however_much_an_infotext_holds():
    params = {f"Multipass {number} {'x' * 5000}": "y" * 5000 for number in range(3000)}
    (note,) = read({**MINE, **params, "Multipass version": "9" * 5000}, KNOWN, VAES).notes
    assert "Multipass 4 xxx" in note
    assert "Multipass 5 xxx" not in note
    assert "and 2995 more" in note
    assert len(note) < 1200


@pytest.mark.parametrize("text", ["a" + " " * 50_000 + "b", "[" * 50_000, "[" + "a" * 50_000, "ab" * 50_000])
def test_a_hostile_first_checkpoint_takes_no_time(text):
    start = time.process_time()
    offer = offer_of(base_of({"Model": text, "Model hash": text}), CARTOON, KNOWN)
    assert time.process_time() - start < 0.1
    assert offer.checkpoint is None
    assert len(offer.text) < 400


def test_another_version_alone_is_no_matter():
    assert read({**MINE, "Multipass version": "0.0.1"}, KNOWN, VAES).notes == ()
    assert read({"Multipass checkpoint": PHOTO.title}, KNOWN, VAES).notes == ()


def test_a_file_under_another_name_is_found_by_its_hash():
    pasted = read({"Multipass checkpoint": "renamed.safetensors [dd33ee44ff]"}, KNOWN, VAES)
    assert pasted.found["checkpoint"] is PHOTO
    assert pasted.notes == ()


@pytest.mark.parametrize("text", ["nowhere.safetensors [0123456789]", "photo.safetensors [0123456789]"])
def test_a_file_that_is_not_here_stays_and_is_told(text):
    pasted = read({"Multipass checkpoint": text, "Multipass ADetailer": "nobody"}, KNOWN, VAES)
    assert pasted.values["checkpoint"] == text
    assert pasted.values["adetailer"] == "nobody"
    assert pasted.found == {}
    for name, note in zip((text, "nobody"), pasted.notes, strict=True):
        assert f"there is no checkpoint {name!r}" in note
    with pytest.raises(MultipassError):
        roles_of(PassArgs(**pasted.values), CARTOON, KNOWN)


def test_a_vae_that_is_not_here_stays_and_is_told():
    pasted = read({**MINE, "Multipass VAE": "lost.pt"}, KNOWN, VAES)
    assert pasted.values["vae"] == "lost.pt"
    assert "there is no VAE 'lost.pt'" in pasted.notes[0]
    assert read({**MINE, "Multipass VAE": "EMA"}, KNOWN, VAES).values["vae"] == "ema.pt"


ORIGINS = [
    ({"Model": "photo", "Model hash": "dd33ee44ff"}, PHOTO),
    ({"Model": "renamed", "Model hash": "dd33ee44ff"}, PHOTO),
    ({"Model hash": "dd33ee44ff"}, PHOTO),
    ({"Model": "photo"}, PHOTO),
    ({"Model": "nowhere", "Model hash": "0123456789"}, None),
]


@pytest.mark.parametrize(("params", "checkpoint"), ORIGINS)
def test_the_first_passes_checkpoint_is_found(params, checkpoint):
    assert offer_of(base_of(params), CARTOON, KNOWN).checkpoint is checkpoint


def test_what_is_said_about_the_first_passes_checkpoint():
    assert offer_of("photo", PHOTO, KNOWN) is None
    assert offer_of("photo", replace(PHOTO), KNOWN) is None
    assert "photo, not with cartoon, which is selected" in offer_of("photo", CARTOON, KNOWN).text
    assert "photo." in offer_of("photo", None, KNOWN).text
    assert "nowhere [0123456789], which is not here" in offer_of(base_of(ORIGINS[-1][0]), CARTOON, KNOWN).text
    assert base_of({"Steps": "4"}) == ""
    assert offer_of("", IN_FOLDER, KNOWN) is None


def test_two_of_one_name_are_told_apart_by_their_folders():
    cartoon, photo = Info("cartoons/v1.safetensors", "77" * 32), Info("photos/v1.safetensors", "88" * 32)
    offer = offer_of("v1 [8888888888]", cartoon, [cartoon, photo])
    assert offer.checkpoint is photo
    assert "with photos/v1.safetensors, not with cartoons/v1.safetensors, which is selected." in offer.text


def test_a_first_pass_by_one_of_several_files_of_one_name_is_not_said_to_be_gone():
    """None of them was hashed yet, so none is known to be the one."""
    known = [Info("cartoons/v1.safetensors"), Info("photos/v1.safetensors"), PHOTO]
    offer = offer_of("v1 [0123456789]", PHOTO, known)
    assert offer.checkpoint is None
    assert offer.text == (
        "The first pass of the pasted picture was made with v1 [0123456789], which may be one of 2 files here "
        "(cartoons/v1.safetensors, photos/v1.safetensors)."
    )


def test_a_missing_name_joins_the_choices():
    assert choices_with("c", ["a", "b"]) == ["a", "b", "c"]
    assert choices_with("a", ["a", "b"]) == ["a", "b"]
    assert choices_with("", ["a"]) == ["a"]
