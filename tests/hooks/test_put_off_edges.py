"""What kept passes, swaps that are put off and first passes ahead have to know at their edges."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch

from support.jobs import B
from support.tight import job


def seeded(host: Any, seed: Any = 5, **fields: Any) -> tuple[list[bytes], list[str]]:
    p = job(host, **fields)
    p.seed = seed
    done = host.run(p)
    return [picture.tobytes() for picture in done.images], done.infotexts


def plain(host: Any, monkeypatch: Any, do: Any) -> Any:
    with monkeypatch.context() as patch:
        patch.setitem(host.shared.opts.data, "multipass_stages", 0)
        return do()


def always_on(host: Any, monkeypatch: Any, title: Any = "Wild", **hooks: Any) -> None:
    script = type("Wild", (host.scripts.Script,), {"title": lambda self: title, **hooks})()
    script.alwayson, script.args_from, script.args_to, script.filename, script.name = True, 0, 0, "wild.py", "wild"
    runner = host.scripts.scripts_txt2img
    monkeypatch.setattr(runner, "alwayson_scripts", [*runner.alwayson_scripts, script])


def active(host: Any) -> str:
    return host.shared.sd_model.sd_checkpoint_info.name_for_extra


def test_fields_that_a_batch_before_had_set_already(host, tight, monkeypatch):
    """1.6.0 to 1.10.1: setup_conds sets p.firstpass_steps, calculate_hr_conds reads it."""
    base, kind = host.processing.StableDiffusionProcessing, host.processing.StableDiffusionProcessingTxt2Img
    encode, hires = base.setup_conds, kind.calculate_hr_conds

    def setup_conds(self):
        self.firstpass_steps = self.steps
        return encode(self)

    def calculate_hr_conds(self):
        assert self.firstpass_steps == 2
        return hires(self)

    monkeypatch.setattr(base, "setup_conds", setup_conds)
    monkeypatch.setattr(kind, "calculate_hr_conds", calculate_hr_conds)
    expected = seeded(host, 6)
    seeded(host, 5, n_iter=2)
    assert seeded(host, 6) == expected


def test_a_setting_that_adds_a_network_to_the_prompts(host, tight, monkeypatch):
    """ "Add network to prompt" (sd_lora): each activation without the tag writes it into all_prompts."""

    activate = host.extra_networks.activate

    def adding(p, data):
        if "<lora:x:1>" not in p.all_prompts[p.iteration] or not data:
            p.all_prompts = [text + "<lora:x:1>" for text in p.all_prompts]
        return activate(p, data)

    monkeypatch.setitem(host.shared.opts.data, "sd_lora", "x")
    monkeypatch.setattr(host.extra_networks, "activate", adding)
    monkeypatch.setattr(
        host.extra_networks,
        "parse_prompts",
        lambda prompts: (
            [text.replace("<lora:x:1>", "") for text in prompts],
            {"lora": []} if "<lora" in prompts[0] else {},
        ),
    )
    expected = plain(host, monkeypatch, lambda: seeded(host, n_iter=2))
    assert seeded(host, n_iter=2)[1] == expected[1]


def test_fewer_prompts_than_batches(host, tight, monkeypatch):
    """The webui ends the loop there; extra_network_data is None without prompts (1.6.0 to 1.10.1)."""
    parse = host.extra_networks.parse_prompts
    monkeypatch.setattr(host.extra_networks, "parse_prompts", lambda prompts: parse(prompts) if prompts else ([], None))
    activate = host.extra_networks.activate

    def activating(p, data):
        list(data.items())
        return activate(p, data)

    monkeypatch.setattr(host.extra_networks, "activate", activating)
    process = host.processing._process_batch

    def process_batch(p, *rest):  # as the webui: it breaks
        if p.all_prompts[p.iteration * p.batch_size :]:
            process(p, *rest)

    monkeypatch.setattr(host.processing, "_process_batch", process_batch)
    expected = plain(host, monkeypatch, lambda: seeded(host, prompt=["a cat", "a dog"], n_iter=3))
    assert len(expected[0]) == 2
    assert seeded(host, prompt=["a cat", "a dog"], n_iter=3) == expected


def test_notes_that_encoding_writes_again(host, tight, monkeypatch):
    """TI hashes: the first pass writes its own, the hires pass of the batch before others in between."""
    kind = host.processing.StableDiffusionProcessingTxt2Img
    base, hires = host.processing.StableDiffusionProcessing, kind.calculate_hr_conds
    encode = base.setup_conds

    def first(self):
        host.sd_hijack.model_hijack.extra_generation_params["TI hashes"] = "first"
        return encode(self)

    def second(self):
        host.sd_hijack.model_hijack.extra_generation_params["TI hashes"] = "second"
        return hires(self)

    monkeypatch.setattr(base, "setup_conds", first)
    monkeypatch.setattr(kind, "calculate_hr_conds", second)
    job = {"prompt": ["a cat", "a dog", "a fox"], "n_iter": 3}
    expected = plain(host, monkeypatch, lambda: seeded(host, **job))
    assert ["TI hashes: first" in text for text in expected[1]] == [True] * 3
    assert seeded(host, **job)[1] == expected[1]


def test_what_encoding_writes_into_the_job_itself(host, tight, monkeypatch):
    """ "Old prompt editing timelines" (use_old_scheduling), in get_conds_with_caching."""
    base = host.processing.StableDiffusionProcessing
    encode = base.setup_conds

    def first(self):
        self.extra_generation_params["Old prompt editing timelines"] = True
        return encode(self)

    monkeypatch.setattr(base, "setup_conds", first)
    expected = seeded(host)
    assert "Old prompt" in expected[1][0]
    assert seeded(host) == expected


@pytest.mark.parametrize("hook", ["process", "before_process_batch", "process_batch"])
def test_a_script_that_asks_for_the_active_checkpoint(host, tight, monkeypatch, hook):
    """As model-keyword does: it adds a checkpoint's words to the prompts."""

    def work(self, p, *args, **kwargs):
        if hook == "process_batch":
            p.prompts = [f"{text} {active(host)}" for text in p.prompts]
        else:
            p.all_prompts = [f"{text} {active(host)}" for text in p.all_prompts]
            p.prompts = list(p.all_prompts)

    always_on(host, monkeypatch, **{hook: work})
    expected = plain(host, monkeypatch, lambda: seeded(host))
    assert seeded(host) == expected
    assert seeded(host) == expected


