"""What is taken back, handed on or put right at one moment of a job, seen at that moment, inside one process."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from support.jobs import A, B, C
from support.stage import FACES

OTHER = "other.safetensors"


@pytest.fixture(autouse=True)
def plain_job_first(host):
    host.run(host.job())


def swap(host, name):
    with host.sd_models.SkipWritingToConfig():
        return host.sd_models.reload_model_weights(info=host.sd_models.get_closet_checkpoint_match(name))


def fail(*_args, **_kwargs):
    raise ZeroDivisionError


def test_a_saved_first_pass_is_saved_with_its_seed_and_prompt(host, monkeypatch):
    """File names are made of both."""
    saved, save = [], host.images.save_image

    def save_image(image, path, basename, seed=None, prompt=None, *args, **kwargs):
        saved.append((kwargs.get("suffix"), seed, prompt))
        return save(image, path, basename, seed, prompt, *args, **kwargs)

    monkeypatch.setitem(host.shared.opts.data, "samples_save", True)
    monkeypatch.setattr(host.images, "save_image", save_image)
    p = host.job({"checkpoint": B, "show_first_pass": True}, outpath_samples="saved", batch_size=2)
    host.run(p)
    assert [one[1:] for one in saved if one[0] == "-first-pass"] == [(5, "a cat"), (6, "a cat")]


def test_a_swap_in_a_job_forgets_biases_without_weights(host):
    """What 1.6.0 leaves when it loads a checkpoint into another one's place, the next LoRA would put back."""
    host.run(host.job(True, B))
    swap(host, A)
    layer = host.sd_models.model_data.loaded_sd_models[1].cond_stage_model.layers[0]
    layer.network_weights_backup, layer.network_bias_backup = None, torch.zeros(2)
    swap(host, B)
    assert host.shared.sd_model.cond_stage_model.layers[0] is layer
    assert layer.network_bias_backup is None
    del layer.network_weights_backup, layer.network_bias_backup


def test_a_swap_without_an_active_model_moves_none_away(host, monkeypatch):
    """After a swap that failed none is active, and up to 1.9.4 the webui does not look before it moves one."""
    import mini

    host.run(host.job(True, B))
    monkeypatch.setattr(mini, "old_host", True)
    monkeypatch.setitem(host.shared.opts.data, "sd_checkpoints_keep_in_cpu", True)
    monkeypatch.setattr(host.sd_models.model_data, "sd_model", None)
    assert swap(host, A).sd_checkpoint_info.name_for_extra == A


@pytest.mark.parametrize("error", [None, torch.cuda.OutOfMemoryError("CUDA out of memory")])
def test_running_out_of_memory_puts_the_models_right_at_the_end(host, monkeypatch, error):
    """Whatever was being moved then lies on both sides."""
    from lib_multipass.webui.a1111 import models

    mended, mend = [], models.mend
    monkeypatch.setattr(models, "mend", lambda: (mended.append(True), mend()))

    def decode(*_args, **_kwargs):
        raise error

    if error is not None:
        monkeypatch.setattr(host.processing, "decode_latent_batch", decode)
        with pytest.raises(torch.cuda.OutOfMemoryError):
            host.run(host.job(True, B))
    else:
        host.run(host.job(True, B))
    assert len(mended) == (error is not None)


def test_an_interrupted_first_pass_is_decoded_without_the_second_passes_vae(host):
    """Another extension's ``sample_hr_pass`` finds the swap done, and the VAE on the second checkpoint."""
    p, seen = host.job({"checkpoint": B, "vae": OTHER}), []

    def sample_hr_pass(*args, **kwargs):
        seen.append(host.sd_vae.loaded_vae_file)
        host.shared.state.interrupt()
        result = type(p).sample_hr_pass(p, *args, **kwargs)
        seen.append(host.sd_vae.loaded_vae_file)
        return result

    p.sample_hr_pass = sample_hr_pass
    host.run(p)
    assert seen == [host.sd_vae.vae_dict[OTHER], None]


