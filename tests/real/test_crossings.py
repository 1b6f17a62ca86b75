"""Jobs whose passes have checkpoints of different architectures: on real webuis, since the miniature has but one.

The checkpoints of these jobs are tiny but real: ``alpha`` is SD 1.x, ``epsilon`` and ``upsilon`` are SDXL, ``omicron``
is SDXL's refiner. Each LoRA says in its header what it is made for.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from support.baked import bake
from support.client import RefusedError
from support.hosts import A1111, NEO
from support.jobs import A, B, adetailer, hires, multipass, need_adetailer, warm, without
from support.pieces import inpainting

pytestmark = pytest.mark.real
XL, XL2, REFINER = "epsilon", "upsilon", "omicron"
WAYS = {"SD1 to SDXL": (A, XL), "SDXL to SD1": (XL, B), "SDXL to SDXL": (XL, XL2)}
LORA = {A: "style-sd1", B: "style-sd1", XL: "style-sdxl", XL2: "style-sdxl"}
MADE_FOR = {"style-sd1": "SD 1.x", "style-sdxl": "SDXL"}


def beginning(checkpoint, **more):
    return {"override_settings": {"sd_model_checkpoint": f"{checkpoint}.safetensors"}, **more}


@contextmanager
def settings(*servers, **values):
    """Options of the running webuis, set back at the end."""
    before = [{name: server.client.get("/sdapi/v1/options").get(name) for name in values} for server in servers]
    for server in servers:
        server.client.post("/sdapi/v1/options", values)
    try:
        yield
    finally:
        for server, old in zip(servers, before, strict=True):
            server.client.post("/sdapi/v1/options", {name: value for name, value in old.items() if value is not None})


def need_latents(pair) -> None:
    if not pair.ours.webui.kind.latent_upscalers:
        pytest.skip("this webui has no latent upscalers")


def comments(pair) -> str:
    return "\n".join(pair.ours.client.probe()["comments"])


@pytest.mark.parametrize("faces", [None, "Same as second pass", "Same as first pass"])
@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
@pytest.mark.parametrize("way", WAYS)
def test_equals_the_job_set_by_hand(pair, way, upscaler, faces):
    base, second = WAYS[way]
    replaced = upscaler == "Latent" and LORA[base] != LORA[second]
    used = "Lanczos" if replaced else upscaler
    ours = stock = {}
    if faces:
        need_adetailer(pair)
        ours = adetailer(pair.ours)
        stock = adetailer(pair.stock, second if faces == "Same as second pass" else None)
    job = beginning(base, n_iter=2)
    expected = warm(pair.stock, **job, **hires(used), hr_checkpoint_name=second, alwayson_scripts=stock)

    job |= {**hires(upscaler), "alwayson_scripts": {**ours, **multipass(True, second, faces)}}
    pair.ours.client.txt2img()  # lets go of what is kept
    got = warm(pair.ours, **job)
    state = pair.ours.client.probe()
    assert (state["reads"], state["builds"], state["empty"]) == ([], [], [])
    assert got.same_as(expected)
    assert without(got.infotext, "Multipass") == without(expected.infotext)
    assert f"Hires upscaler: {pair.ours.webui.kind.fitted(hires(used), False)['hr_upscaler']}" in got.infotext
    told = "\n".join(state["comments"])
    assert (f"the upscaler {upscaler} cannot lead from one to the other, so Lanczos was used" in told) is replaced


def test_architectures_paint_their_own_pictures(pair):
    """Guards the comparisons here."""
    pictures = [warm(pair.stock, **beginning(checkpoint)) for checkpoint in (A, XL, XL2)]
    pictures += [warm(pair.stock, **hires("Lanczos", hr_checkpoint_name=second)) for second in (B, XL, XL2)]
    for index, one in enumerate(pictures):
        assert one.pictures[0].std() > 10
        assert not any(
            one.pictures[0].shape == other.pictures[0].shape and one.like(other) for other in pictures[index + 1 :]
        )


@pytest.mark.parametrize(("wanted", "used"), [("Nearest", "Nearest"), ("an upscaler that is gone", "Lanczos")])
def test_the_setting_chooses_the_upscaler(pair, wanted, used):
    need_latents(pair)
    expected = warm(pair.stock, **hires(used), hr_checkpoint_name=XL)
    with settings(pair.ours, multipass_crossing_upscaler=wanted):
        got = warm(pair.ours, **hires("Latent (bicubic)"), alwayson_scripts=multipass(True, XL))
        told = comments(pair)
        same_space = warm(pair.ours, **hires("Latent"), alwayson_scripts=multipass(True, B))
    assert got.same_as(expected)
    assert f"Hires upscaler: {used}" in got.infotext
    assert f"the upscaler Latent (bicubic) cannot lead from one to the other, so {used} was used" in told
    assert "Hires upscaler: Latent" in same_space.infotext


@pytest.mark.parametrize("where", ["second pass", "faces"])
def test_a_refiner_as_checkpoint_of_a_later_pass(pair, where):
    need_adetailer(pair)
    second, faces = (REFINER, "As set in ADetailer") if where == "second pass" else (XL2, REFINER)
    stock = adetailer(pair.stock, REFINER) if where == "faces" else {}
    ours = {**(adetailer(pair.ours) if where == "faces" else {}), **multipass(True, second, faces)}
    job = beginning(XL)
    expected = warm(pair.stock, **job, **hires("Latent"), hr_checkpoint_name=second, alwayson_scripts=stock)
    got = warm(pair.ours, **job, **hires("Latent"), alwayson_scripts=ours)
    assert got.same_as(expected)
    assert got.pictures[0].std() > 10


@pytest.mark.parametrize("faces", [False, True])
def test_a_vae_module_is_not_put_on_another_latent_space(pair, faces):
    """Forge Neo would take the first pass's modules for the hires pass and for ADetailer's."""
    if not pair.ours.webui.kind.vaes_are_modules:
        pytest.skip("in this webui a VAE is no module")
    if faces:
        need_adetailer(pair)
    stock, ours = (adetailer(pair.stock, XL), adetailer(pair.ours)) if faces else ({}, {})
    job = {**hires("Lanczos"), "n_iter": 2}
    by_hand = {"hr_checkpoint_name": XL, "alwayson_scripts": stock}
    expected = warm(pair.stock, **job, **beginning(bake(pair.stock, A)), **by_hand)
    module = {"override_settings": {"forge_additional_modules": ["other.safetensors"]}}
    got = warm(pair.ours, **job, **module, alwayson_scripts={**ours, **multipass(True, XL)})
    state = pair.ours.client.probe()
    assert got.same_as(expected)
    assert (state["reads"], state["builds"]) == ([], [])
    assert f"The SD VAE other.safetensors was taken for one of {A}'s latent space" in "\n".join(state["comments"])
    assert not got.like(warm(pair.stock, **job, **module, **by_hand))


def test_an_inpainting_checkpoint_is_led_to_in_pixels(pair):
    """The webui's mask for it has the first pass's size where the latents are enlarged already."""
    need_latents(pair)
    for server in (pair.ours, pair.stock):
        second = inpainting(server, B)
    with pytest.raises(RefusedError, match="500"):
        pair.stock.client.txt2img(**hires("Latent"), hr_checkpoint_name=second)
    expected = warm(pair.stock, **hires("Lanczos"), hr_checkpoint_name=second)
    got = warm(pair.ours, **hires("Latent"), alwayson_scripts=multipass(True, second))
    assert got.same_as(expected)
    assert f"{second} is an inpainting checkpoint: the upscaler Latent cannot lead to it, so Lanczos" in comments(pair)
    request = {**hires("Latent"), "alwayson_scripts": multipass(True, second)}
    told = "\n".join(pair.ours.client.post("/multipass/v1/plan", request)["warnings"])
    assert f"{second} is an inpainting checkpoint: the upscaler Latent cannot lead to it; Lanczos will be used" in told


@pytest.mark.parametrize("where", ["setting", "override"])
def test_a_weaker_mask_lets_latents_lead_to_an_inpainting_checkpoint(pair, where):
    """The webui then makes the mask of the enlarged picture."""
    need_latents(pair)
    for server in (pair.ours, pair.stock):
        second = inpainting(server, B)
    weaker = {"inpainting_mask_weight": 0.5}
    job = {**hires("Latent"), **({"override_settings": weaker} if where == "override" else {})}
    with settings(pair.ours, pair.stock, **(weaker if where == "setting" else {})):
        expected = warm(pair.stock, **job, hr_checkpoint_name=second)
        got = warm(pair.ours, **job, alwayson_scripts=multipass(True, second))
    assert got.same_as(expected)
    assert "Hires upscaler: Latent" in got.infotext


def tagged(base: str, *, kind: str = "lora") -> tuple[str, str]:
    """A prompt with the first pass's LoRA, and what is left of it."""
    return f"a cat, <{kind}:{LORA[base]}:0.9> sunny", "a cat, sunny"


