"""What a job says of pictures that another webui made without Multipass."""

from __future__ import annotations

import pytest

from lib_multipass.plan import unshared
from lib_multipass.plan.args import PassArgs
from lib_multipass.plan.roles import roles_of
from support.listed import CARTOON, KNOWN

OWN = {"vae": "Automatic", "cfg_scale": 3.0, "clip_skip": 2, "show_first_pass": True}
LABELS = ("Second-pass VAE", "Second-pass CFG scale", "Second-pass clip skip", "Show the first pass")


def left_out(declared=(), is_sent=False, **own) -> tuple[str, ...]:
    roles = roles_of(PassArgs(True, "photo", **own), CARTOON, KNOWN)
    return unshared.left_out(roles, declared, is_sent)


def test_what_the_webui_itself_follows_is_not_lost():
    assert left_out() == ()
    assert left_out(adetailer="Same as first pass", adetailer_follows=False, keep="In RAM") == ()


@pytest.mark.parametrize("name", OWN)
def test_what_multipass_alone_follows_is_lost(name):
    assert left_out(**{name: OWN[name]}) == (LABELS[list(OWN).index(name)],)


def test_a_webui_with_fields_of_its_own_for_it_follows():
    assert left_out({"hr_cfg", "hr_additional_modules", "enable_hr"}, **OWN) == LABELS[2:]


def test_before_anything_is_declared_the_second_checkpoint_is_lost_too():
    assert left_out(is_sent=True) == ("photo",)
    assert left_out({"hr_cfg", "hr_additional_modules"}, is_sent=True, **OWN) == ("photo", *LABELS)


def test_the_comment_names_who_and_what():
    text = unshared.comment(["attic", "cellar"], LABELS[:2])
    assert text.startswith(
        "The pictures from attic, cellar were made without Second-pass VAE, Second-pass CFG scale, since Distributed "
    )


@pytest.mark.parametrize(("labels", "lacking"), [([], LABELS), (["attic"], ())])
def test_nothing_is_said_if_nothing_is_lost(labels, lacking):
    assert unshared.comment(labels, lacking) == ""
