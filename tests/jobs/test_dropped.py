"""Names that lead nowhere, in fields of a request that are not ours: refused or told, with the nearest ones."""

import pytest

from lib_multipass.plan.args import AS_IN_ADETAILER
from support.client import RefusedError
from support.jobs import A, B, C, adetailer, hires, multipass, need_adetailer

REFUSED = {
    "first pass": ({"override_settings": {"sd_model_checkpoint": "alpah"}}, "override_settings.sd_model_checkpoint"),
    "refiner": ({"refiner_checkpoint": "alpah", "refiner_switch_at": 0.5}, "Refiner"),
    "refiner at the end": ({"refiner_checkpoint": "alpah", "refiner_switch_at": 1.0}, "Refiner"),
}


@pytest.mark.parametrize("place", REFUSED)
def test_what_the_webui_would_not_find_is_refused_with_the_nearest_names(pair, place):
    fields, called = REFUSED[place]
    client, job = pair.ours.client, {**hires(), **fields, "alwayson_scripts": multipass(True, B)}
    with pytest.raises(RefusedError) as planned:
        client.post("/multipass/v1/plan", job)
    with pytest.raises(RefusedError) as refused:
        client.txt2img(**job)
    assert refused.value.status == planned.value.status == 422
    assert refused.value.detail == planned.value.detail
    assert refused.value.detail.startswith(f"{called}: there is no checkpoint 'alpah'; the nearest are {A}.safetensors")


def test_an_override_that_is_no_text_is_refused_as_such(pair):
    job = {"override_settings": {"sd_model_checkpoint": [A]}, "alwayson_scripts": multipass(True, B)}
    with pytest.raises(RefusedError) as refused:
        pair.ours.client.post("/multipass/v1/plan", job)
    assert refused.value.detail == (
        f"override_settings.sd_model_checkpoint: ['{A}'] is not allowed here; it has to be a text."
    )


def told(pair, faces=None, mode=AS_IN_ADETAILER, **fields):
    """What the plan warns of and what the job comments on, of names that are not there."""
    client = pair.ours.client
    job = {**hires(), **fields, "alwayson_scripts": {**multipass(True, B, mode), **(faces or {})}}
    planned = [text for text in client.post("/multipass/v1/plan", job)["warnings"] if "there is no" in text]
    client.probe()
    client.txt2img(**job)
    assert [text for text in client.probe()["comments"] if "there is no" in text] == planned
    return planned


def test_a_tab_whose_checkpoint_adetailer_would_not_find_is_told(pair):
    need_adetailer(pair)
    (text,) = told(pair, adetailer(pair.ours, "gamme"))
    assert text.startswith(f"ADetailer: there is no checkpoint 'gamme'; the nearest are {C}.safetensors")
    assert text.endswith(f" It runs on {A} instead.")
    assert told(pair, adetailer(pair.ours, "gamme"), "Same as second pass") == []  # the tab's own has no say
    assert told(pair, adetailer(pair.ours, C)) == []


def test_a_vae_that_the_webui_would_not_find_is_told(pair):
    need_adetailer(pair)
    near = "there is no VAE 'othre.safetensors'; the nearest are other.safetensors."
    assert told(pair, override_settings={"sd_vae": "othre.safetensors"}) == [
        f"override_settings.sd_vae: {near} The webui goes on as if none was set."
    ]
    tab = adetailer(pair.ours, ad_use_vae=True, ad_vae="othre.safetensors")
    assert told(pair, tab) == [f"ADetailer: {near} It goes on as if none was set."]
    for fine in ("Automatic", "None", "other.safetensors"):
        assert told(pair, override_settings={"sd_vae": fine}) == []
