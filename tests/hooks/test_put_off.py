"""A first pass that is kept needs no checkpoint: with room for one, a tuning loop swaps nothing."""

from __future__ import annotations

import os
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.golden_cases import FACE
from support.jobs import B, C
from support.tight import job


def made(host: Any, **fields: Any) -> tuple[list[bytes], list[str]]:
    done = host.run(job(host, **fields))
    return [picture.tobytes() for picture in done.images], done.infotexts


def plainly(host: Any, **fields: Any) -> tuple[list[bytes], list[str]]:
    """The same without keeping."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(host.shared.opts.data, "multipass_stages", 0)
        return made(host, **fields)


class Counted:
    """Jobs with keeping, and how many checkpoints each has loaded."""

    def __init__(self, host: Any, tight: Any) -> None:
        self.host, self.tight = host, tight
        self.loads: list[int] = []

    def made(self, **fields: Any) -> tuple[list[bytes], list[str]]:
        before = self.tight.loads
        result = made(self.host, **fields)
        self.loads.append(self.tight.loads - before)
        return result


@pytest.fixture
def counted(host: Any, tight: Any) -> Counted:
    return Counted(host, tight)


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_tuning_loop_with_room_for_one(host, counted, upscaler, count):
    loop = [{"hr_upscaler": upscaler, "denoising_strength": it, "n_iter": count} for it in (0.3, 0.4, 0.5)]
    expected = [plainly(host, **fields) for fields in loop]
    assert [counted.made(**fields) for fields in loop] == expected
    assert counted.loads == [2, 0, 0]


def test_a_batch_count_picture_by_picture(host, counted, monkeypatch):
    monkeypatch.setitem(host.shared.opts.data, "multipass_order", "Picture by picture")
    expected = plainly(host, n_iter=3)
    assert [counted.made(n_iter=3) for _ in range(2)] == [expected] * 2
    assert counted.loads == [6, 0]


@pytest.mark.parametrize(
    ("fields", "loads"),
    [
        ({"faces": FACE}, [2, 0]),
        ({"tiling": True}, [2, 0]),
        ({"second": C}, [2, 0]),
        ({"faces": FACE, "own": C}, [3, 2]),
    ],
    ids=str,
)
def test_what_else_may_be_in_it(host, counted, fields, loads):
    plainly(host, **fields)  # from here on the files have hashes
    expected = plainly(host, **fields)
    assert [counted.made(**fields) for _ in range(2)] == [expected] * 2
    assert counted.loads == loads


def test_faces_on_the_first_checkpoint_need_it(host, counted):
    expected = plainly(host, faces=FACE, own="alpha")
    assert [counted.made(faces=FACE, own="alpha") for _ in range(2)] == [expected] * 2


def test_where_checkpoints_stay_loaded_nothing_is_put_off(host, tight, monkeypatch):
    monkeypatch.setitem(host.shared.opts.data, "multipass_ram_reserve", 0)
    for _ in range(2):
        made(host)
    targets: list[str] = []
    activated = host.sd_models._activate
    monkeypatch.setattr(
        host.sd_models, "_activate", lambda model: targets.append(model.sd_checkpoint_info.name) or activated(model)
    )
    made(host)
    assert len(targets) == 2


def test_texts_that_a_script_has_changed(host, counted, monkeypatch):
    """The job asks for the same, and is another one by the time that its texts are final."""
    runner = host.scripts.scripts_txt2img
    told = runner.process_batch
    words = chain(["a lion"], repeat("a fox"))

    def changing(p, **kwargs):
        told(p, **kwargs)
        p.prompts = [next(words)]

    counted.made()
    merged = []
    merge = host.sd_models.apply_token_merging
    monkeypatch.setattr(
        host.sd_models,
        "apply_token_merging",
        lambda model, ratio: merged.append((model.sd_checkpoint_info.name_for_extra, ratio)) or merge(model, ratio),
    )
    monkeypatch.setitem(host.shared.opts.data, "token_merging_ratio", 0.5)
    activated, activate = [], host.extra_networks.activate
    monkeypatch.setattr(
        host.extra_networks,
        "activate",
        lambda p, data: activated.append(p.sd_model.sd_checkpoint_info.name_for_extra) or activate(p, data),
    )
    counted.made()  # the setting counts
    monkeypatch.setattr(runner, "process_batch", changing)
    merged.clear()
    activated.clear()
    lion, fox = counted.made(), counted.made()
    assert ("alpha", 0.5) in merged
    assert activated == ["beta", "alpha", "beta"] * 2
    assert counted.loads == [2, 2, 2, 2]
    assert lion[0] != fox[0]
    assert fox == plainly(host)


def test_a_batch_that_is_not_known_after_one_that_is(host, counted):
    expected = plainly(host, n_iter=3)
    counted.made()
    assert counted.made(n_iter=3) == expected
    assert counted.loads == [2, 2]  # B is active: A for the second and third one, B for the second passes


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_an_interrupt_gives_the_first_pass_in_its_own_colours(host, counted, monkeypatch, upscaler):
    expected = [picture.tobytes() for picture in host.run(job(host, enable_hr=False, hr_upscaler=upscaler)).images]
    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", 512)
    first = host.run(host.job(**{"enable_hr": False})).images[0].tobytes()
    counted.made(hr_upscaler=upscaler)
    following = host.rng.ImageRNG.next

    def interrupting(self):
        host.shared.state.interrupt()
        return following(self)

    with monkeypatch.context() as patch:
        patch.setattr(host.rng.ImageRNG, "next", interrupting)
        pictures = counted.made(hr_upscaler=upscaler)[0]
    assert pictures == [first]
    assert expected != [first]
    assert counted.made(hr_upscaler=upscaler) == plainly(host, hr_upscaler=upscaler)


def test_a_file_that_was_replaced(host, counted):
    file = Path(host.sd_models.get_closet_checkpoint_match("alpha").filename)
    state = file.stat()
    counted.made()
    try:
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
        counted.made()
        counted.made()
    finally:
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert counted.loads == [2, 2, 0]


def test_a_model_that_was_merged_in_memory_is_not_its_file(host, counted):
    """It is gone when the next job asks for it; the webui would read the file."""
    expected = plainly(host)
    host.run(host.job())
    weight = next(weight for weight in host.shared.sd_model.model.parameters() if weight.numel() > 1)
    weight.data.mul_(1.01)
    merged = counted.made()
    assert merged[0] != expected[0]
    assert counted.made() == expected


def test_the_model_of_the_file_is_known_when_only_a_vae_was_loaded_since(host, tight):
    """The webui says the same then as when it has loaded a checkpoint."""
    host.run(host.job())
    weight = next(weight for weight in host.shared.sd_model.model.parameters() if weight.numel() > 1)
    before = tight.as_loaded[host.shared.sd_model.sd_checkpoint_info.filename]
    weight.data.mul_(1.01)
    try:
        host.script_callbacks.model_loaded_callback(host.shared.sd_model)
        assert tight.as_loaded[host.shared.sd_model.sd_checkpoint_info.filename] == before
    finally:
        weight.data.div_(1.01)


def test_whoever_asks_for_the_selected_checkpoint_between_batches_gets_it(host, counted, monkeypatch):
    """As an extension does after a batch; ADetailer's inner jobs too."""
    runner, seen = host.scripts.scripts_txt2img, []
    told = runner.postprocess_batch

    def asking(p, *args, **kwargs):
        told(p, *args, **kwargs)
        host.sd_models.reload_model_weights()
        seen.append(host.shared.sd_model.sd_checkpoint_info.name_for_extra)

    expected = plainly(host, n_iter=2)
    monkeypatch.setattr(runner, "postprocess_batch", asking)
    assert [counted.made(n_iter=2) for _ in range(2)] == [expected] * 2
    assert seen == ["alpha"] * 4