@pytest.mark.parametrize("kind", ["lora", "lyco"])
@pytest.mark.parametrize("way", ["SD1 to SDXL", "SDXL to SD1"])
def test_loras_of_the_first_pass_are_left_out(pair, way, kind):
    if kind == "lyco" and pair.stock.webui.kind is NEO:
        pytest.skip("this webui knows no tag <lyco:>")
    base, second = WAYS[way]
    prompt, rest = tagged(base, kind=kind)
    job = {**beginning(base), **hires("Lanczos"), "prompt": prompt, "n_iter": 2}
    misapplied = warm(pair.stock, **job, hr_checkpoint_name=second)
    expected = warm(pair.stock, **job, hr_checkpoint_name=second, hr_prompt=rest)
    without_lora = warm(pair.stock, **{**job, "prompt": rest}, hr_checkpoint_name=second)
    if pair.stock.webui.kind is not NEO:  # which leaves out by itself what fits nothing
        assert not misapplied.like(expected)
    assert not without_lora.like(expected)  # the first pass has its LoRA

    got = warm(pair.ours, **job, alwayson_scripts=multipass(True, second))

    assert got.same_as(expected)
    assert got.infotext.startswith(prompt)
    assert "Hires prompt" in got.infotext
    assert without(got.infotext, "Multipass") == without(expected.infotext)
    tag = f"<{kind}:{LORA[base]}:0.9>"
    assert comments(pair).count(f"{tag} is made for {MADE_FOR[LORA[base]]}, so it was left out") == 1


