"""The hooks inside one process: what the webui's batch scripts, ADetailer and Reload UI hand to them.

The miniature is imported here as the webui imports itself, and loads our entry script as the webui does.
"""

from __future__ import annotations

import copy
import json
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

A, B, C = "alpha", "beta", "gamma"
FACE = {"ad_model": "face_yolov8n.pt"}


@pytest.fixture(autouse=True)
def plain_job_first(host):
    host.run(host.job())


def test_ui_gives_the_fields_in_order_and_without_none(host):
    from lib_multipass.plan import args

    script = host.script()
    assert script.args_to - script.args_from == len(args.FIELDS)
    assert [control.label for control in script.controls] == [args.label(name) for name in args.FIELDS]
    assert all(control.value is not None for control in script.controls)
    assert [control.value for control in script.controls] == [args.default(name) for name in args.FIELDS]
    ids = [control.elem_id for control in script.controls]
    assert ids == [f"script_multipass_{name}" for name in ("enabled-checkbox", *[*args.FIELDS][1:])]
    pasted = {name for name, entry in args.FIELDS.items() if entry.metadata["infotext"]} | {"enabled"}
    ours = dict(zip(args.FIELDS, script.controls, strict=True))
    assert {name for name, control in ours.items() if control in dict(script.infotext_fields)} == pasted
    assert all(component.value is not None for component, _ in script.infotext_fields)


def test_not_in_img2img(host):
    assert "Multipass" not in [s.title() for s in host.scripts.scripts_img2img.scripts]


@pytest.mark.parametrize("kind", [tuple, list])
def test_before_process_declares_and_changes_nothing_shared(host, kind):
    overrides, params, tab = {"CLIP_stop_at_last_layers": 1}, {"Script": "x"}, {**FACE, "is_api": ()}
    p = host.job(True, B, faces=tab, kind=kind, override_settings=overrides)
    p.override_settings, p.extra_generation_params = overrides, params
    shared = copy.deepcopy((overrides, params, tab))
    values = p.script_args
    before = kind(values)

    p.scripts.before_process(p)

    assert p.hr_checkpoint_name.startswith(B)
    assert (overrides, params, tab) == shared
    assert values == before
    assert type(p.script_args) is kind
    assert host.tab(p)["ad_checkpoint"].startswith(B)
    assert p.extra_generation_params["Multipass checkpoint"].startswith("beta.safetensors")
    others = [n for n, (old, new) in enumerate(zip(values, p.script_args, strict=True)) if old is not new]
    assert len(others) == 1


def test_cells_that_share_dicts_do_not_affect_each_other(host):
    whole = host.job(True, B, faces=dict(FACE))
    cells = [copy.copy(whole) for _ in range(2)]
    args = list(cells[1].script_args)
    args[host.script().args_from] = False
    cells[1].script_args = tuple(args)
    for cell in cells:
        cell.scripts.before_process(cell)
    assert cells[0].hr_checkpoint_name.startswith(B)
    assert cells[1].hr_checkpoint_name is None
    assert "ad_checkpoint" not in host.tab(cells[1])
    assert "Multipass checkpoint" not in cells[1].extra_generation_params
    assert "Multipass checkpoint" not in whole.extra_generation_params


def test_hooks_called_again_in_the_middle_of_a_job(host):
    p = host.job(True, B, faces=dict(FACE))
    p.scripts.before_process(p)
    p.scripts.process(p)
    assert host.shared.state.textinfo == "Pass 1 of 2: alpha"
    with host.sd_models.SkipWritingToConfig():
        host.sd_models.reload_model_weights(info=host.sd_models.get_closet_checkpoint_match(B))
    for _ in range(2):
        inner = copy.copy(p)
        p.scripts.postprocess(copy.copy(p), None)
        p.scripts.before_process(inner)
        p.scripts.process(inner)
        assert host.loaded[0] == B
        assert host.limit == 2
        assert inner.script_args == p.script_args
        assert inner.extra_generation_params == p.extra_generation_params
        inner.close()
    assert host.shared.state.textinfo is not None  # the job goes on
    p.scripts.postprocess(p, SimpleNamespace(images=[None], index_of_first_image=0))
    assert host.shared.state.textinfo is None


def test_the_same_job_twice(host):
    p = host.job(True, B, faces=dict(FACE))
    first = host.run(p)
    again = host.run(p)
    assert first.infotexts == again.infotexts
    assert first.images[0].tobytes() == again.images[0].tobytes()