def test_what_encoding_the_texts_has_noted_is_noted_again(host, counted, monkeypatch):
    kind = host.processing.StableDiffusionProcessing
    encode, encoded = kind.setup_conds, []

    def noting(self):
        encoded.append(self.sd_model.sd_checkpoint_info.name_for_extra)
        host.sd_hijack.model_hijack.extra_generation_params["Emphasis"] = "No norm"
        host.sd_hijack.model_hijack.comments.append("too long")
        self.step_multiplier = 2
        return encode(self)

    monkeypatch.setattr(kind, "setup_conds", noting)
    jobs = [job(host) for _ in range(2)]
    texts = [host.run(p).infotexts for p in jobs]
    assert encoded == ["alpha"]
    assert "Emphasis: No norm" in texts[0][0]
    assert texts[0] == texts[1]
    assert all("too long" in p.comments for p in jobs)
    assert [p.step_multiplier for p in jobs] == [2, 2]


@pytest.mark.parametrize(
    ("own", "settings"),
    [({"show_first_pass": True}, {}), ({}, {"save_images_before_highres_fix": True, "samples_save": True})],
    ids=["to be shown", "to be saved"],
)
def test_first_passes_that_somebody_wants_to_see(host, tight, monkeypatch, own, settings):
    """They are decoded with their own VAE."""
    for name, value in settings.items():
        monkeypatch.setitem(host.shared.opts.data, name, value)
    saved: list[bytes] = []
    monkeypatch.setattr(
        host.images,
        "save_image",
        lambda image, *args, **kwargs: saved.append(image.tobytes()),
    )
    pictures = []
    for _ in range(2):
        saved.clear()
        p = host.job({"enabled": True, "checkpoint": B, **own}, hr_upscaler="Latent")
        pictures.append(([picture.tobytes() for picture in host.run(p).images], list(saved)))
    assert pictures[0] == pictures[1]


