"""What the second pass has of its own and what ADetailer takes over: decided from plain values."""

import contextlib
from types import SimpleNamespace

import pytest

from lib_multipass import __version__
from lib_multipass.memory.headers import Facts, read_facts
from lib_multipass.plan import args, detailer, vae_choice
from lib_multipass.plan.args import PassArgs
from lib_multipass.plan.crossing import require_vae
from lib_multipass.plan.pasting import read
from lib_multipass.plan.roles import roles_of
from lib_multipass.plan.second_pass import (
    Finish,
    SecondPass,
    as_list,
    finish,
    lasting_vae,
    own_field,
    resolve_vae,
    second_pass,
)
from lib_multipass.plan.vae_choice import VaeSettings
from lib_multipass.words import MultipassError
from support import layouts
from support.adetailer_args import FACE
from support.listed import CARTOON, KNOWN

VAES = ["ema.pt", "ema.safetensors", "Photo VAE.safetensors", "none.safetensors", "old.vae.ckpt"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Use same VAE", "Use same VAE"),
        ("automatic", "Automatic"),
        ("none", "None"),
        ("none.safetensors", "none.safetensors"),
        ("", "Use same VAE"),
        (" ema.pt ", "ema.pt"),
        ("EMA.PT", "ema.pt"),
        ("photo vae", "Photo VAE.safetensors"),
        ("photo vae.ckpt", "Photo VAE.safetensors"),
        ("sub\\old.vae", "old.vae.ckpt"),
        ("sub/old.vae.ckpt", "old.vae.ckpt"),
    ],
)
def test_what_a_vae_may_be_called(query, expected):
    assert resolve_vae(query, VAES) == expected


@pytest.mark.parametrize(
    ("query", "known", "words"),
    [
        ("ema", VAES, ["'ema' means 2 files", "ema.pt, ema.safetensors"]),
        ("foto vae", VAES, ["there is no VAE 'foto vae'", "nearest are Photo VAE.safetensors"]),
        ("something else", VAES, ["refresh the list"]),
        ("x", [], ["no VAE files at all"]),
    ],
)
def test_a_name_that_means_no_vae_is_refused_with_the_nearest(query, known, words):
    with pytest.raises(MultipassError) as caught:
        resolve_vae(query, known)
    assert str(caught.value).startswith("Second-pass VAE: ")
    for word in words:
        assert word in str(caught.value)


def test_defaults_are_nothing_of_its_own():
    assert second_pass(PassArgs(True, "photo"), VAES) == SecondPass()
    own = second_pass(PassArgs(True, "photo", vae="photo vae", cfg_scale=3.5, clip_skip=2), VAES)
    assert own == SecondPass("Photo VAE.safetensors", 3.5, 2)


MODULES = [*VAES, "clip_l.safetensors", "t5.gguf"]


@pytest.mark.parametrize(
    ("given", "vae", "modules"),
    [
        ([], "None", ()),
        (["photo vae"], "Photo VAE.safetensors", ("Photo VAE.safetensors",)),
        (["CLIP_L", "old.vae", "t5.gguf"], "old.vae.ckpt", ("clip_l.safetensors", "old.vae.ckpt", "t5.gguf")),
        (["t5.gguf", "text_encoder/t5.gguf"], "None", ("t5.gguf",)),
        (["Use same choices"], "Use same VAE", None),
        (["automatic"], "Automatic", None),
        (["Use same choices", "ema.pt"], "ema.pt", None),
    ],
)
def test_a_list_is_all_of_the_modules(given, vae, modules):
    own = second_pass(PassArgs.parse([{"vae": given}]), VAES, MODULES)
    assert own == SecondPass(vae, modules=modules)
    assert second_pass(PassArgs(vae=own.choice), VAES, MODULES) == own


@pytest.mark.parametrize(
    ("given", "vae"),
    [
        ([], "None"),
        (["photo vae"], "Photo VAE.safetensors"),
        (["Use same choices"], "Use same VAE"),
        (["none"], "None"),
    ],
)
def test_without_modules_a_list_means_one_vae(given, vae):
    assert second_pass(PassArgs.parse([{"vae": given}]), VAES) == SecondPass(vae)