@contextmanager
def replaced(file: Path, beginning: str = "") -> Iterator[None]:
    """While it lasts, the file has other weights, and is younger; of those alone whose names begin so."""
    content, state = file.read_bytes(), file.stat()
    weights = {
        key: value * 1.5 if value.is_floating_point() and key.startswith(beginning) else value
        for key, value in safetensors.torch.load(content).items()
    }
    try:
        file.write_bytes(safetensors.torch.save(weights))
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
        yield
    finally:
        file.write_bytes(content)
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_the_second_file_was_replaced(host, tight, monkeypatch):
    seeded(host)
    with replaced(Path(host.sd_models.get_closet_checkpoint_match(B).filename)):
        kept = seeded(host)
        expected = plain(host, monkeypatch, lambda: seeded(host))
        assert kept[0] == expected[0]


def test_the_first_file_got_another_vae(host, tight, monkeypatch):
    seeded(host)
    try:
        with replaced(Path(host.sd_models.get_closet_checkpoint_match("alpha").filename), "first_stage_model"):
            host.run(host.job())  # A is loaded
            seeded(host, 77)  # and B
            kept = seeded(host)
            expected = plain(host, monkeypatch, lambda: seeded(host))
            assert kept[0] == expected[0]
    finally:
        host.run(host.job(prompt="x"))


