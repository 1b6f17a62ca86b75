"""What was made from exactly the same is not made again, and everything comes out as if it had been.

Every field of a request is changed, one at a time, between two jobs that keep their stages. The second has to equal the
same job without keeping, and has to say truly whether it made its first pass.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.client import Rendered
from support.hosts import NEO
from support.jobs import A, B, C, adetailer, hires, need_adetailer, replayed
from support.kept import OFF, made, not_again
from support.settings import settings

CLIP_SKIP = "CLIP_stop_at_last_layers"

ACTS = {
    "prompt": {"prompt": "a dog, sunny"},
    "negative_prompt": {"negative_prompt": "snow"},
    "seed": {"seed": 8},
    "subseed": {"subseed": 3, "subseed_strength": 0.5},
    "subseed_strength": {"subseed": 4, "subseed_strength": 0.25},
    "seed_resize_from_h": {"seed_resize_from_h": 128, "seed_resize_from_w": 64},
    "seed_resize_from_w": {"seed_resize_from_h": 64, "seed_resize_from_w": 128},
    "sampler_name": {"sampler_name": "Heun"},
    "sampler_index": {"sampler_name": None, "sampler_index": "Euler a", "seed": 9},
    "scheduler": {"scheduler": "Exponential"},
    "batch_size": {"batch_size": 2},
    "steps": {"steps": 5},
    "cfg_scale": {"cfg_scale": 6},
    "width": {"width": 128},
    "height": {"height": 128},
    "tiling": {"tiling": True},
    "eta": {"eta": 0.5},
    "s_min_uncond": {"s_min_uncond": 1.5},
    "s_churn": {"s_churn": 0.3},
    "s_tmax": {"s_tmax": 9.0},
    "s_tmin": {"s_tmin": 0.2},
    "s_noise": {"s_noise": 1.01},
    "disable_extra_networks": {"disable_extra_networks": True},
    "override_settings": {"override_settings": {CLIP_SKIP: 2}},
}
"""By field of a request, a change that reaches the first pass."""
LATER = {
    "hr_scale": {"hr_scale": 1.5},
    "hr_upscaler": {"hr_upscaler": "Nearest"},
    "hr_second_pass_steps": {"hr_second_pass_steps": 2},
    "hr_resize_x": {"hr_resize_x": 192, "hr_resize_y": 128},
    "hr_resize_y": {"hr_resize_x": 128, "hr_resize_y": 192},
    "hr_checkpoint_name": {"hr_checkpoint_name": f"{C}.safetensors"},
    "hr_sampler_name": {"hr_sampler_name": "Euler a"},
    "hr_scheduler": {"hr_scheduler": "Exponential"},
    "hr_prompt": {"hr_prompt": "a lion"},
    "hr_negative_prompt": {"hr_negative_prompt": "fog"},
    "denoising_strength": {"denoising_strength": 0.4},
    "n_iter": {"n_iter": 2},
    "do_not_save_samples": {"do_not_save_samples": True},
    "do_not_save_grid": {"do_not_save_grid": True},
    "save_images": {"save_images": True},
    "override_settings_restore_afterwards": {"override_settings_restore_afterwards": True},
    "enable_hr": {"enable_hr": False},
}
"""By field, a change that acts later, or not at all."""
AFTER = {
    *("n_iter", "do_not_save_samples", "do_not_save_grid", "save_images", "override_settings_restore_afterwards"),
    *("show_first_pass", "keep"),
    *("hr_checkpoint_name", "enable_hr"),  # Multipass sets them
}
"""Of these and of our own arguments, those that reach the second pass neither."""
ELSEWHERE = {
    *("alwayson_scripts", "script_name", "script_args"),  # below, by script
    *(
        "infotext",
        "force_task_id",
        "send_images",
        "comments",
        "styles",
        "extra_generation_params",
    ),  # become other fields, or none of the job's
    *("firstphase_width", "firstphase_height", "hr_cfg", "restore_faces"),  # of other hosts, or of a model not here
    *("refiner_checkpoint", "refiner_switch_at", "firstpass_image"),  # below: no stage is kept
    *("s_extra_noise", "hr_additional_modules", "distilled_cfg_scale", "hr_distilled_cfg"),  # of other hosts
}
"""Fields that are not changed here, and why."""
OWN = {
    "checkpoint": {"checkpoint": C},
    "the same checkpoint": {"checkpoint": A},
    "vae": {"vae": "other.safetensors"},
    "cfg_scale": {"cfg_scale": 2.5},
    "clip_skip": {"clip_skip": 2},
    "show_first_pass": {"show_first_pass": True},
    "keep": {"keep": "In RAM"},
}
"""Of our own arguments."""
UPSCALERS, SAMPLERS, FACES = ("Latent", "Lanczos"), ("Euler", "Euler a", "DPM++ SDE"), ("", "faces")
BASES = ["-".join(filter(None, each)) for each in itertools.product(UPSCALERS, SAMPLERS, FACES)]
"""What is kept first: by the upscaler, and by what may draw random numbers of its own."""
PLAIN = ["Latent-Euler", "Lanczos-Euler a"]


def with_bases(fields: Iterable[str]) -> list:
    """Each field with both upscalers, the other two from field to field in turn; with everything at --scale all."""
    found = []
    for number, field in enumerate(fields):
        turns = [f"Latent-{SAMPLERS[number % 3]}", f"Lanczos-{SAMPLERS[(number + 1) % 3]}"]
        turns[number // 3 % 2] += "-faces"
        ordered = turns[:: 1 if number % 2 else -1]
        found += [pytest.param(name, field, id=f"{field}-{name}") for name in ordered]
        others = [name for name in BASES if name not in turns]
        found += [pytest.param(name, field, id=f"{field}-{name}", marks=pytest.mark.everything) for name in others]
    return found


@pytest.fixture(autouse=True)
def keeping(pair):
    """For these tests stages are kept; elsewhere jobs make all of theirs."""
    with settings(pair.ours, multipass_stages=512):
        yield


_plain: dict[tuple[str, str], Rendered] = {}
"""By webui and base, the picture without keeping."""


@dataclass
class Base:
    """A request, and the same without keeping."""

    body: dict
    scripts: dict
    plain: Rendered


@pytest.fixture(params=PLAIN)
def base(request, pair):
    """A request whose first pass is kept now, and nothing else; the files have hashes, which infotexts name."""
    server, key = pair.ours, (pair.ours.client.url, request.param)
    upscaler, sampler, *faces = request.param.split("-")
    scripts = adetailer(server) if faces and server.webui.adetailer else {}
    body = hires(upscaler, sampler_name=sampler)
    if key not in _plain:
        for checkpoint in (A, C, B):
            made(server, {}, OFF, own={"checkpoint": checkpoint})
        _plain[key] = made(server, body, OFF, scripts)
    server.client.post("/multipass/v1/release")
    made(server, body, scripts=scripts)
    return Base(body, scripts, _plain[key])


def check(server, base, change, hit, again=None, scripts=None, **more) -> None:
    """The changed job equals the one without keeping, whatever was drawn in between; so does the base again.

    Args:
        server: the webui.
        base: the request that is kept.
        change: what is changed in it.
        hit: whether the first pass is not made again.
        again: whether the second one is; None if either is right.
        scripts: of the changed job, if not the base's.
        more: of the changed job.
    """
    server.client.txt2img(seed=99)
    scripts = base.scripts if scripts is None else scripts
    got, said = not_again(server, lambda: made(server, {**base.body, **change}, scripts=scripts, **more))
    expected = made(server, {**base.body, **change}, OFF, scripts, **more)
    assert got.infotexts == expected.infotexts
    assert got.difference(expected) == 0
    assert ("first pass" in said) == hit, said
    assert again is None or ("second pass" in said) != again, said
    server.client.txt2img(seed=98)
    same, said = not_again(server, lambda: made(server, base.body, scripts=base.scripts))
    assert "first pass, " in said
    assert "second pass" in said
    assert same.infotexts == base.plain.infotexts
    assert same.difference(base.plain) == 0


def fields_of(server) -> set[str]:
    """The fields of a request to this webui."""
    schema = server.client.get("/openapi.json")["components"]["schemas"]
    return set(schema["StableDiffusionProcessingTxt2Img"]["properties"])


def test_every_field_of_a_request_is_changed_somewhere(pair):
    assert fields_of(pair.ours) - {*ACTS, *LATER, *ELSEWHERE} == set()


@pytest.mark.in_turn
@pytest.mark.parametrize(("base", "field"), with_bases(ACTS), indirect=["base"])
def test_what_reaches_the_first_pass_makes_it_anew(pair, base, field):
    unknown = field not in fields_of(pair.ours)
    check(pair.ours, base, ACTS[field], hit=unknown, again=not unknown)


@pytest.mark.in_turn
@pytest.mark.parametrize(("base", "field"), with_bases(LATER), indirect=["base"])
def test_what_acts_later_does_not(pair, base, field):
    if field == "hr_upscaler" and pair.ours.webui.kind is NEO:
        pytest.skip("Forge Neo has one upscaler that needs no file; those that do are tried below")
    unknown = field not in fields_of(pair.ours)
    check(pair.ours, base, LATER[field], hit=True, again=field not in AFTER and not unknown)


@pytest.mark.in_turn
@pytest.mark.parametrize(("base", "field"), with_bases(OWN), indirect=["base"])
def test_nor_do_our_own_arguments(pair, base, field):
    again = None if field == "vae" else field not in AFTER  # a latent upscaler's pass is only decoded with it
    check(pair.ours, base, {}, hit=True, again=again, own=OWN[field])


@pytest.mark.in_turn
@pytest.mark.parametrize("checkpoint", [None, A, C])
def test_nor_do_faces(pair, base, checkpoint):
    need_adetailer(pair)
    check(pair.ours, base, {}, hit=True, again=False, scripts=adetailer(pair.ours, checkpoint))


def test_another_first_checkpoint_makes_it_anew(pair, base):
    check(pair.ours, base, {"override_settings": {"sd_model_checkpoint": f"{C}.safetensors"}}, hit=False)


@pytest.mark.both
def test_a_tuning_loop(pair):
    """Five jobs for one composition: the first pass is made once."""
    server = pair.ours
    server.client.post("/multipass/v1/release")
    said = [
        not_again(server, lambda value=value: made(server, hires("Lanczos", denoising_strength=value)))[1]
        for value in (0.3, 0.4, 0.5, 0.6, 0.7)
    ]
    assert said == ["", *["first pass"] * 4]


def test_each_picture_of_a_batch_count_is_kept(pair):
    server = pair.ours
    made(server, {})  # from here on the files have hashes
    server.client.post("/multipass/v1/release")
    job = hires("Lanczos", n_iter=3)
    first = made(server, job)
    again, said = not_again(server, lambda: made(server, job))
    assert said == "3 × first pass, 3 × second pass"
    assert (again.difference(first), again.infotexts) == (0, first.infotexts)
    alone, said = not_again(server, lambda: made(server, {**hires("Lanczos"), "seed": 9}))
    assert said == "first pass, second pass"  # the third ones of the three, by their seed
    assert alone.difference(Rendered(first.pictures[2:], [], [], {})) == 0
    assert alone.infotexts == made(server, {**hires("Lanczos"), "seed": 9}, OFF).infotexts


def test_an_interrupted_first_pass_is_not_kept(pair):
    server = pair.ours
    server.client.post("/multipass/v1/release")
    server.client.post("/probe/arm", {"action": "interrupt", "step": 2})
    ended = made(server, hires("Lanczos"))
    got, said = not_again(server, lambda: made(server, hires("Lanczos")))
    assert said == ""
    assert got.difference(made(server, hires("Lanczos"), OFF)) == 0
    assert got.pictures[0].shape != ended.pictures[0].shape


def test_nothing_is_kept_after_a_release(pair):
    server = pair.ours
    made(server, hires())
    server.client.post("/multipass/v1/release")
    assert not_again(server, lambda: made(server, hires()))[1] == ""


def test_a_changed_setting_makes_it_anew(pair, base):
    server = pair.ours
    with settings(server, **{CLIP_SKIP: 2}):
        got, said = not_again(server, lambda: made(server, base.body))
        assert said == ""
        assert got.difference(made(server, base.body, OFF)) == 0
    # Made anew if the text encoder, which is asked again, gives other bits than before.
    assert made(server, base.body).difference(made(server, base.body, OFF)) == 0


def test_the_first_pass_itself_can_be_made_again_from_its_infotext(pair, base):
    """Shown from memory it is the picture that its infotext makes."""
    got, said = not_again(pair.ours, lambda: made(pair.ours, base.body, own={"show_first_pass": True}))
    assert "first pass" in said
    again = replayed(pair.stock.client, got.infotexts[-1])
    assert again.difference(Rendered(got.pictures[-1:], [], [], {})) == 0


SHARP = hires("Sharp")
"""With the upscaler of the tests' own extension, which has a file."""