def test_each_prompt_of_a_script_is_fitted(pair):
    """Prompt matrix gives the job a list of prompts, here without and with the tag."""
    if pair.ours.webui.kind is NEO:
        pytest.skip("this webui has no Prompt matrix")
    tag = f"<lora:{LORA[A]}:1>"
    values = pair.ours.client.get("/probe/script?title=Prompt matrix")
    script = {"script_name": "Prompt matrix", "script_args": [entry["value"] for entry in values]}
    job = {**hires("Lanczos"), "prompt": f"a cat|{tag}", **script}
    texts = warm(pair.ours, **job, alwayson_scripts=multipass(True, XL)).infotexts
    assert {tag in text: "Hires prompt: " in text for text in texts} == {True: True, False: False}


@pytest.mark.parametrize("way", ["SD1 to SDXL", "SDXL to SD1"])
def test_faces_do_without_the_first_passes_loras(pair, way):
    need_adetailer(pair)
    base, second = WAYS[way]
    prompt, rest = tagged(base)
    job = {**beginning(base), **hires("Lanczos"), "prompt": prompt}
    stock = {**job, "hr_checkpoint_name": second, "hr_prompt": rest}
    misapplied = warm(pair.stock, **stock, alwayson_scripts=adetailer(pair.stock, second))
    expected = warm(pair.stock, **stock, alwayson_scripts=adetailer(pair.stock, second, ad_prompt=rest))
    if pair.stock.webui.kind is not NEO:
        assert not misapplied.like(expected)

    got = warm(pair.ours, **job, alwayson_scripts={**adetailer(pair.ours), **multipass(True, second)})

    assert got.same_as(expected)
    assert f"so it was left out of ADetailer's pass on {second}" in comments(pair)


def test_faces_on_the_first_checkpoint_keep_its_loras(pair):
    need_adetailer(pair)
    prompt, rest = tagged(A)
    job = {**hires("Lanczos"), "prompt": prompt}
    stock = adetailer(pair.stock)
    expected = warm(pair.stock, **job, hr_checkpoint_name=XL, hr_prompt=rest, alwayson_scripts=stock)
    scripts = {**adetailer(pair.ours), **multipass(True, XL, "Same as first pass")}
    assert warm(pair.ours, **job, alwayson_scripts=scripts).same_as(expected)
    assert "ADetailer's pass" not in comments(pair)