def test_stop_after_this_picture(host, tight, monkeypatch):
    """No first pass is made any more that no second one will follow."""
    kind, made_first = host.sd_samplers._Sampler, []
    sample, second = kind.sample, kind.sample_img2img

    def first(self, p, *args, **kwargs):
        made_first.append(p.seeds[0])
        host.shared.state.stopping_generation = True
        return sample(self, p, *args, **kwargs)

    def hires(self, p, *args, **kwargs):
        made_first.append("second")
        return second(self, p, *args, **kwargs)

    monkeypatch.setattr(kind, "sample", first)
    monkeypatch.setattr(kind, "sample_img2img", hires)
    try:
        seeded(host, n_iter=4)
    finally:
        host.shared.state.stopping_generation = False
    assert made_first[:2] == [5, "second"]


def test_scripts_without_a_title(host, tight, monkeypatch):
    """The webui names such a script by its file."""

    def title(self):
        raise NotImplementedError

    script = type("Wild", (host.scripts.Script,), {"title": title, "process_batch": lambda *a, **k: None})()
    script.alwayson, script.args_from, script.args_to, script.filename, script.name = True, 0, 0, "wild.py", "wild"
    runner = host.scripts.scripts_txt2img
    monkeypatch.setattr(runner, "alwayson_scripts", [*runner.alwayson_scripts, script])
    seeded(host, n_iter=2)


def test_a_script_that_asks_for_the_selected_checkpoint_before_the_texts(host, tight, monkeypatch):
    """As one does that paints a picture of its own in process."""
    seen = []

    def process(self, p, *args):
        host.sd_models.reload_model_weights()
        seen.append(active(host))

    always_on(host, monkeypatch, process=process)
    seeded(host)
    seeded(host)
    assert seen == ["alpha", "alpha"]


def test_a_script_in_the_webuis_folder_for_scripts_may_be_anybodys(host, tight):
    """People put single files there; of the webui's own none works in every job (1.6.0 to 1.10.1)."""
    from lib_multipass.webui.a1111 import beginnings

    script = type("Wild", (host.scripts.Script,), {"process_batch": lambda *args, **kwargs: None})()
    script.name, script.filename = "wild", str(Path(host.paths.script_path) / "scripts" / "wild.py")
    p = SimpleNamespace(script_args=(), scripts=SimpleNamespace(alwayson_scripts=[script]))
    assert beginnings.early_scripts(p) == ["wild"]


@pytest.mark.parametrize("text", [r"a cat, bad_hands \(1\)", "a cat, Bad _ Hands\n(1)"])
def test_an_embedding_that_a_text_spells_in_another_way(host, tight, monkeypatch, text):
    """The webui goes by tokens: brackets are escaped in a prompt, blanks and capital letters do not count."""
    from lib_multipass.webui.a1111 import embeddings

    known = {name: SimpleNamespace(vec=[1.0]) for name in ("bad_hands (1)", "bad_feet")}
    monkeypatch.setattr(host.sd_hijack.model_hijack.embedding_db, "word_embeddings", known)
    assert embeddings.named_in([text, ""]) == [("bad_hands (1)", [1.0])]


def test_conditionings_for_scripts(host, tight, monkeypatch):
    seen = []

    def before(self, p, *args, **kwargs):
        seen.append((kwargs["c"] is None, active(host)))

    always_on(host, monkeypatch, process_before_every_sampling=before)
    seeded(host)
    first = list(seen)
    seen.clear()
    seeded(host)
    assert seen == first


def test_settings_after_the_job(host, tight, monkeypatch):
    def after():
        return {key: host.shared.opts.data.get(key) for key in ("sd_model_checkpoint", "sd_checkpoint_hash")}

    plain(host, monkeypatch, lambda: seeded(host))
    expected = after()
    seeded(host)
    seeded(host)
    assert after() == expected