@pytest.fixture
def sharp(pair):
    """The file of the upscaler, which says how much it sharpens."""
    file = Path(pair.ours.client.post("/probe/sharp"))
    pair.ours.client.post("/multipass/v1/release")
    made(pair.ours, SHARP)
    yield file
    file.write_text("150", encoding="utf-8")


def enlarged_again(server, **change) -> bool:
    """Whether a job enlarged its picture; it has to equal the one without keeping."""
    got, said = not_again(server, lambda: made(server, {**SHARP, **change}))
    assert got.difference(made(server, {**SHARP, **change}, OFF)) == 0
    return "enlarged picture" not in said


@pytest.mark.both
def test_an_enlarged_picture_is_not_made_again(pair, sharp):
    said = [
        not_again(pair.ours, lambda value=value: made(pair.ours, {**SHARP, "denoising_strength": value}))[1]
        for value in (0.3, 0.5)
    ]
    assert said == ["first pass, enlarged picture"] * 2
    assert not enlarged_again(pair.ours, denoising_strength=0.4)
    assert not enlarged_again(pair.ours, hr_second_pass_steps=2)


def test_another_picture_size_or_upscaler_makes_it_anew(pair, sharp):
    for change in ({"seed": 8}, {"hr_scale": 3}, {"hr_upscaler": "Lanczos"}):
        assert enlarged_again(pair.ours, **change)


def test_another_file_of_the_upscaler_makes_it_anew(pair, sharp):
    sharp.write_text("90", encoding="utf-8")
    assert enlarged_again(pair.ours)


def test_its_settings_make_it_anew(pair, sharp):
    with settings(pair.ours, ESRGAN_tile=64):
        assert enlarged_again(pair.ours)
    if pair.ours.webui.kind is NEO:
        enlarged_again(pair.ours)  # its API has turned the number into a float, which may act otherwise
    assert not enlarged_again(pair.ours)


def test_what_an_upscaler_could_not_enlarge_is_not_kept(pair, sharp):
    """Its file cannot be loaded for a while, and stays as it is."""
    state = sharp.stat()
    for text in ("---", "150"):
        sharp.write_text(text, encoding="utf-8")
        os.utime(sharp, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
        assert enlarged_again(pair.ours)