def test_a_random_seed_asks_for_nothing_that_was_made(host, tight):
    from lib_multipass.plan.alike import UnlikeError
    from lib_multipass.webui.a1111 import beginnings

    p = job(host)
    p.seed = -1
    with pytest.raises(UnlikeError, match="a random seed"):
        beginnings.asked_from(p, host.sd_models.get_closet_checkpoint_match("alpha"))


def test_an_embedding_of_another_content_makes_it_anew(host, tight, monkeypatch):
    import torch

    from lib_multipass.webui.a1111 import embeddings

    database = host.sd_hijack.model_hijack.embedding_db
    for known, text, count in ((True, "a Mood", 1), (True, "a cat", 0), (False, "a mood", 1)):
        where = database.word_embeddings if known else database.skipped_embeddings
        with monkeypatch.context() as patch:
            patch.setitem(where, "mood", SimpleNamespace(vec=torch.ones(2)))
            found = embeddings.named_in([text])
            assert [name for name, _ in found] == ["mood"] * count


def test_a_job_that_fails_puts_nothing_off_any_more(host, counted, monkeypatch):
    counted.made()

    def fail(*_args, **_kwargs):
        raise RuntimeError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(host.sd_samplers._Sampler, "sample_img2img", fail)
        with pytest.raises(RuntimeError, match="no room"):
            made(host, denoising_strength=0.4)
    host.run(host.job())
    assert host.shared.sd_model.sd_checkpoint_info.name_for_extra == "alpha"
    assert counted.made(denoising_strength=0.4) == plainly(host, denoising_strength=0.4)


def test_what_is_not_needed_is_not_read_ahead(host, counted, monkeypatch):
    from lib_multipass.passes.ahead import Reader

    read: list[str] = []
    monkeypatch.setattr(Reader, "start", lambda self, path, *args: read.append(Path(path).stem))
    monkeypatch.setattr("lib_multipass.passes.ahead.worth_reading", lambda *args: True)
    for _ in range(2):
        counted.made()
    assert counted.loads == [2, 0]
    assert read == ["beta", "alpha"]  # the second one in the first job, where a batch might follow


@pytest.mark.in_turn
@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
@pytest.mark.parametrize("fields", [{}, {"faces": FACE}, {"batch_size": 2}, {"tiling": True}, {"second": C}], ids=str)
def test_a_batch_count_pass_by_pass(host, counted, upscaler, fields):
    job = {"hr_upscaler": upscaler, "n_iter": 4, **fields}
    plainly(host, **job)  # from here on the files have hashes
    expected = plainly(host, **job)
    assert counted.made(**job) == expected
    assert counted.loads == [2]
    assert made(host, **job) == expected


def test_first_passes_ahead_come_in_portions(host, counted, monkeypatch):
    """As many as half of the allowance has room for."""
    expected = plainly(host, n_iter=5)
    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", 0.15)  # one takes 49 kB of pixels and 6 kB besides
    assert counted.made(n_iter=5) == expected
    assert counted.loads == [2 * 3]  # 1 and 2, 3 and 4, 5


