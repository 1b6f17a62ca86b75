"""What can end or surround a second pass with settings of its own, inside one process."""

from __future__ import annotations

import copy

import pytest

A, B, C = "alpha", "beta", "gamma"
OTHER = "other.safetensors"
FACE = {"ad_model": "face_yolov8n.pt"}
CLIP_SKIP = "CLIP_stop_at_last_layers"
OWN = {"vae": OTHER, "cfg_scale": 1.5, "clip_skip": 3}


@pytest.fixture(autouse=True)
def plain_job_first(host):
    host.run(host.job())


@pytest.fixture
def second_pass(host):
    """The module under test, which cannot be imported before the webui is."""
    from lib_multipass.webui.a1111 import pass_vae as second_pass

    return second_pass


def job(host, checkpoint=B, faces=None, hr_upscaler="Lanczos", n_iter=1, **own):
    return host.job({"checkpoint": checkpoint, **own}, faces=faces, hr_upscaler=hr_upscaler, n_iter=n_iter)


def pixels(host, p):
    return [picture.tobytes() for picture in host.run(p).images]


def plain(host, checkpoint):
    p = host.job()
    p.override_settings = {"sd_model_checkpoint": checkpoint}
    return pixels(host, p)


def fail(*_args, **_kwargs):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("checkpoint", [A, B])
def test_a_failure_in_the_hires_pass_takes_everything_back(host, monkeypatch, checkpoint):
    before = [plain(host, name) for name in (A, B)]
    good = pixels(host, job(host, checkpoint, **OWN))
    options = copy.deepcopy(host.shared.opts.data)
    sampler = host.sd_samplers._Sampler
    for _ in range(2):
        p = job(host, checkpoint, **OWN)
        with monkeypatch.context() as patch:
            patch.setattr(sampler, "sample_img2img", fail)
            with pytest.raises(RuntimeError, match="out of memory"):
                host.run(p)
        assert p.cfg_scale == 7.0
        with host.sd_models.SkipWritingToConfig():
            host.sd_models.reload_model_weights(info=host.sd_models.checkpoint_aliases[checkpoint])
        assert host.sd_vae.loaded_vae_file is None  # as a job finds it that no script of ours sees
        assert host.shared.opts.data == options
        assert CLIP_SKIP not in vars(type(host.shared.opts))
    assert plain(host, checkpoint) == before[checkpoint == B]
    assert pixels(host, job(host, checkpoint, **OWN)) == good
    assert [plain(host, name) for name in (A, B)] == before


def test_a_failure_while_encoding_the_text_takes_the_clip_skip_back(host, monkeypatch):
    p = job(host, **OWN)
    with monkeypatch.context() as patch:
        patch.setattr(type(p), "_conds", lambda self, *args: fail() if self.is_hr_pass else ([], None))
        patch.setattr(host.sd_samplers._Sampler, "sample", lambda self, p, x, *args: x)
        with pytest.raises(RuntimeError, match="out of memory"):
            host.run(p)
    assert host.shared.opts.CLIP_stop_at_last_layers == 1
    assert CLIP_SKIP not in vars(type(host.shared.opts))