@pytest.mark.parametrize(
    ("given", "modules", "words"),
    [
        (["ema.pt", "old.vae"], None, ["['ema.pt', 'old.vae'] are 2 files", "takes one VAE"]),
        (["clip_l"], None, ["there is no VAE 'clip_l'"]),
        (["clip_m"], MODULES, ["there is no VAE or text encoder 'clip_m'", "nearest are clip_l.safetensors"]),
        (["x"], [], ["no VAE or text encoder files at all"]),
        (["Automatic", "ema.pt"], MODULES, ["'Automatic'", "beside others"]),
        (["Use same choices", "t5.gguf", "ema.pt"], MODULES, ["beside others", "only one VAE"]),
        (["Use same choices", "foto vae"], MODULES, ["there is no VAE 'foto vae'", "Photo VAE.safetensors"]),
        (["Use same choices", "None"], MODULES, ["beside others"]),
    ],
)
def test_a_list_that_cannot_be_had_is_refused(given, modules, words):
    with pytest.raises(MultipassError) as caught:
        second_pass(PassArgs.parse([{"vae": given}]), VAES, modules)
    assert str(caught.value).startswith("Second-pass VAE: ")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Use same VAE", ["Use same choices"]),
        ("Automatic", ["Automatic"]),
        ("None", ["None"]),
        ("ema.pt", ["Use same choices", "ema.pt"]),
        ("[]", []),
        ('["ema.pt", "t5.gguf"]', ["ema.pt", "t5.gguf"]),
    ],
)
def test_the_list_that_means_the_same(text, shown):
    assert as_list(text) == shown
    own = second_pass(PassArgs.parse([{"vae": shown}]), VAES, MODULES)
    assert own == second_pass(PassArgs(vae=text), VAES, MODULES)


@pytest.mark.parametrize("given", [[], ["clip_l"], ["t5", "ema.pt"]])
def test_a_list_comes_back_from_the_infotext(given):
    args = PassArgs.parse([{"checkpoint": "photo", "vae": given}])
    plan = roles_of(args, CARTOON, KNOWN, VAES, MODULES)
    pasted = read({key: str(value) for key, value in plan.infotext.items()}, KNOWN, VAES, MODULES)
    assert pasted.notes == ()
    assert roles_of(PassArgs(**pasted.values), CARTOON, KNOWN, VAES, MODULES) == plan
    assert plan.own.modules is not None


def test_without_a_swap_own_settings_are_recorded_too():
    plan = roles_of(PassArgs(True, "cartoon", vae="old.vae", clip_skip=2), CARTOON, KNOWN, VAES)
    assert not plan.swaps
    assert plan.infotext == {
        "Multipass checkpoint": CARTOON.title,
        "Multipass VAE": "old.vae.ckpt",
        "Multipass clip skip": 2,
        "Multipass version": __version__,
    }
    pasted = read({key: str(value) for key, value in plan.infotext.items()}, KNOWN, VAES).values
    assert roles_of(PassArgs(**pasted), CARTOON, KNOWN, VAES) == plan


@pytest.mark.parametrize(
    ("own", "follows", "expected"),
    [
        ([], False, True),
        ([None], True, True),
        ([None], False, False),
        (["v"], False, True),
        (["w"], False, True),
        (["setting"], True, False),
        (["w", None], True, True),
        (["w", None], False, False),
        (["setting", None], True, False),
    ],
)
def test_when_a_vae_can_stay_on_its_checkpoint(own, follows, expected):
    assert lasting_vae("v", "setting", own, follows) is expected


def test_a_vae_that_is_the_setting_can_stay_whatever_tabs_say():
    assert lasting_vae("v", "v", ["v", "w", None], follows=True)


@pytest.mark.parametrize("prefix", ["", "first_stage_model."])
@pytest.mark.parametrize("channels", [4, 16])
def test_the_header_tells_the_latent_channels(tmp_path, prefix, channels):
    names = {f"{prefix}decoder.conv_in.weight": (8, channels, 3, 3), f"{prefix}encoder.conv_in.weight": (8, 3, 3, 3)}
    file = tmp_path / "vae.safetensors"
    layouts.write_hollow(file, layouts.header({name: list(shape) for name, shape in names.items()}))
    facts = read_facts(file)
    assert (facts.kind, facts.latent_channels) == ("VAE", channels)


KIND = {"vae": Facts(1, kind="VAE", latent_channels=4), "flux": Facts(1, kind="VAE", latent_channels=16)}


