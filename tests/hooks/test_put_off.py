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


@pytest.fixture
def tight(host: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A webui with room for one checkpoint, which knows all files' hashes and keeps stages."""
    from lib_multipass.state import kept

    with monkeypatch.context() as patch:
        patch.setitem(host.shared.opts.data, "multipass_ram_reserve", 9999)
        host.run(job(host))
        patch.setitem(host.shared.opts.data, "multipass_stages", 512)
        kept.stages.clear()
        yield kept
        kept.stages.clear()
    host.run(host.job())  # the selected checkpoint is active again, and nothing of a tight webui is left


def job(host: Any, second: str = B, faces: Any = None, own: str | None = None, **fields: Any) -> Any:
    ours = {"enabled": True, "checkpoint": second, **({"adetailer": own} if own else {})}
    return host.job(ours, faces=faces and dict(faces), **{"hr_upscaler": "Lanczos", **fields})


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
    assert counted.loads == [2 * count, 0, 0]


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
    assert counted.loads == [2, 4]


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

    from lib_multipass.webui.a1111 import beginnings

    database = host.sd_hijack.model_hijack.embedding_db
    for known, text, count in ((True, "a Mood", 1), (True, "a cat", 0), (False, "a mood", 1)):
        where = database.word_embeddings if known else database.skipped_embeddings
        with monkeypatch.context() as patch:
            patch.setitem(where, "mood", SimpleNamespace(vec=torch.ones(2)))
            found = beginnings._embeddings([text])
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