def test_after_networks_were_activated(host, tight, monkeypatch):
    """A hook that adds to the batch's prompts is called twice in a batch whose swap is made up for."""

    def work(self, p, *args, **kwargs):
        if not p.is_hr_pass:
            p.prompts = [f"{text}, shiny" for text in p.prompts]

    always_on(host, monkeypatch, after_extra_networks_activate=work)
    expected = plain(host, monkeypatch, lambda: seeded(host))
    seeded(host)
    monkeypatch.setitem(host.shared.opts.data, "CLIP_stop_at_last_layers", 2)
    kept = seeded(host)
    expected = plain(host, monkeypatch, lambda: seeded(host))
    assert kept[0] == expected[0]


def test_digests_of_a_model_with_networks_on_a_card():
    """The webui keeps a layer's own weights in RAM; whether they are there shall not tell models apart."""
    import torch

    from lib_multipass.webui.a1111 import digests

    class Elsewhere(torch.Tensor):
        device = torch.device("cuda", 0)

    model = torch.nn.Sequential(torch.nn.Embedding(4, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    before = digests.weights(model)
    for layer in model[1:]:  # the webui's LoRA code wraps no embedding
        layer.network_weights_backup = layer.weight.detach().clone().as_subclass(Elsewhere)
        layer.network_bias_backup = layer.bias.detach().clone().as_subclass(Elsewhere)
    assert digests.weights(model) == before


def test_a_third_model_that_is_active_meanwhile(host, tight, monkeypatch):
    """What the webui sets on the active model at a job's beginning is left on it."""
    other = {"override_settings": {"sd_model_checkpoint": "gamma"}, "enable_hr": False}
    monkeypatch.setitem(host.shared.opts.data, "multipass_ram_reserve", 0)
    monkeypatch.setitem(host.shared.opts.data, "multipass_order", "Pass by pass")
    monkeypatch.setitem(host.shared.opts.data, "sd_checkpoints_limit", 4)

    def padding() -> set[str]:
        import torch

        host.run(host.job(**{**other, "override_settings": dict(other["override_settings"])}))
        assert active(host) == "gamma"
        return {layer.padding_mode for layer in host.shared.sd_model.modules() if type(layer) is torch.nn.Conv2d}

    assert padding() == {"zeros"}
    seeded(host, tiling=True, n_iter=2)
    assert padding() == {"zeros"}
    before = list(host.loaded)
    seeded(host, tiling=True, n_iter=2)
    assert padding() == {"zeros"}, (before, host.loaded)


def test_the_file_of_a_network_that_no_prompt_names(host, tight, monkeypatch):
    """ "Add network to prompt" (sd_lora): the first batch's tags lack it, and it is in force."""
    import sys

    network = SimpleNamespace(name="x", te_multiplier=1.0, unet_multiplier=1.0, dyn_dim=None, mtime=1.0)
    monkeypatch.setitem(host.shared.opts.data, "sd_lora", "x")
    monkeypatch.setitem(sys.modules, "networks", SimpleNamespace(loaded_networks=[network]))
    sample, sampled = host.sd_samplers._Sampler.sample, []

    def noted(self, *args, **kwargs):
        sampled.append(network.mtime)
        return sample(self, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", noted)
    seeded(host)
    network.mtime = 2.0  # as after the file was replaced: the webui has read it again
    seeded(host)
    assert sampled == [1.0, 2.0]


def test_the_second_model_was_changed_in_memory(host, tight, monkeypatch):
    """As a merge in memory; the webui reads its file again when the job swaps."""
    expected = plain(host, monkeypatch, lambda: seeded(host))
    seeded(host)
    weight = next(weight for weight in host.shared.sd_model.model.parameters() if weight.numel() > 1)
    weight.data.mul_(1.5)
    assert active(host) == "beta"
    assert seeded(host)[0] == expected[0]
    host.run(host.job())
    host.run(host.job({"enabled": True, "checkpoint": B}))


def test_the_user_notes_for_the_first_checkpoint_that_it_keeps_its_own_vae(host, tight, monkeypatch):
    """In its card: VAE "None", which wins over the setting. ``automatic`` is None with and without that note."""
    vae, noted = host.sd_vae, []
    resolve = vae.resolve_vae
    own = vae.VaeResolution(None, "from user metadata", True)

    def by_note(file):
        return own if noted and "alpha" in file else None

    with monkeypatch.context() as patch:
        patch.setitem(host.shared.opts.data, "sd_vae", "other.safetensors")
        patch.setattr(vae, "resolve_vae", lambda file: by_note(file) or resolve(file))
        patch.setattr(
            vae, "resolve_vae_from_user_metadata", lambda file: by_note(file) or vae.VaeResolution(resolved=False)
        )
        first = seeded(host)
        noted.append(True)
        kept = seeded(host)
        expected = plain(host, monkeypatch, lambda: seeded(host))
    host.run(host.job())
    assert first[0] != expected[0]
    assert kept == expected


def test_the_user_notes_another_vae_for_the_second_checkpoint(host, tight, monkeypatch):
    """In its card, or by a file beside it: a swap to it puts that on. It is active all the time."""
    vae, noted = host.sd_vae, []
    resolve, other = vae.resolve_vae, vae.vae_dict["other.safetensors"]

    def resolved(file):
        return vae.VaeResolution(other, "from user metadata") if noted and "beta" in file else resolve(file)

    with monkeypatch.context() as patch:
        patch.setattr(vae, "resolve_vae", resolved)
        first = seeded(host)
        noted.append(True)
        kept = seeded(host)
        expected = plain(host, monkeypatch, lambda: seeded(host))
    assert first[0] != expected[0]
    assert kept == expected


@pytest.mark.parametrize("order", ["Picture by picture", "Pass by pass"])
def test_tokens_are_merged_in_every_first_pass(host, tight, monkeypatch, order):
    """The webui merges them in the model that a job begins with. One that is read again later is a new model."""
    sample, merged = host.sd_samplers._Sampler.sample, []

    def noted(self, *args, **kwargs):
        merged.append(getattr(self.model, "applied_token_merged_ratio", 0))
        return sample(self, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", noted)
    monkeypatch.setitem(host.shared.opts.data, "multipass_order", order)
    monkeypatch.setitem(host.shared.opts.data, "token_merging_ratio", 0.5)
    seeded(host, second="gamma", n_iter=3)
    assert merged == [0.5] * 3


def test_models_of_reforge_are_not_noted(host, tight, monkeypatch):
    """They are made of other parts."""
    from lib_multipass.webui.a1111 import beginnings, forge_models

    model, seen = host.shared.sd_model, dict(tight.as_loaded)
    monkeypatch.setattr(tight, "just_read", model.sd_checkpoint_info.filename)
    monkeypatch.setattr(forge_models, "is_one", lambda model: True)
    monkeypatch.setattr(beginnings, "_digest", lambda model: "another")
    beginnings.note_model(model)
    assert tight.as_loaded == seen


@pytest.mark.parametrize("place", ["RAM", "VRAM"])
def test_a_model_that_was_unloaded(host, tight, monkeypatch, place):
    """The API's unload-checkpoint moves the active model to RAM and says so to nobody."""
    from lib_multipass.plan.alike import UnlikeError
    from lib_multipass.webui.a1111 import beginnings, hardware

    monkeypatch.setattr(hardware, "vram_to_plan", lambda: (1, 1))
    monkeypatch.setattr(hardware, "place_of", lambda model: place)
    p, base = job(host), host.sd_models.get_closet_checkpoint_match("alpha")
    if place == "RAM":
        with pytest.raises(UnlikeError, match="was unloaded"):
            beginnings.asked_from(p, base)
    else:
        assert beginnings.asked_from(p, base)["base"] == base.filename


def test_what_loras_have_kept_of_another_checkpoint_is_no_weight_of_a_files(host, tight):
    """The webui's LoRA code leaves copies of biases on layers that another checkpoint is read into (1.6.0)."""
    import torch

    layer = next(layer for layer in host.shared.sd_model.modules() if getattr(layer, "bias", None) is not None)
    layer.network_bias_backup = torch.ones_like(layer.bias)
    alpha, noted = host.sd_models.get_closet_checkpoint_match("alpha").filename, []
    for seed in (1, 2):
        seeded(host, seed)
        noted.append(tight.as_loaded[alpha])
    assert noted[0] == noted[1]


def test_conditionings_of_a_job_before_the_last_are_not_taken_again(host, tight, monkeypatch):
    """The webui keeps those of the last job alone. Older ones may be of an embedding that was replaced since."""
    encoder, texts = type(host.shared.sd_model.cond_stage_model), []
    encode = encoder.forward

    def noted(self, prompts, *args):
        texts.extend(prompts)
        return encode(self, prompts, *args)

    def encoded() -> list[str]:
        seeded(host, prompt="a fox")
        seeded(host, prompt="a cat", hr_prompt="-")
        seeded(host, prompt="a fox")
        texts.clear()
        seeded(host, prompt="a cat", hr_prompt="-", cfg_scale=3.0)
        return [text for text in texts if text == "a cat"]

    monkeypatch.setattr(encoder, "forward", noted)
    expected = plain(host, monkeypatch, encoded)
    assert expected == ["a cat"]
    assert encoded() == expected


def test_hypernetworks_count_as_they_are_in_force(host, tight, monkeypatch):
    """The webui reads the file of one that is in force already no more, and leaves them so where tags do not count."""
    import torch

    network = SimpleNamespace(name="mood", layers={320: (torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))})
    sample, sampled = host.sd_samplers._Sampler.sample, []

    def noted(self, *args, **kwargs):
        sampled.append(1)
        return sample(self, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", noted)
    for loaded, count in (([], 1), ([network], 2), ([network], 2), ([], 2)):
        monkeypatch.setattr(host.shared, "loaded_hypernetworks", loaded, raising=False)
        seeded(host)
        assert len(sampled) == count
    monkeypatch.setattr(host.shared, "loaded_hypernetworks", [network])
    network.layers[320][1].multiplier = 0.5
    seeded(host)
    network.layers[320][0].weight.data.add_(1)
    seeded(host)
    assert len(sampled) == 4


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_an_interrupt_while_the_second_checkpoint_is_read_after_a_third(host, tight, monkeypatch, upscaler):
    """The first pass that was found is finished in its own colours, not in those of whoever was active."""
    first = host.run(host.job(enable_hr=False)).images[0].tobytes()
    seeded(host, hr_upscaler=upscaler)
    host.run(host.job(enable_hr=False, override_settings={"sd_model_checkpoint": "gamma"}))
    read = host.sd_models.read_state_dict

    def interrupting(file, *args, **kwargs):
        if "beta" in file:
            host.shared.state.interrupt()
        return read(file, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(host.sd_models, "read_state_dict", interrupting)
        pictures = seeded(host, hr_upscaler=upscaler)[0]
    assert pictures == [first]


def test_a_list_that_was_set_between_the_texts_and_the_sampler_is_kept_as_it_was(host, tight, monkeypatch):
    """Whatever the job, or a later one, appends to it."""
    sampler, kind, found = host.sd_samplers._Sampler, host.processing.StableDiffusionProcessingTxt2Img, []
    first, second = kind._first_pass, sampler.sample_img2img

    def setting(self, *args):
        if host.shared.sd_model.sd_checkpoint_info.name_for_extra == "alpha":
            self.of_another_extension = ["first"]
        return first(self, *args)

    def appending(self, p, *args, **kwargs):
        found.append(list(p.of_another_extension))
        p.of_another_extension.append("second")
        return second(self, p, *args, **kwargs)

    monkeypatch.setattr(kind, "_first_pass", setting)
    monkeypatch.setattr(sampler, "sample_img2img", appending)
    for strength in (0.3, 0.4, 0.5):
        seeded(host, denoising_strength=strength)
    assert found == [["first"]] * 3