def test_the_hires_passes_vae_is_on_in_it_alone(host, monkeypatch):
    """With one checkpoint for both passes, in the first pass of the next picture and for its faces too."""
    sampler, seen = host.sd_samplers._Sampler, []
    sample, hires = sampler.sample, sampler.sample_img2img

    def noting(inner, job, name):
        def sampled(self, p, *args, **kwargs):
            seen.append((name if p is job else "faces", host.sd_vae.get_loaded_vae_name()))
            return inner(self, p, *args, **kwargs)

        return sampled

    p = host.job({"checkpoint": A, "vae": OTHER, "adetailer_follows": False}, faces=dict(FACES), n_iter=2)
    monkeypatch.setattr(sampler, "sample", noting(sample, p, "first"))
    monkeypatch.setattr(sampler, "sample_img2img", noting(hires, p, "hires"))
    host.run(p)
    assert seen == [("first", None), ("hires", OTHER), ("faces", None)] * 2


def test_a_vae_that_the_next_job_does_not_keep_is_forgotten(host):
    from lib_multipass.state import kept

    host.run(host.job({"checkpoint": A, "vae": OTHER}))
    assert kept.vae is not None
    host.run(host.job(True, B))
    assert kept.vae is None


def test_what_cannot_be_let_go_of_is_not_held_either(host, monkeypatch):
    """The webui's own limit counts again, whatever happens."""
    from lib_multipass.state import kept
    from lib_multipass.webui.a1111 import follow

    host.run(host.job(True, B))
    monkeypatch.setattr(follow, "leave", fail)
    host.run(host.job())
    assert kept.decision is None
    assert host.limit == 1


def test_a_failure_goes_before_a_refusal(host):
    """Of a job that a script renders in pieces, of which one was refused."""
    whole = host.job(True, "nobody", kind=lambda values: (1, *values[1:]))
    host.shared.state.begin(job="plot")
    with pytest.raises(Exception, match="'nobody'"):
        host.processing.process_images(whole)
    host.shared.state.end()
    with pytest.raises(ZeroDivisionError), closing(whole):
        fail()


@pytest.fixture
def loras(host, monkeypatch):
    """The LoRA extension with one network in memory; the second checkpoint counts as SDXL."""
    from lib_multipass.memory import headers
    from lib_multipass.webui.a1111 import files

    facts = {name: headers.Facts(1, "SDXL" if name == B else "SD 1.x") for name in (A, B, C)}
    monkeypatch.setattr(files, "facts_of", lambda checkpoint: facts[checkpoint.name_for_extra])
    module = ModuleType("networks")
    module.loaded_networks, module.networks_in_memory = [], {"style": SimpleNamespace(mtime=7.0)}
    monkeypatch.setitem(sys.modules, "networks", module)
    return module.networks_in_memory["style"]


def test_loras_are_read_anew_after_a_job_of_two_architectures(host, loras, monkeypatch):
    """They are taken apart for the one that was active when they were read."""
    host.run(host.job(True, C))
    assert loras.mtime == 7.0
    p = host.job(True, B, hr_upscaler="Lanczos")
    p.scripts.before_process(p)
    assert loras.mtime == 7.0
    p.close()
    assert loras.mtime == float("-inf")


@pytest.fixture
def bare(host):
    """A checkpoint without a VAE; which one it was given is forgotten with its file."""
    from safetensors.torch import load_file, save_file

    from lib_multipass.state import kept

    folder = Path(host.sd_models.model_path)
    weights, made = load_file(folder / f"{B}.safetensors"), folder / "bare.safetensors"
    save_file({name: one for name, one in weights.items() if not name.startswith("first_stage_model.")}, made)
    host.sd_models.list_models()
    yield "bare"
    made.unlink()
    kept.vae_given.pop(str(made), None)
    host.sd_models.list_models()


def test_a_vae_that_the_settings_give_is_lent_when_nobody_else_can(host, bare, monkeypatch):
    """Loading an own VAE keeps the checkpoint's below it, which comes back: not one of zeros."""
    from safetensors.torch import load_file

    from lib_multipass.webui.a1111 import lending

    monkeypatch.setattr(lending, "lenders", lambda _borrower: iter(()))
    given = load_file(host.sd_vae.vae_dict[OTHER])
    host.run(host.job({"checkpoint": bare, "vae": OTHER}))
    model = host.shared.sd_model
    assert model.sd_checkpoint_info.name == f"{bare}.safetensors"
    assert all(torch.equal(model.base_vae[name], one) for name, one in given.items())