def test_inner_jobs_and_img2img_are_left_alone(host):
    host.run(host.job(True, B))
    assert host.limit == 2
    inner = host.job(False)
    inner._ad_inner = True
    host.script().before_process(inner, False, "", "")
    img2img = host.processing.StableDiffusionProcessingImg2Img()
    host.script().before_process(img2img, False, "", "")
    assert host.limit == 2


def test_an_unticked_job_with_an_unknown_override_runs_as_ever(host):
    expected = host.run(host.job()).images[0].tobytes()
    host.run(host.job(True, B))
    got = host.run(host.job(override_settings={"sd_model_checkpoint": "nowhere"}))
    assert got.images[0].tobytes() == expected
    assert host.loaded == [A]


def test_a_job_without_script_arguments(host):
    p = host.processing.StableDiffusionProcessingTxt2Img(prompt="a cat")
    p.scripts = host.scripts.scripts_txt2img
    host.script().before_process(p, True, B)
    assert p.hr_checkpoint_name.startswith(B)


def test_an_old_adetailer_is_left_alone(host, monkeypatch):
    model = sys.modules["adetailer.args"].ADetailerArgs
    fields = {name: entry for name, entry in model.__fields__.items() if "checkpoint" not in name}
    monkeypatch.setattr(model, "__fields__", fields)
    p = host.job(True, B, faces=dict(FACE))
    p.scripts.before_process(p)
    assert host.tab(p) == FACE
    assert p.hr_checkpoint_name.startswith(B)


@contextmanager
def in_folder(host, name, content=None):
    """A further file among the checkpoints, for a while: a copy of beta, or with this content."""
    folder = Path(host.sd_models.model_path)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((folder / "beta.safetensors").read_bytes() if content is None else content)
    host.sd_models.list_models()
    try:
        yield
    finally:
        path.unlink()
        if path.parent != folder:
            path.parent.rmdir()
        host.sd_models.list_models()


def test_one_file_name_in_two_folders(host):
    """The webui's short title then leads to only one of them; our names have to lead to the chosen one."""
    with in_folder(host, "more/gamma.safetensors"):
        for name in ("gamma.safetensors", "more/gamma.safetensors"):
            p = host.job(True, name, faces=dict(FACE))
            p.scripts.before_process(p)
            for alias in (p.hr_checkpoint_name, host.tab(p)["ad_checkpoint"]):
                assert host.sd_models.get_closet_checkpoint_match(alias).name == name


def test_files_that_are_no_checkpoints_are_refused(host):
    vae = (Path(host.sd_models.model_path).parent / "VAE" / "other.safetensors").read_bytes()
    for name, content, words in (
        ("wrong.safetensors", vae, "is no checkpoint but a VAE"),
        ("cut.safetensors", b"x", "cut off"),
    ):
        with in_folder(host, name, content):
            p = host.job(True, name)
            p.scripts.before_process(p)
            with pytest.raises(Exception, match=words):
                p.init(None, None, None)


@pytest.mark.parametrize(
    ("second", "upscaler", "used"),
    [
        ("SDXL", "Latent", "Lanczos"),
        ("SDXL", "Nearest", "Nearest"),
        ("SD 2.x", "Latent", "Latent"),
        ("unknown", None, None),
    ],
)
def test_latents_do_not_cross_architectures(host, monkeypatch, second, upscaler, used):
    from lib_multipass.memory import headers
    from lib_multipass.webui.a1111 import files

    made = {A: headers.Facts(1, "SD 1.x"), B: headers.Facts(1, second)}
    monkeypatch.setattr(files, "facts_of", lambda checkpoint: made[checkpoint.name_for_extra])
    p = host.job(True, B, hr_upscaler=upscaler)
    p.scripts.before_process(p)
    assert p.hr_upscaler == used
    assert ("Lanczos was used" in "".join(p.comments)) is (used != upscaler)


def test_comments_say_what_was_changed(host):
    p = host.job(True, B, hr_checkpoint_name=C)
    p.enable_hr, p.denoising_strength = False, None
    done = host.run(p)
    assert "switched Hires. fix on" in done.comments
    assert "denoising strength 0.7" in done.comments
    assert "'gamma' was not used" in done.comments
    quiet = host.run(host.job(True, B))
    assert "Multipass" not in quiet.comments


