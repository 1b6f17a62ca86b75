"""Which checkpoint a name means."""

import time
from dataclasses import dataclass, field
from pathlib import PureWindowsPath

import pytest

from lib_multipass.checkpoints import resolve
from lib_multipass.messages import MultipassError


@dataclass
class Info:
    """A checkpoint as the webui lists it, from the facts about its ``CheckpointInfo``."""

    name: str
    sha256: str | None = None
    hash: str = "0ldha5h0"
    filename: str = ""
    name_for_extra: str = ""
    shorthash: str | None = None
    title: str = ""
    ids: list = field(default_factory=list)

    def __post_init__(self):
        self.filename = f"/models/{self.name}"
        self.name_for_extra = PureWindowsPath(self.name).stem
        self.shorthash = self.sha256 and self.sha256[:10]
        suffix = f" [{self.shorthash}]" if self.shorthash else ""
        self.title = self.name + suffix
        flat = self.name.replace("/", "_").replace("\\", "_").rsplit(".", 1)[0]
        self.ids = [self.hash, flat, self.title, self.name, self.name_for_extra, f"{self.name} [{self.hash}]"]
        if self.sha256:
            self.ids += [self.shorthash, self.sha256, self.name_for_extra + suffix]


CARTOON = Info("cartoon.safetensors", "aa11bb22cc" + "0" * 54, hash="11111111")
PHOTO = Info("photo.safetensors", "dd33ee44ff" + "0" * 54, hash="22222222")
PHOTO_2 = Info("photo_v2.safetensors", hash="33333333")
IN_FOLDER = Info("xl/pony v6, best [fp16].safetensors", "1234567890" + "0" * 54, hash="44444444")
OLD = Info("klee (日本).ckpt", hash="55555555")
TWIN = Info("backup/cartoon.safetensors", "77" * 32, hash="66666666")
WINDOWS = Info("real\\vision.safetensors", "99" * 32, hash="88888888")
KNOWN = [CARTOON, PHOTO, PHOTO_2, IN_FOLDER, OLD, WINDOWS]


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
