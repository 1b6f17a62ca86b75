"""Every pair of checkpoints with every kind of VAE, kept and not kept, on running webuis.

The miniature has three checkpoints of one architecture, ``gamma`` with a config of its own; a real webui has two of
SDXL besides. Each picture is made with nothing kept, then twice with everything kept, and compared with the same webui
set by hand where it can be.
"""

from __future__ import annotations

import itertools

import pytest

from support.baked import bake
from support.client import RefusedError
from support.jobs import A, B, C, hires, multipass, vae_setting, warm, without
from support.scale import sample
from support.sequences import XL, XL2

NAMES = (A, B, C, XL, XL2)
UPSCALERS = ("Latent", "Lanczos")
FIRST, SECOND = "firsts", "seconds"
SAME = "Use same VAE"
VAES = {
    "Automatic": ("Automatic", SAME),
    "fixed": (FIRST, SAME),
    "the first's": ("Automatic", FIRST),
    "the second's": (FIRST, "Automatic"),
    "a file of the second's": ("Automatic", SECOND),
}
"""What the setting *SD VAE* says, and the choice for the second pass."""


def is_xl(name: str) -> bool:
    return name in (XL, XL2)


@pytest.fixture(scope="module")
def vaes(pair):
    """VAE files of both architectures in both webuis: names by architecture."""
    from safetensors.torch import load_file, save_file

    made = {False: "other.safetensors"}
    if pair.real:
        for server in (pair.ours, pair.stock):
            source = server.data / "models" / "Stable-diffusion" / f"{XL2}.safetensors"
            begin = "first_stage_model."
            tensors = {k.removeprefix(begin): v for k, v in load_file(source).items() if k.startswith(begin)}
            # Not the very weights of any checkpoint.
            tensors = {name: tensor * 1.02 if "conv_out" in name else tensor for name, tensor in tensors.items()}
            save_file(tensors, server.data / "models" / "VAE" / "xl-other.safetensors")
            server.client.post("/sdapi/v1/refresh-vae")
        made[True] = "xl-other.safetensors"
    return made


def fitted(server, choice: str) -> str:
    """The choice that means the second checkpoint's own VAE; where VAEs are modules, *Automatic* is the first's."""
    return "None" if choice == "Automatic" and server.webui.kind.vaes_are_modules else choice


def by_hand(pair, base, second, setting, choice, vaes) -> dict:
    """The request that renders the same in a webui without the extension.

    A checkpoint with another VAE in it is what one would make to have that VAE in one pass. It stands for the setting
    too: by hand, an override of that would stay on the checkpoints that the webui keeps.
    """
    if setting != "Automatic":
        fixed = setting.removesuffix(".safetensors")
        base = bake(pair.stock, base, fixed)
        if choice == SAME and vaes[is_xl(second)] == setting:
            second = bake(pair.stock, second, fixed)
    elif choice != SAME:
        second = bake(pair.stock, second, choice.removesuffix(".safetensors"))
    return {"override_settings": {"sd_model_checkpoint": base}, "hr_checkpoint_name": second}


def cases(names) -> list[tuple]:
    """Pairs of these, with everything that does not go without saying."""
    return [(*two, *more) for two in itertools.permutations(names, 2) for more in itertools.product(UPSCALERS, VAES)]


def crosses(base: str, second: str) -> bool:
    return is_xl(base) != is_xl(second)


OF_THE_MINIATURE = cases((A, B, C))
"""Its checkpoints have one architecture."""
# VAEs of SD 1.x and SDXL have the same tensors, and which one to use is up to the user.
OTHERS = [
    case
    for case in cases(NAMES)
    if case not in OF_THE_MINIATURE and not (crosses(*case[:2]) and case[-1] == "the first's")
]


@pytest.mark.parametrize(("base", "second", "upscaler", "kind"), sample(OF_THE_MINIATURE, OTHERS))
@pytest.mark.both
@pytest.mark.in_turn
def test_a_pair(pair, vaes, base, second, upscaler, kind):
    files = {FIRST: vaes[is_xl(base)], SECOND: vaes.get(is_xl(second))}
    setting, choice = (files.get(word, word) for word in VAES[kind])
    used = "Lanczos" if crosses(base, second) else upscaler
    job = {"override_settings": {"sd_model_checkpoint": f"{base}.safetensors", **vae_setting(pair.ours, setting)}}

    def ours(keep):
        scripts = multipass({"checkpoint": second, "vae": fitted(pair.ours, choice), "keep": keep})
        return {**hires(upscaler), **job, "alwayson_scripts": scripts}

    pair.ours.client.txt2img()  # lets go of what is kept
    pair.ours.client.probe()
    cold = pair.ours.client.txt2img(**ours("As the webui is set"))
    assert pair.ours.client.probe()["reads"] != []
    got = warm(pair.ours, **ours("In RAM"))
    state = pair.ours.client.probe()
    assert (state["reads"], state["builds"], state["empty"]) == ([], [], [])
    assert got.same_as(cold)
    body = by_hand(pair, base, second, setting, choice, vaes)
    expected = warm(pair.stock, **hires(used), **body)
    assert got.same_as(expected)
    assert got.pictures[0].std() > 5
    if "-with-" not in str(body):
        assert without(got.infotext, "Multipass") == without(expected.infotext)


def test_the_kinds_of_vae_differ(pair, vaes):
    """Guards the comparisons above."""
    names = {FIRST: vaes[False]}
    made = [
        warm(
            pair.ours,
            **hires("Lanczos"),
            override_settings=vae_setting(pair.ours, names.get(setting, setting)),
            alwayson_scripts=multipass({"checkpoint": B, "vae": fitted(pair.ours, names.get(choice, choice))}),
        )
        for setting, choice in (VAES[kind] for kind in ("Automatic", "fixed", "the first's", "the second's"))
    ]
    for index, one in enumerate(made):
        assert not any(one.like(other) for other in made[index + 1 :])


def test_a_vae_with_other_latent_channels_is_refused(pair):
    """The one crossing of VAEs that a header shows."""
    import torch
    from safetensors.torch import save_file

    file = pair.ours.data / "models" / "VAE" / "sixteen.safetensors"
    save_file(
        {"decoder.conv_in.weight": torch.zeros(8, 16, 3, 3), "encoder.conv_in.weight": torch.zeros(8, 3, 3, 3)}, file
    )
    pair.ours.client.post("/sdapi/v1/refresh-vae")
    try:
        with pytest.raises(RefusedError) as caught:
            pair.ours.client.txt2img(**hires(), alwayson_scripts=multipass({"checkpoint": B, "vae": file.name}))
    finally:
        file.unlink()
        pair.ours.client.post("/sdapi/v1/refresh-vae")
    assert caught.value.status == 422