def test_a_failure_in_the_second_pass_leaves_a_working_webui(host, monkeypatch):
    good = host.run(host.job(True, B)).images[0].tobytes()
    plain = host.run(host.job()).images[0].tobytes()
    job = host.processing.StableDiffusionProcessingTxt2Img

    def fail(*_args):
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(job, "sample_hr_pass", fail)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        host.run(host.job(True, B))
    monkeypatch.undo()
    assert host.run(host.job(True, B)).images[0].tobytes() == good
    assert host.run(host.job()).images[0].tobytes() == plain
    assert host.loaded == [A]


def test_a_failure_of_ours_stops_the_job(host, monkeypatch):
    def fail(*_args):
        raise KeyError("surprise")

    monkeypatch.setattr(host.sd_models, "select_checkpoint", fail)
    p = host.job(True, B)
    p.scripts.before_process(p)
    with pytest.raises(Exception, match="Multipass could not prepare the job: KeyError: 'surprise'"):
        p.init(None, None, None)


def test_a_failure_in_pieces_is_told_at_the_end(host):
    """X/Y/Z plot swallows what its cells raise; ``close`` of the whole job tells it."""
    args = list(host.job(True, "alpah").script_args)
    args[0] = 1
    whole = host.processing.StableDiffusionProcessingTxt2Img(prompt="a cat", width=64, height=64, steps=2)
    whole.scripts = host.scripts.scripts_txt2img
    whole.script_args = tuple(args)
    host.shared.state.begin(job="test")
    cell = copy.copy(whole)
    with pytest.raises(Exception, match="'alpah'"):
        host.processing.process_images(cell)
    assert host.shared.state.interrupted
    with pytest.raises(Exception, match="'alpah'"), closing(whole):
        pass
    host.shared.state.end()


def test_the_hash_option_stays_the_first_passes_when_a_load_fails(host, monkeypatch):
    """After the hash is stored the webui still loads the checkpoint's VAE."""
    before = host.shared.opts.data["sd_checkpoint_hash"]

    def fail(*_args, **_kwargs):
        raise RuntimeError("no VAE")

    p, load = host.job(True, B), host.sd_vae.load_vae
    monkeypatch.setattr(host.sd_vae, "load_vae", fail)
    with pytest.raises(RuntimeError, match="no VAE"):
        host.run(p)
    monkeypatch.setattr(host.sd_vae, "load_vae", load)
    assert host.shared.opts.data["sd_checkpoint_hash"] == before


def test_the_hash_option_stays_the_first_passes(host):
    before = copy.deepcopy(host.shared.opts.data)
    host.run(host.job(True, C, faces=dict(FACE)))
    assert host.shared.opts.data == before


def test_the_hash_option_follows_to_a_checkpoint_that_was_left_active(host):
    """The webui finds it active and does nothing: as the next job's first checkpoint, or selected in the settings."""
    opts, selected = host.shared.opts, host.shared.opts.data["sd_model_checkpoint"]
    second = host.sd_models.get_closet_checkpoint_match(B)
    host.run(host.job(True, B))
    host.run(host.job(True, C, override_settings={"sd_model_checkpoint": B}))
    assert opts.data["sd_checkpoint_hash"] == second.sha256
    host.run(host.job(True, B))
    opts.set("sd_model_checkpoint", second.title)
    try:
        assert opts.data["sd_checkpoint_hash"] == second.sha256
    finally:
        opts.set("sd_model_checkpoint", selected)


def test_a_swap_that_fails_after_the_job_leaves_the_hash_option_alone(host, monkeypatch):
    """X/Y/Z plot asks for the selected checkpoint again when its cells are done (here on 1.6.0)."""
    import mini

    monkeypatch.setattr(mini, "old_host", True)
    before = host.shared.opts.data["sd_checkpoint_hash"]
    host.run(host.job(True, B))

    def fail(*_args, **_kwargs):
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(host.sd_models, "send_model_to_device", fail)
        patch.setattr(host.sd_models, "load_model", fail)
        with pytest.raises(RuntimeError, match="no memory"):
            host.sd_models.reload_model_weights()
    assert host.shared.opts.data["sd_checkpoint_hash"] == before


@pytest.mark.parametrize("own", [3, 4, 5, 10])
def test_nothing_goes_below_the_users_own_limit(host, monkeypatch, own):
    monkeypatch.setitem(host.shared.opts.data, "sd_checkpoints_limit", own)
    for checkpoint in (B, C, B):
        host.run(host.job(True, checkpoint))
    assert sorted(host.loaded) == [A, B, C]
    host.run(host.job())
    assert sorted(host.loaded) == [A, B, C]


