"""Whether a model of reForge or Neo is what it was in an earlier pass, over patchers of the stand-in."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from lib_multipass.plan.alike import UnlikeError, fingerprint
from lib_multipass.webui.a1111 import digests, patchers
from support.neo import Model


@pytest.fixture
def model(tmp_path):
    """As it is sampled where nothing works in it."""
    file = tmp_path / "alpha.safetensors"
    file.write_bytes(b"x")
    return Model([str(file)])


def sampled(model) -> str:
    return fingerprint(patchers.as_sampled(model), digests.raw)


def decoded(model) -> str:
    return fingerprint(patchers.vae_as_it_decodes(model), digests.raw)


def weight_of(model) -> torch.nn.Parameter:
    return model.forge_objects.unet.model[0].weight


def test_it_is_the_same_through_a_clone_with_nothing_in_it(model):
    """As some of reForge's own scripts leave one when they are off."""
    before = sampled(model)
    model.forge_objects.unet = model.forge_objects.unet.clone()
    assert sampled(model) == before


def test_it_is_the_same_while_a_lora_is_worked_in(model):
    before, weight = sampled(model), weight_of(model)
    model.forge_objects.unet.backup["0.weight"] = weight.detach().clone()
    with torch.no_grad():
        weight += 1
    assert sampled(model) == before
    model.forge_objects.unet.backup.clear()
    assert sampled(model) != before


def test_a_backup_may_say_how_it_is_put_back(model):
    """reForge's does."""
    before, weight = sampled(model), weight_of(model)
    own = SimpleNamespace(weight=weight.detach().clone(), inplace_update=False)
    model.forge_objects.unet.backup["0.weight"] = own
    with torch.no_grad():
        weight += 1
    assert sampled(model) == before


def test_what_a_sampler_has_left_does_not_count(model):
    before = sampled(model)
    model.forge_objects.unet.model_options["transformer_options"]["sampling_sigmas"] = torch.ones(3)
    assert sampled(model) == before


def test_another_noise_schedule_makes_another(model):
    before, predictor = sampled(model), model.forge_objects.unet.model.predictor
    own = {name: value.clone() for name, value in predictor.state_dict().items()}
    predictor.set_sigmas(predictor.sigmas * 2)
    assert sampled(model) != before
    predictor.load_state_dict(own)
    assert sampled(model) == before
    predictor.shift = 3.0
    assert sampled(model) != before


@pytest.mark.parametrize("name", ["ref_latents", "concat_latent", "lq_latent"])
def test_pictures_that_a_model_looks_at_make_another(model, monkeypatch, name):
    """Neo leaves them in ``dynamic_args`` from job to job: it clears them while it encodes texts, if it has to."""
    args = SimpleNamespace(ref_latents=[], concat_latent=None, lq_latent=[None, None])
    monkeypatch.setitem(sys.modules, "backend.args", SimpleNamespace(dynamic_args=args))
    before, usual = sampled(model), getattr(args, name)
    setattr(args, name, [torch.ones(1, 4, 2, 2), None])
    assert sampled(model) != before
    setattr(args, name, usual)
    assert sampled(model) == before


def works_at_each_step(patcher):
    patcher.model_options["sampler_post_cfg_function"] = [lambda args: args]


def works_in_blocks(patcher):
    patcher.model_options["transformer_options"]["patches"] = {"input_block_patch": [max]}


def has_control(patcher):
    patcher.controlnet_linked_list = object()


def has_another_schedule(patcher):
    patcher.object_patches["model_sampling"] = object()


def has_weights_of_its_own(patcher):
    patcher.patches["0.weight"] = [(1.0, torch.zeros(1))]


def has_what_nobody_knows(patcher):
    patcher.other_options = {"strength": 1.0}


WORKS = (
    works_at_each_step,
    works_in_blocks,
    has_control,
    has_another_schedule,
    has_weights_of_its_own,
    has_what_nobody_knows,
)


@pytest.mark.parametrize("change", WORKS)
def test_what_works_in_a_pass_cannot_be_compared(model, change):
    patcher = model.forge_objects.unet = model.forge_objects.unet.clone()
    change(patcher)
    with pytest.raises(UnlikeError, match="what works in the diffusion model"):
        sampled(model)


@pytest.mark.parametrize("change", [works_at_each_step, works_in_blocks, has_another_schedule])
def test_nor_what_works_in_the_model_itself(model, change):
    change(model.forge_objects.unet)
    with pytest.raises(UnlikeError, match="what works in the diffusion model"):
        sampled(model)


def test_weights_that_cannot_be_read_cannot_be_compared(model, monkeypatch):
    def refuse(tensors):
        raise NotImplementedError("packed")

    monkeypatch.setattr(digests, "of", refuse)
    with pytest.raises(UnlikeError, match=r"weights of a kind that cannot be read \(packed\)"):
        sampled(model)


def test_a_vae_is_told_by_its_weights(model):
    before = decoded(model)
    assert decoded(model) == before
    with torch.no_grad():
        model.first_stage_model[0].weight += 1
    assert decoded(model) != before


def test_a_vae_that_something_works_in_cannot_be_compared(model):
    model.forge_objects.vae = object()
    with pytest.raises(UnlikeError, match="what works in the VAE"):
        decoded(model)