@pytest.fixture
def first_passes(host, monkeypatch) -> list[tuple[int, str]]:
    """By whom first passes were sampled, with their seeds."""
    sample, seen = host.sd_samplers._Sampler.sample, []

    def noted(self, p, *args, **kwargs):
        seen.append((p.seeds[0], self.model.sd_checkpoint_info.name_for_extra))
        return sample(self, p, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", noted)
    return seen


def test_an_interrupt_ahead_gives_the_first_pass_that_was_to_be_finished(host, counted, first_passes, monkeypatch):
    first = host.run(host.job(enable_hr=False)).images[0].tobytes()
    first_passes.clear()
    sample = host.sd_samplers._Sampler.sample

    def interrupting(self, p, *args, **kwargs):
        if p.seeds[0] == 7:
            host.shared.state.interrupt()
        return sample(self, p, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(host.sd_samplers._Sampler, "sample", interrupting)
        pictures = counted.made(n_iter=4)[0]
    assert pictures == [first]
    assert [seed for seed, _ in first_passes] == [5, 6, 7]
    assert counted.made(n_iter=4) == plainly(host, n_iter=4)


def test_what_is_skipped_ahead_is_made_in_its_turn(host, counted, first_passes, monkeypatch):
    expected = plainly(host, n_iter=4)
    first_passes.clear()
    sample, skipped = host.sd_samplers._Sampler.sample, []

    def skipping(self, p, *args, **kwargs):
        if p.seeds[0] == 7 and not skipped:
            skipped.append(7)
            host.shared.state.skip()
        return sample(self, p, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", skipping)
    pictures = counted.made(n_iter=4)[0]
    assert pictures[1:] == expected[0][1:]
    assert [seed for seed, _ in first_passes] == [5, 6, 7, 7, 8]
    assert {checkpoint for _, checkpoint in first_passes} == {"alpha"}


def test_a_failure_ahead_ends_the_job_as_any(host, counted, monkeypatch):
    sample = host.sd_samplers._Sampler.sample

    def failing(self, p, *args, **kwargs):
        if p.seeds[0] == 6:
            raise RuntimeError("out of memory")
        return sample(self, p, *args, **kwargs)

    p = job(host, n_iter=3)
    with monkeypatch.context() as patch:
        patch.setattr(host.sd_samplers._Sampler, "sample", failing)
        with pytest.raises(RuntimeError, match="out of memory"):
            host.run(p)
    assert (p.iteration, p.seeds) == (0, [5])
    assert counted.made(n_iter=3) == plainly(host, n_iter=3)


def test_the_running_batch_is_as_it_was_after_first_passes_ahead(host, counted, monkeypatch):
    """What they write into the job belongs to their own batches; networks are those of the running one again."""
    sample, kind = host.sd_samplers._Sampler.sample, host.processing.StableDiffusionProcessing
    encode, enlarged = kind.setup_conds, []

    def writing(self, p, *args, **kwargs):
        p.extra_generation_params[f"Eta {p.seeds[0]}"] = 1
        p.comment(f"sampled {p.seeds[0]}")
        return sample(self, p, *args, **kwargs)

    def noting(self):
        host.sd_hijack.model_hijack.extra_generation_params[f"Text {self.seeds[0]}"] = 1
        host.sd_hijack.model_hijack.comments.append(f"encoded {self.seeds[0]}")
        return encode(self)

    activated, activate = [], host.extra_networks.activate
    resize = host.images.resize_image
    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", writing)
    monkeypatch.setattr(kind, "setup_conds", noting)
    monkeypatch.setattr(
        host.extra_networks, "activate", lambda p, data: activated.append(p.seeds[0]) or activate(p, data)
    )
    hijack = host.sd_hijack.model_hijack
    monkeypatch.setattr(
        host.images,
        "resize_image",
        lambda *args, **kwargs: (
            enlarged.append((list(activated), list(hijack.comments), list(hijack.extra_generation_params)))
            or resize(*args, **kwargs)
        ),
    )
    expected = plainly(host, n_iter=3)
    enlarged.clear()
    activated.clear()
    assert counted.made(n_iter=3) == expected
    assert enlarged[0] == ([5, 6, 7, 5], ["encoded 5"], ["Text 5"])


def test_random_generators_are_the_running_batchs_after_first_passes_ahead(host, counted, monkeypatch):
    """The VAE draws from torch's own when it encodes the enlarged picture."""
    import torch

    encode, drawn = host.sd_samplers._images_to_latents, []
    monkeypatch.setattr(
        host.sd_samplers, "_images_to_latents", lambda *args: drawn.append(torch.randn(1).item()) or encode(*args)
    )
    expected = plainly(host, n_iter=3)
    by_hand = list(drawn)
    drawn.clear()
    assert counted.made(n_iter=3) == expected
    assert drawn == by_hand


def test_scripts_that_work_in_early_scripts(host, counted, monkeypatch):
    script = type(
        "Wild", (host.scripts.Script,), {"title": lambda self: "Wild", "process_batch": lambda *a, **k: None}
    )()
    script.alwayson, script.args_from, script.args_to, script.filename, script.name = True, 0, 0, "wild.py", "wild"
    monkeypatch.setattr(
        host.scripts.scripts_txt2img, "alwayson_scripts", [*host.scripts.scripts_txt2img.alwayson_scripts, script]
    )
    counted.made(n_iter=2)
    assert counted.loads == [4]


@pytest.mark.parametrize(("units", "inert"), [([], True), ([{"enabled": False}], True), ([{"enabled": True}], False)])
def test_controlnet_works_in_a_batch_for_its_units(host, units, inert):
    from lib_multipass.webui.a1111 import beginnings

    script = type("Control", (host.scripts.Script,), {"process": lambda *args: None})()
    script.name, script.filename, script.args_from, script.args_to = "controlnet", "cn.py", 1, 1 + len(units)
    p = SimpleNamespace(script_args=(0, *units), scripts=SimpleNamespace(alwayson_scripts=[script]))
    assert beginnings.early_scripts(p) == ([] if inert else ["controlnet"])


def test_the_progress_counts_first_passes_ahead(host, counted, monkeypatch):
    seen = []
    sample, second = host.sd_samplers._Sampler.sample, host.sd_samplers._Sampler.sample_img2img

    def at(original):
        def noted(*args, **kwargs):
            seen.append((host.shared.state.job_no, host.shared.state.job_count))
            return original(*args, **kwargs)

        return noted

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", at(sample))
    monkeypatch.setattr(host.sd_samplers._Sampler, "sample_img2img", at(second))
    counted.made(n_iter=3)
    begun = [number / count for number, count in seen]
    assert begun == sorted(begun)
    assert len(set(begun)) == 6
    assert seen[0] == (0, 6)
    assert seen[-1] == (7, 8)


def test_the_progress_where_one_ahead_cannot_wait(host, counted, monkeypatch):
    """What texts after it note for the infotext would go by its own; none is made ahead any more."""
    base, second, seen = host.processing.StableDiffusionProcessing, host.sd_samplers._Sampler.sample_img2img, []
    encode = base.setup_conds

    def noting(self):
        if self.prompts == ["a dog"]:
            host.sd_hijack.model_hijack.extra_generation_params["TI hashes"] = "mood: 1"
        return encode(self)

    def at(*args, **kwargs):
        seen.append((host.shared.state.job_no, host.shared.state.job_count))
        return second(*args, **kwargs)

    monkeypatch.setattr(base, "setup_conds", noting)
    monkeypatch.setattr(host.sd_samplers._Sampler, "sample_img2img", at)
    counted.made(prompt=["a cat", "a dog", "a fox", "a hen"], n_iter=4)
    assert seen[-1] == (8, 9)


def at_second_passes(host: Any, monkeypatch: Any, do: Any) -> None:
    sample = host.sd_samplers._Sampler.sample_img2img

    def first(self, p, *args, **kwargs):
        do(p.iteration)
        return sample(self, p, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample_img2img", first)


def test_the_store_alone_holds_first_passes_that_wait(host, counted, monkeypatch):
    """So all of them are within the allowance; what had to go is made again."""
    import weakref

    from lib_multipass.state import kept

    left = []

    def clearing(number):
        if number == 1:
            stages = [value for value, *_ in kept.stages._known.values() if hasattr(value, "latents")]
            latents = [weakref.ref(stage.latents) for stage in stages]
            assert len(latents) > 2
            del stages
            kept.stages.clear()
            left.extend(one for one in latents if one() is not None)

    expected = plainly(host, n_iter=4)
    at_second_passes(host, monkeypatch, clearing)
    assert counted.made(n_iter=4) == expected
    assert left == []
    assert counted.loads == [4]


def test_first_passes_that_wait_stay_longer_than_pictures_of_the_second_pass(host, counted, monkeypatch):
    from lib_multipass.memory.store import PICTURES
    from lib_multipass.state import kept

    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", 0.5)
    at_second_passes(
        host, monkeypatch, lambda number: kept.stages.put(f"enlarged {number}", 0, 300_000, 500_000, worth=PICTURES)
    )
    counted.made(n_iter=4)
    assert counted.loads == [2]
    assert {worth for key, (_, _, worth) in kept.stages._known.items() if "enlarged" in key} <= {PICTURES}
    pixels = [worth for value, _, worth in kept.stages._known.values() if isinstance(value, list)]
    assert 2 not in pixels


@pytest.mark.parametrize("is_ended", [True, False])
def test_first_passes_that_wait_no_more_stay_no_longer(host, counted, monkeypatch, is_ended):
    """A job is interrupted in its first second pass: without that step, what was to wait would stay longer for good."""
    from lib_multipass.memory.store import LATENTS
    from lib_multipass.passes.put_off import PutOff
    from lib_multipass.state import kept

    if not is_ended:
        monkeypatch.setattr(PutOff, "end", lambda self: None)
    at_second_passes(host, monkeypatch, lambda number: host.shared.state.interrupt())
    counted.made(n_iter=4)
    pixels = [worth for value, _, worth in kept.stages._known.values() if isinstance(value, list)]
    assert pixels
    assert (LATENTS in pixels) is not is_ended