@pytest.mark.parametrize("checkpoint", [A, B])
def test_an_interrupt_before_the_hires_pass(host, monkeypatch, checkpoint):
    """The webui then decodes the first pass's latents with the second checkpoint, and its own VAE."""
    expected = [plain(host, name) for name in (A, B)]
    sample = host.sd_samplers._Sampler.sample

    def interrupted(*args, **kwargs):
        host.shared.state.interrupt()
        return sample(*args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample", interrupted)
    without = pixels(host, job(host, checkpoint))
    pixels(host, job(host, checkpoint, **OWN))
    assert pixels(host, job(host, checkpoint, **OWN)) == without
    monkeypatch.undo()
    assert [plain(host, name) for name in (A, B)] == expected


@pytest.mark.parametrize("own", [{}, OWN], ids=["same", "own"])
def test_models_that_are_not_kept_give_the_same(host, monkeypatch, own):
    from lib_multipass.webui.a1111 import models

    faces = dict(FACE)
    kept = pixels(host, job(host, n_iter=2, faces=faces, **own))
    host.run(host.job())
    monkeypatch.setattr(models, "keep", lambda *_args: None)
    assert pixels(host, job(host, n_iter=2, faces=faces, **own)) == kept
    assert host.loaded == [B]
    assert plain(host, B) == plain(host, B)


def test_cells_of_a_grid(host):
    """Copies of one job, as X/Y/Z plot makes them: each has its own values."""
    whole = host.job({"checkpoint": B}, hr_upscaler="Lanczos")
    alone = [pixels(host, job(host, **own)) for own in (OWN, {}, {"vae": OTHER})]
    got = []
    for own in (OWN, {}, {"vae": OTHER}):
        cell = copy.copy(whole)
        args = list(cell.script_args)
        args[host.script().args_from] = {"checkpoint": B, **own}
        cell.script_args = tuple(args)
        host.shared.state.begin(job="cell")
        got.append([picture.tobytes() for picture in host.processing.process_images(cell).images])
        host.shared.state.end()
    whole.close()
    assert got == alone


def test_a_copy_that_renders_inside_the_job_has_its_own_values_too(host, monkeypatch):
    """Some scripts render a copy of the job in the middle of it."""
    expected = pixels(host, job(host, **OWN))
    inner = []
    script = type(host.script("ADetailer"))

    def postprocess_image(_self, p, _pp, *_args):
        if not inner:
            inner.append(None)
            again = copy.copy(p)
            inner[:] = [picture.tobytes() for picture in host.processing.process_images(again).images]
            again.cfg_scale = 99

    monkeypatch.setattr(script, "postprocess_image", postprocess_image)
    p = job(host, **OWN)
    assert pixels(host, p) == expected
    assert p.cfg_scale == 7.0
    assert inner == expected


def test_memory_for_a_vae_is_taken_only_where_it_cannot_stay(host):
    from lib_multipass.state import kept

    host.run(job(host, B, **OWN))
    assert kept.vae is None
    host.run(job(host, A, **OWN))
    assert kept.vae is not None
    host.run(host.job())
    assert kept.vae is None


def test_a_kept_vae_is_read_again_when_its_file_changes(host):
    from mini.checkpoints import make_vae

    before = pixels(host, job(host, A, vae=OTHER))
    path = host.sd_vae.vae_dict[OTHER]
    try:
        make_vae(path, "cartoon", 3)
        changed = pixels(host, job(host, A, vae=OTHER))
    finally:
        make_vae(path, "portrait", 20)
    assert changed != before
    assert pixels(host, job(host, A, vae=OTHER)) == before


@pytest.fixture
def two_latent_spaces(host, monkeypatch):
    """The second and the third checkpoint count as SDXL, and nobody looks whether they have all of its parts."""
    from lib_multipass.memory import headers, missing
    from lib_multipass.webui.a1111 import files

    host.run(host.job())  # whatever else was loaded is let go
    monkeypatch.setattr(missing, "lacking", lambda _names, _architecture: ())
    made = {A: headers.Facts(1, "SD 1.x"), B: headers.Facts(1, "SDXL"), C: headers.Facts(1, "SDXL")}
    monkeypatch.setattr(files, "facts_of", lambda checkpoint: made[checkpoint.name_for_extra])


def fixed(p, name=OTHER):
    p.override_settings = {**(p.override_settings or {}), "sd_vae": name}
    return p


def vaes_put(host, run):
    """Which VAEs are put on which checkpoint while ``run`` runs."""
    from mini import events

    seen, put = [], events.record

    def record(kind, name):
        if kind == "vae":
            model = host.sd_models.model_data.sd_model
            seen.append((model.sd_checkpoint_info.name_for_extra if model else None, name))
        return put(kind, name)

    events.record = record
    try:
        run()
    finally:
        events.record = put
    return seen


@pytest.mark.parametrize("faces", [None, FACE, {**FACE, "ad_use_checkpoint": True, "ad_checkpoint": C}])
@pytest.mark.parametrize("follows", [True, False])
def test_a_fixed_vae_is_not_forced_on_another_latent_space(host, two_latent_spaces, faces, follows):
    third = {"adetailer": "As set in ADetailer"} if faces and faces != FACE else {}
    own = {**third, "adetailer_follows": follows}
    baked = fixed(job(host, B, faces=faces, n_iter=2, **own))
    comments = host.run(baked).comments
    seen = vaes_put(host, lambda: host.run(fixed(job(host, B, faces=faces, n_iter=2, **own))))
    assert {checkpoint for checkpoint, name in seen if name == "other"} <= {A}
    assert "The SD VAE other.safetensors was taken for one of alpha's latent space and was not put on beta" in comments
    assert ("gamma" in comments) is bool(third)


def test_a_fixed_vae_stays_where_the_latent_space_is_the_same(host):
    assert "was not put on" not in host.run(fixed(job(host))).comments
    one, other = pixels(host, fixed(job(host))), pixels(host, job(host))
    assert one != other


def test_a_chosen_vae_is_taken_for_another_latent_space_too(host, two_latent_spaces):
    automatic = fixed(job(host, vae="Automatic"))
    chosen = pixels(host, fixed(job(host, vae=OTHER)))
    assert "was not put on" not in host.run(fixed(job(host, vae=OTHER))).comments
    assert chosen != pixels(host, automatic)


def test_frozen_settings_leave_the_faces_as_they_are_set(host, monkeypatch):
    from lib_multipass.webui.a1111 import options

    monkeypatch.setattr(options, "can_override", lambda _name: False)
    p = job(host, faces=dict(FACE), **OWN)
    p.scripts.before_process(p)
    assert "ad_use_vae" not in host.tab(p)
    assert "kept the first pass's clip skip" in "".join(p.comments)


def test_another_scripts_cfg_scale_goes_first(host, monkeypatch):
    """Extensions for a hires CFG scale set it in ``before_hr``."""
    seen = []
    sample = host.sd_samplers._Sampler.sample_img2img

    def sampled(self, p, *args, **kwargs):
        seen.append(p.cfg_scale)
        return sample(self, p, *args, **kwargs)

    monkeypatch.setattr(host.sd_samplers._Sampler, "sample_img2img", sampled)
    p = job(host, cfg_scale=1.5)
    host.run(p)
    monkeypatch.setattr(type(host.script()), "before_hr", lambda _self, p, *_args: setattr(p, "cfg_scale", 4.0))
    p = job(host, cfg_scale=1.5)
    host.run(p)
    assert seen == [1.5, 4.0]
    assert p.cfg_scale == 7.0


@pytest.mark.parametrize(
    ("own", "given", "is_api", "expected"),
    [
        ({}, 1.0, True, 0.0),
        ({}, 1.0, False, 1.0),
        ({}, 4.0, True, 4.0),
        ({"cfg_scale": 1.5}, 4.0, False, 1.5),
    ],
)
def test_a_webui_with_a_cfg_scale_of_its_own_for_the_hires_pass(host, monkeypatch, own, given, is_api, expected):
    """Its field says what the hires pass has, and the job's CFG scale stays the first pass's throughout."""
    monkeypatch.setattr(host.processing.StableDiffusionProcessingTxt2Img, "hr_cfg", 1.0, raising=False)
    seen = []
    monkeypatch.setattr(type(host.script()), "before_hr", lambda _self, p, *_args: seen.append((p.hr_cfg, p.cfg_scale)))
    p = job(host, **own)
    p.hr_cfg, p.is_api = given, is_api
    host.run(p)
    assert seen == [(expected, 7.0)]


@pytest.mark.parametrize("checkpoint", [A, B])
def test_a_vae_that_does_not_fit_is_tried_once(host, monkeypatch, checkpoint):
    """It would be read again whenever the webui makes sure of its checkpoint, and fail again."""
    read, load = [], host.sd_vae._put

    def put(model, weights, name):
        read.append(name)
        if name == "other":
            raise RuntimeError("size mismatch")
        load(model, weights, name)

    monkeypatch.setattr(host.sd_vae, "_put", put)
    p = job(host, checkpoint, **OWN)
    with pytest.raises(Exception, match=f"VAE {OTHER} could not be put on {checkpoint}"):
        host.run(p)
    with host.sd_models.SkipWritingToConfig():
        host.sd_models.reload_model_weights(info=host.sd_models.get_closet_checkpoint_match(checkpoint))
    assert read.count("other") == 1


def test_its_settings_say_the_checkpoint_that_a_job_begins_with_before_anything_else_is_declared(host, monkeypatch):
    """On Forge Neo they need not by themselves."""
    from lib_multipass.webui import host as door

    settled = []
    monkeypatch.setattr(
        door.checkpoints, "settle", lambda p, first: settled.append((first.name_for_extra, p.hr_checkpoint_name))
    )
    host.run(host.job(True, B))
    assert settled == [(A, None)]
