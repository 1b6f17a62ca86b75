"""First passes that are kept, from within one process: what else making them changes, and when none is kept."""

from __future__ import annotations

import math
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from support.jobs import B


@pytest.fixture
def store(host: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The store, empty, and allowed to keep something."""
    from lib_multipass.state import kept

    host.run(job(host))  # the files have hashes from here on, which infotexts name
    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", 512)
    kept.stages.clear()
    yield kept.stages
    kept.stages.clear()


@pytest.fixture
def sampled(host: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The checkpoints that first passes were sampled with."""
    sample, seen = host.sd_samplers._Sampler.sample, []

    def noted(self, *args, **kwargs):
        seen.append(self.model.sd_checkpoint_info.name_for_extra)
        return sample(self, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", noted)
    return seen


def job(host: Any, second: str = B, **fields: Any) -> Any:
    return host.job({"enabled": True, "checkpoint": second}, **{"hr_upscaler": "Lanczos", **fields})


def made(host: Any, **fields: Any) -> tuple[list[bytes], list[str]]:
    done = host.run(job(host, **fields))
    return [picture.tobytes() for picture in done.images], done.infotexts


def test_it_is_sampled_once(host, store, sampled):
    first = made(host)
    assert made(host) == first
    assert sampled == ["alpha"]


@pytest.fixture
def finished(host: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The checkpoints that second passes were sampled with."""
    sample, seen = host.sd_samplers._Sampler.sample_img2img, []

    def noted(self, *args, **kwargs):
        seen.append(self.model.sd_checkpoint_info.name_for_extra)
        return sample(self, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample_img2img", noted)
    return seen


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_nor_is_the_second_pass_sampled_or_decoded_again(host, store, finished, monkeypatch, upscaler):
    kind, decoded = type(host.shared.sd_model), []
    decode, first = kind.decode_first_stage, made(host, hr_upscaler=upscaler)
    monkeypatch.setattr(kind, "decode_first_stage", lambda *args: decoded.append(1) or decode(*args))
    assert made(host, hr_upscaler=upscaler) == first
    assert (finished, decoded) == (["beta"], [])


@pytest.mark.parametrize(
    "change",
    [
        *({"denoising_strength": 0.4}, {"hr_prompt": "a lion"}, {"hr_second_pass_steps": 2}, {"cfg_scale": 3.0}),
        *({"second": "gamma"}, {"hr_sampler_name": "Euler a"}, {"hr_scale": 1.5}, {"prompt": "a dog"}),
    ],
    ids=str,
)
def test_what_reaches_the_second_pass_makes_it_anew(host, store, finished, change):
    made(host)
    pictures = made(host, **change)[0]
    assert len(finished) == 2
    store.clear()
    assert made(host, **change)[0] == pictures


def test_what_the_second_pass_leaves_behind_is_left_again(host, store, finished, monkeypatch):
    """Its keys of the infotext, and the random generators, which faces go on with."""
    import torch

    sample, to_picture, drawn = host.sd_samplers._Sampler.sample_img2img, host.processing._to_picture, []

    def writing(self, p, *args, **kwargs):
        p.extra_generation_params["Extra noise"] = 0.1
        torch.randn(3)
        return sample(self, p, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample_img2img", writing)
    monkeypatch.setattr(
        host.processing, "_to_picture", lambda *args: drawn.append(torch.randn(1).item()) or to_picture(*args)
    )
    texts = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        drawn.clear()
        texts.append((made(host)[1], drawn[-1]))
    assert len(finished) == 1
    assert texts[0] == texts[1]
    assert "Extra noise: 0.1" in texts[1][0][0]


def test_a_refiner_in_the_second_pass(host, store, sampled, finished, monkeypatch):
    """The first pass is kept all the same."""
    monkeypatch.setitem(host.shared.opts.data, "hires_fix_refiner_pass", "second pass")
    for _ in range(2):
        made(host, refiner_checkpoint="gamma")
    assert (len(sampled), len(finished)) == (1, 2)
    said = plan_of(job(host, refiner_checkpoint="gamma")).forecast.not_kept
    assert said == "The second pass is not kept for later jobs: a refiner works in it."


def test_what_it_wrote_is_written_again(host, store, sampled, monkeypatch):
    """Into the infotext in order, into the job's comments, and into the job."""
    sample = host.sd_samplers._Sampler.sample

    def writing(self, p, *args, **kwargs):
        p.extra_generation_params.update({"Schedule type": "Automatic", "Eta": 0.5})
        p.comment("as sampled")
        p.s_noise = 1.003
        return sample(self, p, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", writing)
    jobs = [job(host) for _ in range(2)]
    texts = [host.run(p).infotexts for p in jobs]
    assert len(sampled) == 1
    assert texts[0] == texts[1]
    assert "Schedule type: Automatic, Eta: 0.5" in texts[1][0]
    assert "as sampled" in jobs[1].comments
    assert jobs[1].s_noise == 1.003
    assert [*jobs[0].extra_generation_params] == [*jobs[1].extra_generation_params]


def test_random_generators_are_as_it_left_them(host, store, sampled, monkeypatch):
    """The VAE draws from torch's own when it encodes the enlarged picture."""
    import torch

    sample, encode = host.sd_samplers._Sampler.sample, host.sd_samplers._images_to_latents
    drawn: list[float] = []

    def drawing(*args, **kwargs):
        torch.randn(3)
        return sample(*args, **kwargs)

    def encoding(*args):
        drawn.append(torch.randn(1).item())
        return encode(*args)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", drawing)
    monkeypatch.setattr(host.sd_samplers, "_images_to_latents", encoding)
    made(host)
    torch.manual_seed(1)
    made(host)
    assert len(sampled) == 1
    assert drawn[0] == drawn[1]


def test_a_model_that_was_merged_in_memory_makes_it_anew(host, store, sampled):
    """Its file, and the name that it goes by, are as before."""
    first = made(host)
    host.run(host.job())
    sampled.clear()
    weight = next(weight for weight in host.shared.sd_model.model.parameters() if weight.numel() > 1)
    weight.data.mul_(1.01)
    try:
        assert made(host) != first
    finally:
        weight.data.div_(1.01)
    assert sampled == ["alpha"]


def test_another_file_of_a_network_makes_it_anew(host, store, sampled, monkeypatch, tmp_path):
    file = tmp_path / "mood.safetensors"
    file.write_bytes(b"1")
    networks = SimpleNamespace(available_networks={"mood": SimpleNamespace(filename=str(file))})
    monkeypatch.setitem(sys.modules, "networks", networks)
    p = job(host)
    p.extra_network_data = {"lora": [SimpleNamespace(items=["mood", "1"], positional=["mood", "1"], named={})]}
    told = host_stages().sampled_from(with_batch(p), in_hires=False)
    assert host_stages().sampled_from(p, in_hires=False)["networks"] == told["networks"]
    os.utime(file, ns=(0, 0))
    assert host_stages().sampled_from(p, in_hires=False)["networks"] != told["networks"]


def test_a_network_of_an_unknown_kind_cannot_be_told(host, store):
    from lib_multipass.plan.alike import UnlikeError

    p = with_batch(job(host))
    p.extra_network_data = {"style": [SimpleNamespace(items=["mood"], positional=["mood"], named={})]}
    with pytest.raises(UnlikeError, match="style:mood"):
        host_stages().sampled_from(p, in_hires=False)


def host_stages() -> Any:
    from lib_multipass.webui.base import host as door

    return door.stages


def with_batch(p: Any) -> Any:
    p.rng = SimpleNamespace()
    p.prompts, p.negative_prompts, p.seeds, p.subseeds = ["a cat"], [""], [5], [5]
    return p


def test_not_a_number_is_not_kept(host, store, sampled, monkeypatch):
    sample = host.sd_samplers._Sampler.sample
    with monkeypatch.context() as patch:
        patch.setattr(host.sd_samplers._Sampler, "sample", lambda *args, **kwargs: sample(*args, **kwargs) * math.nan)
        made(host)
    made(host)
    assert len(sampled) == 2


@pytest.mark.parametrize("how", ["interrupt", "skip"])
def test_what_was_ended_is_not_kept(host, store, sampled, monkeypatch, how):
    sample = host.sd_samplers._Sampler.sample

    def ended(*args, **kwargs):
        getattr(host.shared.state, how)()
        return sample(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(host.sd_samplers._Sampler, "sample", ended)
        made(host)
    assert len(store) == 0
    good = made(host)
    assert made(host) == good


def test_a_failure_keeps_nothing(host, store, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(host.sd_samplers._Sampler, "sample", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            made(host)
    assert len(store) == 0


@pytest.mark.parametrize("attribute", [lambda: 1, object()], ids=["a function", "an object"])
def test_a_job_with_something_on_it_that_cannot_be_compared(host, store, sampled, attribute):
    """Other extensions put what they like on a job."""
    for _ in range(2):
        p = job(host)
        p.of_another_extension = attribute
        host.run(p)
    assert sampled == ["alpha"] * 2


def test_a_job_is_made_when_it_cannot_be_told_what_it_is_made_from(host, store, sampled, monkeypatch, caplog):
    from lib_multipass.webui.a1111 import stages

    good = made(host)

    def fail(*_args):
        raise OSError("no such drive")

    monkeypatch.setattr(stages, "options_in_force", fail)
    assert made(host) == good
    assert sampled == ["alpha"] * 2
    assert "the first pass is not kept" in caplog.text


def test_a_sampler_that_another_extension_has_put_in_is_asked(host, store, monkeypatch):
    """It wraps the webui's function as ours does, over or under it."""
    make, seen = host.sd_samplers.create_sampler, []

    def create_sampler(*args, **kwargs):
        sampler = make(*args, **kwargs)
        seen.append(sampler)
        return sampler

    monkeypatch.setattr(host.sd_samplers, "create_sampler", create_sampler)
    first = made(host)
    assert made(host) == first
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("settings", "fields", "words"),
    [
        ({"hypertile_enable_unet": True}, {}, "Hypertile draws random numbers"),
        ({"hires_fix_refiner_pass": "both passes"}, {"refiner_checkpoint": "gamma"}, "a refiner works in it"),
    ],
)
def test_why_none_is_kept(host, store, sampled, monkeypatch, settings, fields, words):
    for name, value in settings.items():
        monkeypatch.setitem(host.shared.opts.data, name, value)
    for _ in range(2):
        made(host, **fields)
    assert len(store) == 0
    assert words in plan_of(job(host, **fields)).forecast.not_kept


def plan_of(p: Any) -> Any:
    from lib_multipass.job import hooks
    from lib_multipass.state import running

    p.scripts.before_process(p)
    plan = running.job.plan
    hooks.end_running()
    return plan


@pytest.mark.parametrize("file", ["/extensions/mystery/scripts/of_it.py", "/extensions/mystery/of_it.py"])
def test_an_extension_that_is_called_at_each_step(host, store, sampled, monkeypatch, file):
    """It may count the steps of both passes in one, whatever its arguments are."""
    steps: list[float] = []
    callback = SimpleNamespace(script=file, callback=lambda params: steps.append(params.sigma))
    callbacks = {**host.script_callbacks.callback_map, "callbacks_cfg_denoiser": [callback]}
    monkeypatch.setattr(host.script_callbacks, "callback_map", callbacks)
    assert "later jobs: mystery may work in it" in plan_of(job(host)).forecast.not_kept
    for _ in range(2):
        made(host)
    assert sampled == ["alpha"] * 2


def test_all_that_is_kept_stays_within_the_allowance(host, store, monkeypatch):
    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", 0.2)
    for seed in range(60):
        p = job(host)
        p.seed = seed
        host.run(p)
        assert 0 < store.bytes <= 200_000


def test_a_lower_setting_lets_go_with_the_next_job(host, store, monkeypatch):
    made(host)
    assert store.bytes > 0
    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", 0)
    made(host)
    assert (store.bytes, len(store)) == (0, 0)


def test_what_a_batch_wrote_that_was_there_already_is_written_again(host, store, sampled, monkeypatch):
    """Every batch of a job writes the same; one is made alone later, by its seed."""
    sample = host.sd_samplers._Sampler.sample

    def writing(self, p, *args, **kwargs):
        p.extra_generation_params["Eta"] = 0.5
        p.comment("as sampled")
        return sample(self, p, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", writing)
    made(host, n_iter=3)
    sampled.clear()
    p = job(host)
    p.seed = 7
    text = host.run(p).infotexts[0]
    assert sampled == []
    assert "Eta: 0.5" in text
    assert "as sampled" in p.comments


def test_a_list_that_sampling_leaves_on_the_job_is_kept_as_it_was(host, store, sampled, monkeypatch):
    """Whatever the job, or a later one, appends to it."""
    sample, second = host.sd_samplers._Sampler.sample, host.sd_samplers._Sampler.sample_img2img

    def leaving(self, p, *args, **kwargs):
        p.of_another_extension = ["first"]
        return sample(self, p, *args, **kwargs)

    def appending(self, p, *args, **kwargs):
        found.append(list(p.of_another_extension))
        p.of_another_extension.append("second")
        return second(self, p, *args, **kwargs)

    found: list[list[str]] = []
    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", leaving)
    monkeypatch.setattr(host.sd_samplers._Sampler, "sample_img2img", appending)
    for strength in (0.3, 0.4, 0.5):
        made(host, denoising_strength=strength)
    assert len(sampled) == 1
    assert found == [["first"]] * 3


def test_what_sampling_leaves_on_the_job_has_to_be_plain(host, store, sampled, monkeypatch):
    sample = host.sd_samplers._Sampler.sample

    def leaving(self, p, *args, **kwargs):
        p.of_another_extension = object()
        return sample(self, p, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", leaving)
    for _ in range(2):
        made(host)
    assert sampled == ["alpha"] * 2


def test_the_infotext_is_the_jobs_own_again_after_sampling(host, store, monkeypatch):
    """Also when sampling fails, or replaces it."""
    sample, p = host.sd_samplers._Sampler.sample, job(host)
    params, comments = p.extra_generation_params, p.comments
    host.run(p)
    assert type(p.extra_generation_params) is type(p.comments) is dict
    assert p.comments is comments
    assert params.keys() <= p.extra_generation_params.keys()

    def replacing(self, p, *args, **kwargs):
        p.extra_generation_params = {**p.extra_generation_params, "Eta": 1}
        return sample(self, p, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", replacing)
    store.clear()
    assert "Eta: 1" in made(host)[1][0]
    assert "Eta: 1" in made(host)[1][0]


def test_networks_that_act_although_none_is_named_count(host, store, sampled, monkeypatch):
    """With *disable_extra_networks* the webui leaves those of the last job in force."""
    network = SimpleNamespace(name="mood", te_multiplier=1.0, unet_multiplier=1.0, dyn_dim=None, mtime=1.0)
    for loaded in ([], [network], []):
        monkeypatch.setitem(sys.modules, "networks", SimpleNamespace(loaded_networks=loaded))
        made(host, disable_extra_networks=True)
    assert sampled == ["alpha"] * 2


def test_with_the_webuis_own_random_source(host, store, sampled, monkeypatch):
    """It seeds its own generator alone; torch's are as the last job has left them."""
    import torch

    class Generator:
        def __init__(self, seed):
            self.seed, self.offset = seed, 0

    monkeypatch.setitem(host.shared.opts.data, "randn_source", "NV")
    monkeypatch.setattr(host.rng, "rng_philox", SimpleNamespace(Generator=Generator))
    sample, following = host.sd_samplers._Sampler.sample, host.rng.ImageRNG.next

    def seeding(self):
        host.rng.nv_rng = Generator(self.generators[0].initial_seed())
        noise = following(self)
        torch.randn(len(sampled) + 1)  # whatever the last job has drawn
        return noise

    def drawing(*args, **kwargs):
        host.rng.nv_rng.offset += 3
        return sample(*args, **kwargs)

    monkeypatch.setattr(host.rng, "nv_rng", None)
    monkeypatch.setattr(host.rng.ImageRNG, "next", seeding)
    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", drawing)
    encode, offsets = host.sd_samplers._images_to_latents, []
    monkeypatch.setattr(
        host.sd_samplers, "_images_to_latents", lambda *args: offsets.append(host.rng.nv_rng.offset) or encode(*args)
    )
    for _ in range(2):
        made(host)
    assert offsets == [3, 3]
    assert sampled == ["alpha"]


def test_a_reload_of_the_page_lets_go_of_it(host, store):
    made(host)
    assert len(store) > 0
    host.reload_ui()
    assert len(store) == 0


def test_cells_of_a_plot_share_their_first_pass(host, store, sampled):
    """A script renders copies of one job, and changes what acts later."""
    import copy

    whole = job(host)
    for strength in (0.3, 0.5, 0.7):
        cell = copy.copy(whole)
        cell.denoising_strength = strength
        cell.extra_generation_params, cell.override_settings = {}, {}
        host.run(cell)
    assert sampled == ["alpha"]


def axis(apply: Any) -> Any:
    return SimpleNamespace(label="an axis", apply=apply)


@pytest.mark.parametrize("file", ["xyz_grid.py", "!adetailer.py"])
def test_axes_that_change_the_job_are_known(host, store, file):
    plot = SimpleNamespace(current_axis_options=[axis(of_file(file)), axis(of_file("lib_multipass/plot.py"))])
    assert stages_module()._require_known_axes(plot, (0, "", [], 1, "", [], 0, "", [])) is None


def test_another_extensions_axis_may_change_anything(host, store):
    from lib_multipass.plan.alike import UnlikeError

    plot = SimpleNamespace(current_axis_options=[axis(of_file("xyz_grid.py")), axis(of_file("freeu.py"))])
    with pytest.raises(UnlikeError, match="an axis"):
        stages_module()._require_known_axes(plot, (0, "", [], 1, "", [], 0, "", []))


def of_file(name: str) -> Any:
    return eval(compile("lambda p, value, values: None", name, "eval"))


def stages_module() -> Any:
    from lib_multipass.webui.a1111 import stages

    return stages


def test_a_model_that_does_not_tile_although_the_job_asks_for_it(host, store, monkeypatch):
    """``apply_circular`` reaches the layers of the model that was loaded last, whichever is active."""
    sample, modes = host.sd_samplers._Sampler.sample, []

    def noted(self, *args, **kwargs):
        modes.append(self.model.model.diffusion_model.smooth.padding_mode)
        return sample(self, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", noted)
    monkeypatch.setitem(host.shared.opts.data, "sd_checkpoints_limit", 3)
    host.run(host.job())  # on alpha, without Multipass
    for name in ("gamma", "alpha"):
        host.run(host.job(override_settings={"sd_model_checkpoint": name}, enable_hr=False))
    modes.clear()
    for _ in range(3):
        made(host, tiling=True)
    assert modes == ["zeros", "circular"]


def test_what_the_sampler_says_of_itself_is_said_again(host, store, sampled, monkeypatch):
    """The webui names ENSD by ``p.sampler.eta``, which a sampler sets when it begins (1.6.0 to 1.10.1)."""
    kind, infotext = host.sd_samplers._Sampler, host.processing.create_infotext
    sample = kind.sample

    def beginning(self, *args, **kwargs):
        self.eta = 0
        return sample(self, *args, **kwargs)

    def naming(p, *args, **kwargs):
        none = getattr(p.sampler, "eta", None) == 0
        return infotext(p, *args, **kwargs) + ("" if none else ", ENSD: 31337")

    monkeypatch.setattr(kind, "eta", None, raising=False)
    monkeypatch.setattr(kind, "sample", beginning)
    monkeypatch.setattr(host.processing, "create_infotext", naming)
    texts = []
    for _ in range(2):
        p = host.job({"enabled": True, "checkpoint": B, "show_first_pass": True}, hr_upscaler="Lanczos")
        texts.append(host.run(p).infotexts[-1])
    assert len(sampled) == 1
    assert texts[0] == texts[1]


@pytest.mark.parametrize(("extra", "steps"), [(0.0, 1), (0.1, 2)])
def test_an_extension_that_changes_the_extra_noise(host, store, sampled, finished, monkeypatch, extra, steps):
    """The webui calls it within ``sample_img2img``, where there is such noise; the first pass has none."""
    callback = SimpleNamespace(script="/extensions/grain/scripts/grain.py", callback=lambda params: None)
    callbacks = {**host.script_callbacks.callback_map, "callbacks_extra_noise": [callback]}
    monkeypatch.setattr(host.script_callbacks, "callback_map", callbacks)
    monkeypatch.setitem(host.shared.opts.data, "img2img_extra_noise", extra)
    for _ in range(2):
        made(host)
    assert (len(sampled), len(finished)) == (1, steps)


def test_two_scripts_in_one_file(host, store):
    """Each has arguments of its own."""
    scripts = []
    for number, title in enumerate(("First", "Second"), 1):
        script = type(title, (host.scripts.Script,), {"title": lambda self: type(self).__name__})()
        script.alwayson, script.filename, script.name = True, "/extensions/two/scripts/two.py", title.lower()
        script.args_from, script.args_to = number, number + 1
        scripts.append(script)
    runner = SimpleNamespace(alwayson_scripts=scripts)
    told = [
        stages_module().arguments(SimpleNamespace(script_args=(0, *args), scripts=runner))
        for args in ((1, 1), (2, 1), (1, 2))
    ]
    assert told[0] not in told[1:]


def test_the_webuis_resizing_still_says_what_its_arguments_are(host):
    """hires-fix-tweaks binds them by name where it makes several hires passes a picture."""
    import inspect

    names = [*inspect.signature(host.images.resize_image).parameters]
    assert names[:4] == ["resize_mode", "im", "width", "height"]
