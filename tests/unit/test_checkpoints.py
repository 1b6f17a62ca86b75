"""Which checkpoint a name means."""

import time

import pytest

from lib_multipass.plan.names import resolve
from lib_multipass.words import MultipassError
from support.listed import CARTOON, IN_FOLDER, KNOWN, OLD, PHOTO, PHOTO_2, WINDOWS, Info

TWIN = Info("backup/cartoon.safetensors", "77" * 32, hash="66666666")


@pytest.mark.parametrize("known", KNOWN, ids=lambda info: info.name)
def test_every_name_of_the_webui_leads_back(known):
    for name in known.ids:
        assert resolve(name, KNOWN, "field") is known
    assert resolve(known.filename, KNOWN, "field") is known


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("photo", PHOTO),
        ("photo.safetensors", PHOTO),
        ("  photo  ", PHOTO),
        ("PHOTO", PHOTO),
        ("photo [dd33ee44ff]", PHOTO),
        ("photo.safetensors [dd33ee44ff]", PHOTO),
        ("dd33ee44ff", PHOTO),
        ("DD33EE44FF [x]", None),
        ("photo_v2 [dd33ee44ff]", PHOTO),
        ("renamed since [dd33ee44ff]", PHOTO),
        ("photo_v2 [0123456789]", PHOTO_2),
        ("photo [0123456789]", None),
        ("photo_v2.ckpt", PHOTO_2),
        ("xl\\pony v6, best [fp16]", IN_FOLDER),
        ("pony v6", IN_FOLDER),
        ("klee (日本)", OLD),
        ("real/vision", WINDOWS),
        ("vision", WINDOWS),
        ("nothing like it", None),
        ("", None),
        ("[]", None),
    ],
)
def test_names(query, expected):
    if expected is None:
        with pytest.raises(MultipassError):
            resolve(query, KNOWN, "field")
    else:
        assert resolve(query, KNOWN, "field") is expected


def test_the_message_names_field_value_and_nearest():
    with pytest.raises(MultipassError) as caught:
        resolve("catoon", KNOWN, "Second-pass checkpoint")
    assert caught.value.detail == (
        "Second-pass checkpoint: there is no checkpoint 'catoon'; the nearest are cartoon.safetensors [aa11bb22cc]."
    )


SOFT = [Info(f"{folder}\\soft.safetensors", digest * 32) for folder, digest in (("photo", "11"), ("anime", "22"))]


def test_of_one_name_in_two_folders_the_nearest_are_both_the_one_in_the_same_folder_first():
    for missing in ("anime\\sof.safetensors [9999999999]", "anime/softt"):
        with pytest.raises(MultipassError) as told:
            resolve(missing, [*SOFT, PHOTO], "field")
        assert told.value.detail.endswith(f"; the nearest are {SOFT[1].title}, {SOFT[0].title}.")


def test_a_path_of_windows_is_shown_as_it_was_written():
    for query, words in (
        ("anime\\new [9999999999]", "there is no checkpoint 'anime\\new [9999999999]';"),
        ("e\\soft", "'e\\soft' means 3 checkpoints"),
        ("two\nlines", "there is no checkpoint 'two\\nlines';"),
    ):
        known = [*SOFT, Info("one\\e\\soft_a.safetensors"), Info("two\\e\\soft_b.safetensors")]
        with pytest.raises(MultipassError) as told:
            resolve(query, known, "field")
        assert words in told.value.detail


def test_one_name_in_two_folders_is_not_guessed_at():
    known = [*KNOWN, TWIN]
    with pytest.raises(MultipassError, match="'cartoon' means 2 checkpoints"):
        resolve("cartoon", known, "field")
    assert resolve("cartoon.safetensors", known, "field") is CARTOON
    assert resolve("backup/cartoon", known, "field") is TWIN
    assert resolve("cartoon [aa11bb22cc]", known, "field") is CARTOON


def test_a_part_that_fits_several_is_not_guessed_at():
    with pytest.raises(MultipassError, match="'hoto' means 2 checkpoints"):
        resolve("hoto", KNOWN, "field")


def test_copies_of_one_file_are_one_checkpoint():
    copy = Info("copies/photo.safetensors", PHOTO.sha256)
    assert resolve("dd33ee44ff", [PHOTO, copy], "field").sha256 == PHOTO.sha256


def test_no_checkpoints_at_all():
    with pytest.raises(MultipassError, match="no checkpoints at all"):
        resolve("photo", [], "field")


def test_names_that_repeat_themselves_take_no_time():
    patterns = ("aabbab" * 30, "ab" * 95, "abbaab" * 30)
    known = [Info(f"{pattern}{number}.safetensors") for pattern in patterns for number in range(300)]
    start = time.process_time()
    with pytest.raises(MultipassError, match="there is no checkpoint"):
        resolve("bbaaba" * 33, known, "field")
    assert time.process_time() - start < 0.1


def test_long_names_are_told_from_each_other_by_their_beginning():
    long = [Info(f"{name}-{'x' * 200}.safetensors") for name in ("cartoon", "photograph")]
    with pytest.raises(MultipassError, match="the nearest are cartoon-xxx"):
        resolve(f"catoon-{'x' * 200}", long, "field")