def test_the_floor_is_never_stored(host, tmp_path):
    host.run(host.job(True, B, faces={**FACE, "ad_use_checkpoint": True, "ad_checkpoint": C}))
    host.run(host.job(True, B, C, faces=dict(FACE)))
    assert host.limit == 3
    assert host.shared.opts.data.get("sd_checkpoints_limit", 1) == 1
    host.shared.opts.save(str(tmp_path / "config.json"))
    assert json.loads((tmp_path / "config.json").read_text()).get("sd_checkpoints_limit", 1) == 1


def test_reload_ui_keeps_one_patch_and_what_is_loaded(host):
    first = host.sd_models.reload_model_weights
    assert first.__module__ == "lib_multipass.job.swap_wrappers"
    host.run(host.job(True, B))
    for _ in range(3):
        host.reload_ui()
        patched = host.sd_models.reload_model_weights
        assert patched.__module__ == "lib_multipass.job.swap_wrappers"
        assert patched.__closure__[0].cell_contents.__module__ == "modules.sd_models"
    assert host.limit == 2
    assert sorted(host.loaded) == [A, B]
    host.run(host.job(True, B))
    host.run(host.job())
    assert host.loaded == [A]


def test_reloading_only_the_scripts_changes_nothing(host):
    patched = host.sd_models.reload_model_weights
    host.scripts.reload_scripts()
    host.build_page()
    assert host.sd_models.reload_model_weights is patched


def test_unloading_takes_every_patch_away_and_a_disabled_extension_lets_go(host):
    host.run(host.job(True, B))
    host.shared.opts.data["disabled_extensions"] = ["multipass"]
    host.script_callbacks.script_unloaded_callback()
    try:
        assert host.loaded == [B]
        assert host.limit == 1
        assert "sd_checkpoints_limit" not in vars(type(host.shared.opts))
        for owner, name in (
            (host.sd_models, "reload_model_weights"),
            (host.sd_models, "get_checkpoint_state_dict"),
            (host.sd_models.SdModelData, "set_sd_model"),
        ):
            assert getattr(owner, name).__module__ == "modules.sd_models"
    finally:
        host.shared.opts.data["disabled_extensions"] = []
        host.initialize.initialize_rest(reload_script_modules=True)
        host.build_page()


def test_what_fails_while_clearing_up_hides_no_error_and_keeps_nothing_else_from_it(host, monkeypatch):
    from lib_multipass.passes.ahead import Ahead
    from lib_multipass.passes.gauge import Gauge
    from lib_multipass.passes.networks import Tags
    from lib_multipass.state import running
    from lib_multipass.webui.a1111.pass_vae import PassVae

    failing = (Ahead, PassVae, Tags, Gauge)

    def fail(*_args):
        raise OSError("this cannot be cleared up")

    def init(*_args):
        for part in failing:
            monkeypatch.setattr(part, "end", fail)
        raise ZeroDivisionError

    monkeypatch.setattr(host.processing.StableDiffusionProcessingTxt2Img, "init", init)
    with pytest.raises(ZeroDivisionError):
        host.run(host.job(True, B))
    assert set(running.job.parts) == set(failing)
    monkeypatch.undo()
    host.run(host.job(True, B))  # the next job tries again
    assert running.job is None


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_known_of_a_job_that_is_over(host, fails):
    from lib_multipass.state import Part, running

    during = []

    def sample(*_args, **_kwargs):
        during.extend(running.job.parts)
        raise ZeroDivisionError

    p = host.job(True, B)
    if fails:
        p.sample = sample
        with pytest.raises(ZeroDivisionError):
            host.run(p)
        assert {part.__name__ for part in during} == {part.__name__ for part in Part.__subclasses__()}
    else:
        host.run(p)
    assert running.job is None


def test_what_the_page_shows_for_the_first_passes_own_is_taken_out(host):
    p = host.job(True, "beta", hr_sampler_name="Use same sampler", hr_scheduler="Use same scheduler")
    host.run(p)
    assert (p.hr_sampler_name, p.hr_scheduler) == (None, None)
    plain = host.job(hr_sampler_name="Use same sampler")
    host.run(plain)
    assert plain.hr_sampler_name == "Use same sampler"