def test_prompts_that_the_user_wrote_stay(pair):
    need_adetailer(pair)
    prompt, rest = tagged(A)
    job = {**hires("Lanczos"), "prompt": rest, "hr_prompt": prompt}
    stock = adetailer(pair.stock, XL, ad_prompt=prompt)
    expected = warm(pair.stock, **job, hr_checkpoint_name=XL, alwayson_scripts=stock)
    ours = {**adetailer(pair.ours, ad_prompt=prompt), **multipass(True, XL)}
    got = warm(pair.ours, **job, alwayson_scripts=ours)
    assert got.same_as(expected)
    assert f'ADetailer prompt: "{prompt}"' in got.infotext
    assert "left out" not in comments(pair)


def test_other_tags_stay(pair):
    """What fits, what does not say what it is made for, and what is no tag that the webui knows."""
    prompt = f"a cat <lora:{LORA[B]}:0.5> <lora:nowhere:1> <hypernet:nowhere:1> <odd> <>"
    for second in (B, XL):
        got = pair.ours.client.txt2img(**hires("Lanczos"), prompt=prompt, alwayson_scripts=multipass(True, second))
        told = comments(pair)
        assert ("Hires prompt" in got.infotext) is (second == XL)
        assert ("is made for" in told) is (second == XL)
        assert "nowhere" not in told.replace("Lora not found: nowhere", "").replace("Networks not found: nowhere", "")
    pair.stock.client.txt2img(prompt="a cat")  # by itself the webui goes on with a LoRA as it was read for SDXL
    expected = warm(pair.stock, **hires("Lanczos"), prompt=prompt, hr_checkpoint_name=B)
    assert warm(pair.ours, **hires("Lanczos"), prompt=prompt, alwayson_scripts=multipass(True, B)).same_as(expected)


def test_a_lora_that_fits_the_second_pass_alone_is_read_for_it(pair):
    """A1111 keeps a LoRA by name, in the parts that fitted the first checkpoint; a copy is read for the second."""
    for server in (pair.ours, pair.stock):
        folder = server.data / "models" / "Lora"
        (folder / "again.safetensors").write_bytes((folder / "style-sdxl.safetensors").read_bytes())
    job = {**hires("Lanczos"), "prompt": "a cat <lora:style-sdxl:1>"}
    halved = warm(pair.stock, **job, hr_checkpoint_name=XL)
    expected = warm(pair.stock, **job, hr_checkpoint_name=XL, hr_prompt="a cat <lora:again:1>")
    assert halved.like(expected) is (pair.stock.webui.kind is not A1111)  # what the webui does by itself
    got = warm(pair.ours, **job, alwayson_scripts=multipass(True, XL))
    assert got.same_as(expected)
    assert "left out" not in comments(pair)


def need_refiner(pair) -> None:
    if not pair.ours.webui.kind.refines_hires_jobs:
        pytest.skip("in this webui no refiner works in a job with a hires pass")


REFINED = {"first pass": False, "second pass": True, "both passes": True}


@pytest.mark.parametrize("refined", REFINED)
def test_refiner(pair, refined):
    need_refiner(pair)
    refiner = {"refiner_checkpoint": REFINER, "refiner_switch_at": 0.5}
    job = {**beginning(XL), **hires("Lanczos"), **refiner, "n_iter": 2}
    with settings(pair.ours, pair.stock, hires_fix_refiner_pass=refined):
        expected = warm(pair.stock, **job, hr_checkpoint_name=XL2)
        got = warm(pair.ours, **job, alwayson_scripts=multipass(True, XL2))
    state = pair.ours.client.probe()
    assert got.same_as(expected)
    assert (state["reads"], state["builds"]) == ([], [])
    assert sorted(state["loaded"]) == sorted([XL, XL2, REFINER])
    told = f"The refiner {REFINER} takes over from {XL2} within the second pass."
    assert (told in "\n".join(state["comments"])) is REFINED[refined]
    assert f"Refiner: {REFINER}" in got.infotext


@pytest.mark.parametrize("same", [XL, XL2])
def test_refiner_that_is_one_of_the_two(pair, same):
    need_refiner(pair)
    refiner = {"refiner_checkpoint": same, "refiner_switch_at": 0.5}
    job = {**beginning(XL), **hires("Lanczos"), **refiner, "n_iter": 2}
    expected = warm(pair.stock, **job, hr_checkpoint_name=XL2)
    got = warm(pair.ours, **job, alwayson_scripts=multipass(True, XL2))
    state = pair.ours.client.probe()
    assert got.same_as(expected)
    assert (state["reads"], state["builds"]) == ([], [])
    assert sorted(state["loaded"]) == sorted([XL, XL2])
    assert ("takes over" in "\n".join(state["comments"])) is (same == XL)