@pytest.mark.parametrize(
    ("vae", "checkpoint", "words"),
    [
        (KIND["flux"], Facts(1, "SDXL"), ["has 16 latent channels", "has 4", "a VAE for SDXL"]),
        (KIND["vae"], Facts(1, "Flux"), ["has 4 latent channels", "has 16"]),
        (KIND["flux"], Facts(1, "Flux.2"), ["has 16 latent channels", "has 32", "a VAE for Flux.2"]),
        (KIND["flux"], Facts(1, "unknown", latent_channels=4), ["has 16 latent channels"]),
        (Facts(1, "SD 1.x", "checkpoint"), Facts(1), ["is no VAE but a checkpoint"]),
        (Facts(1, kind="LoRA"), Facts(1), ["is no VAE but a LoRA"]),
        (Facts(1, problem="It is cut off."), Facts(1), ["cannot be used. It is cut off."]),
    ],
)
def test_a_vae_that_cannot_fit_is_refused(vae, checkpoint, words):
    with pytest.raises(MultipassError) as caught:
        require_vae("Second-pass VAE", "v.safetensors", vae, "b.safetensors", checkpoint)
    for word in ["Second-pass VAE: v.safetensors", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(("channels", "checkpoint"), [(32, "Flux.2"), (16, "Z-Image"), (16, "Chroma"), (None, "Wan")])
def test_a_vae_of_the_checkpoints_own_kind_is_taken(channels, checkpoint):
    vae = Facts(1, kind="VAE", latent_channels=channels)
    require_vae("Second-pass VAE", "v.safetensors", vae, "b.safetensors", Facts(1, checkpoint))


@pytest.mark.parametrize(
    ("are_modules", "vae", "checkpoint", "refused"),
    [
        (True, Facts(1, kind="VAE"), Facts(1, "SD 1.x"), True),
        (True, Facts(1, kind="VAE"), Facts(1, "unknown", latent_channels=4), True),
        (True, Facts(1, kind="VAE"), Facts(1), False),
        (True, KIND["vae"], Facts(1, "SD 1.x"), False),
        (True, Facts(1), Facts(1, "SD 1.x"), False),
        (False, Facts(1, kind="VAE"), Facts(1, "SD 1.x"), False),
    ],
)
def test_a_vae_that_would_be_left_out_is_refused(are_modules, vae, checkpoint, refused):
    """Forge Neo takes what lacks it for no VAE, and says nothing of it."""
    vaes = VaeSettings(facts=vae, are_modules=are_modules)
    second = SimpleNamespace(name="b.safetensors")
    with contextlib.ExitStack() as stack:
        caught = stack.enter_context(pytest.raises(MultipassError)) if refused else None
        vae_choice.require(vaes, "v.safetensors", second, checkpoint)
    if refused:
        sentence = "Second-pass VAE: v.safetensors could not be put on b.safetensors, since it lacks decoder.conv_in"
        assert sentence in str(caught.value)


@pytest.mark.parametrize("vae", [KIND["vae"], Facts(1, kind="VAE"), Facts(1)])
@pytest.mark.parametrize("checkpoint", [Facts(1, "SD 1.x"), Facts(1, "SDXL", latent_channels=4), Facts(1)])
def test_a_vae_that_may_fit_is_taken(vae, checkpoint):
    require_vae("Second-pass VAE", "v.safetensors", vae, "b.safetensors", checkpoint)


JOB = {
    **{"prompt": "a cat", "negative_prompt": "rain", "cfg_scale": 7.0, "sampler_name": "Euler", "scheduler": "Karras"},
    **{"hr_prompt": "", "hr_negative_prompt": "", "hr_sampler_name": None, "hr_scheduler": None},
}


@pytest.mark.parametrize(
    ("more", "own", "expected"),
    [
        ({}, {}, {}),
        ({"hr_prompt": "a cat", "hr_negative_prompt": "rain"}, {}, {}),
        ({"hr_prompt": "a dog"}, {}, {"prompt": "a dog"}),
        ({"hr_prompt": ["a dog", "a dog"]}, {}, {"prompt": "a dog"}),
        ({"hr_prompt": ["a dog", "a cow"]}, {}, {}),
        ({"hr_negative_prompt": "sun"}, {}, {"negative_prompt": "sun"}),
        ({"hr_sampler_name": "Euler"}, {}, {}),
        ({"hr_sampler_name": "Heun"}, {}, {"sampler": "Heun"}),
        ({"hr_scheduler": "Karras"}, {}, {}),
        ({"hr_scheduler": "Use same scheduler", "hr_sampler_name": "Use same sampler"}, {}, {}),
        ({"hr_scheduler": "Uniform"}, {}, {"sampler": "Euler", "scheduler": "Uniform"}),
        ({}, {"cfg_scale": 7.0, "clip_skip": 1}, {}),
        ({}, {"cfg_scale": 3.0, "clip_skip": 2}, {"cfg_scale": 3.0, "clip_skip": 2}),
        ({"hr_cfg": 0.0}, {}, {}),
        ({"hr_cfg": 4.0}, {}, {"cfg_scale": 4.0}),
    ],
)
def test_what_adetailer_follows_in(more, own, expected):
    assert finish({**JOB, **more}, SecondPass(**own), 1, None) == Finish(**expected)


@pytest.mark.parametrize(
    ("own", "given", "left_out", "expected"),
    [
        (None, 0.0, 1.0, 0.0),
        (None, 1.0, 1.0, 0.0),
        (None, 1.0, None, 1.0),
        (None, 4.0, 1.0, 4.0),
        (None, None, None, 0.0),
        (3.0, 1.0, 1.0, 3.0),
        (3.0, 4.0, 1.0, 3.0),
        (1.0, 4.0, 1.0, 1.0),
    ],
)
def test_the_webuis_own_field_for_the_cfg_scale(own, given, left_out, expected):
    assert own_field(own, given, left_out) == expected


def test_a_job_of_a_webui_without_schedulers():
    job = {name: value for name, value in JOB.items() if "scheduler" not in name}
    assert finish(job, SecondPass(), 1, "v") == Finish(vae="v")


ALL = Finish("a dog", "sun", 3.0, "Heun", "Uniform", 2, "v.pt")


def test_a_followed_tab_is_what_adetailer_takes(adetailer_args):
    known = adetailer_args.ADetailerArgs.__fields__
    tab = dict(FACE)
    followed = adetailer_args.ADetailerArgs(**detailer.follow(tab, ALL, known))
    assert tab == FACE
    assert (followed.ad_prompt, followed.ad_negative_prompt) == ("a dog", "sun")
    assert (followed.ad_use_cfg_scale, followed.ad_cfg_scale) == (True, 3.0)
    assert (followed.ad_use_sampler, followed.ad_sampler, followed.ad_scheduler) == (True, "Heun", "Uniform")
    assert (followed.ad_use_clip_skip, followed.ad_clip_skip) == (True, 2)
    assert (followed.ad_use_vae, followed.ad_vae) == (True, "v.pt")


def test_a_followed_tab_keeps_what_it_sets(adetailer_args):
    known = adetailer_args.ADetailerArgs.__fields__
    own = {
        **{"ad_prompt": "a bird", "ad_negative_prompt": "x", "ad_use_cfg_scale": True, "ad_cfg_scale": 1.0},
        **{"ad_use_sampler": True, "ad_sampler": "Euler", "ad_use_clip_skip": True, "ad_clip_skip": 3},
        **{"ad_use_vae": True, "ad_vae": "w.pt"},
    }
    assert detailer.follow({**FACE, **own}, ALL, known) == {**FACE, **own}


def test_only_fields_that_adetailer_has_are_written():
    followed = detailer.follow(FACE, ALL, {"ad_prompt", "ad_use_sampler", "ad_sampler"})
    assert followed == {**FACE, "ad_prompt": "a dog", "ad_use_sampler": True, "ad_sampler": "Heun"}


def test_nothing_to_follow_changes_nothing(adetailer_args):
    assert detailer.follow(FACE, Finish(), adetailer_args.ADetailerArgs.__fields__) == FACE


@pytest.mark.parametrize("unset", [{}, {"ad_vae": "w.pt"}, {"ad_use_vae": True, "ad_vae": "Use same VAE"}])
def test_a_tab_without_a_vae_of_its_own(unset):
    assert detailer.own_vae(unset) is None
    assert detailer.follow(unset, Finish(vae="v"), {"ad_use_vae", "ad_vae"}) == {"ad_use_vae": True, "ad_vae": "v"}


def test_the_fields_of_the_pass_have_the_defaults_that_mean_nothing():
    assert [args.default(name) for name in ("vae", "cfg_scale", "clip_skip")] == [args.SAME_VAE, 0, 0]
