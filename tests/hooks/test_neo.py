"""The door in Forge Neo, over a stand-in for it: what each operation does, and that nothing of ours hinders its start.

The pictures are compared on a given Neo, see ``tests/jobs``.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from support.as_neo import forge_neo, started
from support.layouts import header, write_hollow
from support.neo import A, B, C, Neo, dynamic_args


@pytest.fixture
def bare(tmp_path):
    """It without Multipass."""
    with forge_neo(tmp_path) as neo:
        yield neo


@pytest.fixture
def neo(bare):
    """It with Multipass, which keeps nothing yet."""
    bare.host = started(bare)
    bare.state = ours("state")
    return bare


@pytest.fixture
def keeping(neo):
    """It while A and B are kept, and both have been loaded; what was read for that is forgotten."""
    keep(neo, A, B)
    neo.swap(A)
    neo.swap(B)
    neo.swap(A)
    assert neo.loads == [A, B]
    neo.loads.clear()
    return neo


def ours(name: str):
    return importlib.import_module(f"lib_multipass.{name}")


def keep(neo: Neo, *names: str, besides: tuple[str, ...] = ()) -> None:
    """Keep these, in a job that needs others besides."""
    placement = ours("memory.placement")
    places = dict.fromkeys((str(neo.files[name]) for name in names), placement.RAM)
    places |= dict.fromkeys((str(neo.files[name]) for name in besides), placement.DISK)
    neo.host.models.keep(placement.Decision(places), neo.checkpoints[(*names, *besides)[0]])


def begin_job(neo: Neo, first: str, second: str = B, **fields) -> SimpleNamespace:
    """A job of Multipass runs from now on, with these two passes."""
    from lib_multipass.plan.report import Journal

    p = neo.processing.StableDiffusionProcessingTxt2Img()
    vars(p).update(fields)
    vaes = ours("plan.decide").Vaes()
    plan = SimpleNamespace(base=neo.checkpoints[first], second=neo.checkpoints[second], vaes=vaes, in_use=())
    neo.state.running.job = SimpleNamespace(owner=lambda: p, plan=plan, parts={}, journal=Journal(), number=1)
    return p


def dies(reference: weakref.ref) -> bool:
    gc.collect()
    return reference() is None


def test_its_family_serves(neo):
    assert neo.host.models.__name__ == "lib_multipass.webui.forge.models"
    slots = neo.host.slots
    wrapped = {(slot[1], slot[2]) for slot in slots.SLOTS} | {own[:2] for own in slots.OWN}
    assert {*neo.patches.originals[slots.KEY]} == wrapped


def test_all_is_undone_when_the_page_is_reloaded(neo):
    slots = neo.host.slots
    before = dict(neo.patches.originals[slots.KEY])
    for call in neo.callbacks["on_script_unloaded"]:
        call()
    assert neo.patches.originals[slots.KEY] == {}
    assert all(getattr(owner, name) is function for (owner, name), function in before.items())


def test_every_slot_has_its_function_but_that_of_a_swap_that_waits(neo):
    """The API's is placed where the API is imported."""
    bound = {slot for slot, *_ in neo.host.slots.SLOTS}
    assert {*ours("webui.base").SLOTS} - bound == {"conds", "request"}


def test_no_batch_begins_for_a_checkpoint_that_is_not_active(neo):
    assert ours("webui.a1111.beginnings").early_scripts(SimpleNamespace()) is None


def test_a_disabled_extension_lets_go_of_all(keeping):
    active, parked = (weakref.ref(keeping.host.models.loaded_model(keeping.checkpoints[name])) for name in (A, B))
    keeping.shared.opts.data["disabled_extensions"] = ["multipass"]
    for call in keeping.callbacks["on_script_unloaded"]:
        call()
    assert dies(parked)
    keeping.sd_models.unload_model_weights()
    assert dies(active)


def test_whatever_is_missing_it_starts_without_us(bare, monkeypatch):
    choice = ours("choice")
    for missing in choice.NEO:
        around, _, name = missing.rpartition(".")
        with monkeypatch.context() as patch:
            patch.delattr(_thing(bare, around), name)
            serves, reason = choice.serving()
        assert serves is None, missing
        assert name in reason, missing
    assert choice.serving() == ("forge", "")


@pytest.mark.parametrize("broken", ["soft_empty_cache", "the patching", "a callback"])
def test_a_start_that_fails_midway_leaves_nothing_wrapped(bare, monkeypatch, broken):
    def fails(*_args, **_kwargs):
        raise RuntimeError("unlike Neo")

    if broken == "the patching":
        monkeypatch.setattr(bare.patches, "patch", failing_at(bare.patches.patch, 5))
    elif broken == "a callback":
        monkeypatch.setattr(bare.script_callbacks, "on_app_started", fails)
    else:
        del bare.modules["backend.memory_management"].soft_empty_cache
    functions = {name: getattr(bare.sd_models, name) for name in ("forge_loader", "forge_model_reload")}
    hooks, _ = importlib.import_module("lib_multipass.start").start("multipass")
    assert hooks.__name__ == "lib_multipass.page.off"
    assert {name: getattr(bare.sd_models, name) for name in functions} == functions
    assert bare.swap(A).sd_checkpoint_info is bare.checkpoints[A]


def test_a_wrapped_function_may_take_anything(bare):
    """As that of another edition may, while no job of ours runs."""
    from lib_multipass.webui.forge import slots

    given = (bare.checkpoints[A], 2, 3), {"another": 4}
    places = {(slot[1], slot[2]) for slot in slots.SLOTS} | {own[:2] for own in slots.OWN}
    asked = []
    for owner, name in places:
        setattr(owner, name, noting(name, asked))
    started(bare)
    for owner, name in sorted(places, key=lambda place: place[1]):
        asked.clear()
        got = getattr(owner, name)(*given[0], **given[1])
        assert asked == [(name, *given)], name
        assert "it" in (got, got[0]), name


def noting(name: str, asked: list):
    def function(*args, **kwargs):
        asked.append((name, args, kwargs))
        return "it", True

    return function


def failing_at(function, nth: int):
    calls = []

    def called(*args):
        calls.append(args)
        if len(calls) == nth:
            raise RuntimeError("unlike Neo")
        return function(*args)

    return called


def _thing(neo: Neo, name: str):
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in neo.modules:
            found = neo.modules[".".join(parts[:end])]
            for part in parts[end:]:
                found = getattr(found, part)
            return found
    raise AssertionError(name)


def test_a_parked_model_becomes_active_again(keeping):
    first, second = (keeping.host.models.loaded_model(keeping.checkpoints[name]) for name in (A, B))
    for name, model in ((B, second), (A, first), (B, second)):
        assert keeping.swap(name) is model
        assert keeping.sd_models.model_data.sd_model is model
        assert keeping.shared.sd_model is model
        assert keeping.host.models.active() is keeping.checkpoints[name]
    assert keeping.loads == []


def test_so_does_what_the_webui_reads_of_the_active_one(keeping):
    keeping.host.models.loaded_model(keeping.checkpoints[B]).forge_objects.vae.upscale_ratio = 16
    for name, flag, ratio in ((B, True, 16), (A, False, 8)):
        keeping.swap(name)
        assert (dynamic_args.krea2, keeping.processing.opt_f) == (flag, ratio)
        assert keeping.sd_models.model_data.forge_hash == str(keeping.sd_models.model_data.forge_loading_parameters)
        assert keeping.shared.opts.data["sd_checkpoint_hash"] == keeping.checkpoints[name].sha256


def test_the_webui_is_told_whether_the_model_is_another(keeping):
    keeping.select(B)
    assert [keeping.processing.forge_model_reload()[1] for _ in range(2)] == [True, False]


def test_without_a_decision_one_model_stays(neo):
    first = weakref.ref(neo.swap(A))
    neo.swap(B)
    assert dies(first)
    neo.swap(A)
    assert neo.loads == [A, B, A]


def test_what_has_no_place_is_loaded_every_time(neo):
    keep(neo, B, besides=(A,))
    first = weakref.ref(neo.swap(A))
    neo.swap(B)
    assert dies(first)
    neo.swap(A)
    neo.swap(B)
    assert neo.loads == [A, B, A]


def test_the_next_jobs_decision_evicts(keeping):
    parked = weakref.ref(keeping.host.models.loaded_model(keeping.checkpoints[B]))
    keep(keeping, A, C)
    assert dies(parked)
    keeping.swap(C)
    keeping.swap(A)
    assert keeping.loads == [C]


def test_letting_go_keeps_what_is_needed_next(keeping):
    first = weakref.ref(keeping.host.models.loaded_model(keeping.checkpoints[A]))
    keeping.host.models.let_go(keeping.checkpoints[B])
    assert dies(first)
    assert keeping.host.models.active() is keeping.checkpoints[B]
    assert keeping.sd_models.model_data.forge_loading_parameters["checkpoint_info"] is keeping.checkpoints[A]
    assert keeping.loads == []


def test_what_cannot_be_let_go_of_is_not_held_either(keeping, monkeypatch):
    def fails(*_args):
        raise RuntimeError("out of memory")

    first = weakref.ref(keeping.host.models.loaded_model(keeping.checkpoints[B]))
    monkeypatch.setattr(ours("webui.forge.engines"), "activate", fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        keeping.host.models.let_go(keeping.checkpoints[B])
    assert keeping.state.kept.decision is None
    assert dies(first)


def test_one_without_a_place_goes_when_a_kept_one_is_active_again(keeping):
    keep(keeping, B, besides=(C,))
    third = weakref.ref(keeping.swap(C))
    keeping.swap(B)
    assert dies(third)


def test_unloading_by_the_user_unloads_all(keeping):
    models = [weakref.ref(model) for model in keeping.host.models.loaded()]
    assert len(models) == 2
    keeping.sd_models.unload_model_weights()
    assert [dies(model) for model in models] == [True, True]
    assert keeping.state.kept.decision is None


def test_loads_are_counted(keeping):
    before = keeping.state.kept.loads
    keeping.swap(B)
    assert keeping.state.kept.loads == before
    keeping.swap(C)
    assert keeping.state.kept.loads == before + 1


def test_a_file_that_changed_is_loaded_anew(keeping):
    old = weakref.ref(keeping.host.models.loaded_model(keeping.checkpoints[B]))
    keeping.files[B].write_bytes(b"another")
    keeping.swap(B)
    assert keeping.loads == [B]
    assert dies(old)


def test_nunchakus_settings_are_those_of_now(keeping):
    """A model has those that it was loaded with."""
    old = weakref.ref(keeping.host.models.loaded_model(keeping.checkpoints[B]))
    keeping.shared.opts.data["svdq_cache_threshold"] = 0.12
    keeping.swap(B)
    assert keeping.loads == [B]
    assert dies(old)
    keeping.swap(A)
    keeping.swap(B)
    assert keeping.loads == [B, A]


@pytest.mark.parametrize("it_is_active", [False, True])
def test_after_a_failure_on_the_way_to_a_kept_one_the_next_job_has_its_own(keeping, monkeypatch, it_is_active):
    """The webui goes by its note of what is loaded."""
    data = keeping.sd_models.model_data
    makes_active = data.set_sd_model

    def fails(model):
        if it_is_active:
            makes_active(model)
        raise RuntimeError("on purpose")

    monkeypatch.setattr(data, "set_sd_model", fails)
    with pytest.raises(RuntimeError, match="on purpose"):
        keeping.swap(B)
    monkeypatch.undo()
    assert keeping.swap(A).sd_checkpoint_info is keeping.checkpoints[A]
    assert (keeping.host.models.active(), keeping.loads) == (keeping.checkpoints[A], [])


def test_another_module_makes_another_model_and_two_of_a_file_are_kept(keeping, tmp_path):
    further = tmp_path / "further.safetensors"
    further.write_bytes(b"further")
    begin_job(keeping, A, B, hr_additional_modules=[])
    for _ in range(2):
        keeping.swap(B)
        keeping.swap(B, keeping.vae)
    assert keeping.loads == ["beta + other"]
    keeping.swap(B, str(further))
    assert len([one for one in keeping.host.models.loaded() if one.sd_checkpoint_info.name_for_extra == B]) == 2


def test_a_vae_module_of_another_latent_space_is_left_out_of_a_jobs_models(neo):
    """ADetailer's passes have the first pass's modules, whatever the hires pass had."""
    keep(neo, A, B)
    begin_job(neo, A)
    vaes = ours("plan.decide").Vaes(apart=[str(neo.files[B])])
    part = neo.host.pass_vae.PassVae(vaes)
    neo.state.running.job.parts[type(part)] = part
    neo.swap(A, neo.vae)
    neo.swap(B)
    for _ in range(2):
        told = neo.swap(B, neo.vae), neo.sd_models.model_data.forge_loading_parameters["additional_modules"]
        assert told == (neo.host.models.loaded_model(neo.checkpoints[B]), [neo.vae])
        neo.swap(A, neo.vae)
    assert neo.loads == ["alpha + other", B]
    neo.state.running.job = None
    neo.swap(B, neo.vae)
    assert neo.loads[2:] == ["beta + other"]


@pytest.mark.parametrize("chosen", [[], ["other.safetensors"], ["other.safetensors", "clip.safetensors"]])
def test_the_second_passs_modules_are_on_its_checkpoint_for_the_whole_job(neo, chosen):
    """ADetailer has no field for them and would begin with the first pass's."""
    neo.host.vaes.module_names()
    keep(neo, A, B)
    begin_job(neo, A)
    part = neo.host.pass_vae.PassVae(ours("plan.decide").Vaes(modules={str(neo.files[B]): chosen}))
    neo.state.running.job.parts[type(part)] = part
    files = sorted(file for file in (neo.vae, neo.text_encoder) if Path(file).name in chosen)
    first = [neo.text_encoder]
    for _ in range(2):
        neo.swap(A, *first)
        hires_pass, faces = neo.swap(B, *files), neo.swap(B, *first)
        assert faces is hires_pass
        assert neo.sd_models.model_data.forge_loading_parameters["additional_modules"] == first
    assert neo.loads == ["alpha + clip", " + ".join([B, *(Path(file).stem for file in files)])]


def test_a_failed_load_leaves_the_kept_ones(keeping, monkeypatch):
    def fails(*_args, **_kwargs):
        raise OSError("no such file")

    with monkeypatch.context() as patch:
        patch.setattr(keeping.sd_models, "forge_loader", fails)
        with pytest.raises(OSError, match="no such file"):
            keeping.swap(C)
    assert keeping.host.models.active() is None
    keeping.swap(B)
    keeping.swap(A)
    assert keeping.loads == []


def test_tiling(keeping):
    model = keeping.swap(B)
    model.tiling_enabled = True
    keeping.swap(A)
    assert not keeping.swap(B).tiling_enabled


def test_tiling_of_a_job_reaches_all_its_models(keeping):
    begin_job(keeping, A, tiling=True)
    assert [keeping.swap(name).tiling_enabled for name in (B, A, C)] == [True] * 3
    keeping.state.running.job = None
    assert not keeping.swap(B).tiling_enabled


def test_the_noise_schedule(keeping):
    predictor = keeping.swap(B).forge_objects.unet.model.predictor
    as_made = {name: tensor.clone() for name, tensor in predictor.named_buffers()}
    predictor.set_sigmas(predictor.sigmas * 3)
    keeping.swap(A)
    keeping.swap(B)
    assert [tensor.equal(as_made[name]) for name, tensor in predictor.named_buffers()] == [True, True]


def test_texts_of_a_job(keeping):
    keeping.swap(B).extra_generation_params["of the last job"] = 1
    keeping.swap(A)
    assert keeping.swap(B).extra_generation_params == {}


def test_a_vae_goes_back_onto_the_model_that_it_was_taken_from(keeping):
    first, second = keeping.swap(A), keeping.host.models.loaded_model(keeping.checkpoints[B])
    own, others = (weights(model) for model in (first, second))
    keeping.sd_vae.store_base_vae(first)
    overwrite(first)
    keeping.swap(B)
    keeping.sd_vae.restore_base_vae(second)
    assert (weights(first), weights(second)) == (own, others)


def test_nested_overrides_come_off_from_within(keeping):
    first, second = keeping.swap(A), keeping.host.models.loaded_model(keeping.checkpoints[B])
    own, others = (weights(model) for model in (first, second))
    keeping.sd_vae.store_base_vae(first)
    overwrite(first)
    keeping.swap(B)
    keeping.sd_vae.store_base_vae(second)
    overwrite(second)
    keeping.sd_vae.restore_base_vae(second)
    assert weights(second) == others
    keeping.sd_vae.restore_base_vae(second)
    assert (weights(first), weights(second)) == (own, others)


def test_a_model_that_a_job_without_us_gave_anothers_vae_is_not_kept(neo):
    first = neo.swap(A)
    neo.sd_vae.store_base_vae(first)
    second = neo.swap(B)
    neo.sd_vae.restore_base_vae(second)
    assert neo.host.models.loaded() == []


def test_encoded_prompts_are_told_apart_by_the_active_model(keeping):
    p = begin_job(keeping, A)
    keys = set()
    for name in (A, B, A):
        keeping.swap(name)
        keys.add(p.cached_params("a cat"))
    assert len(keys) == 2
    keeping.state.running.job = None
    assert p.cached_params("a cat") == ("a cat",)


def test_in_a_job_the_stored_hash_stays_the_first_passs(keeping):
    begin_job(keeping, A)
    keeping.swap(A)
    keeping.swap(B)
    assert keeping.shared.opts.data["sd_checkpoint_hash"] == keeping.checkpoints[A].sha256
    assert keeping.sd_models.model_data.sd_model.sd_checkpoint_info is keeping.checkpoints[B]


def test_after_it_the_stored_hash_is_that_of_the_checkpoint_that_it_left_active(keeping, monkeypatch):
    monkeypatch.setattr(keeping.state.kept, "has_swapped", True)
    begin_job(keeping, A)
    keeping.swap(A)
    for _ in range(2):  # its passes on it, and a face
        keeping.swap(B)
    stored = keeping.shared.opts.data
    assert stored["sd_checkpoint_hash"] == keeping.checkpoints[A].sha256
    keeping.state.running.job = None
    keeping.swap(B)
    assert stored["sd_checkpoint_hash"] == keeping.checkpoints[B].sha256


def test_in_a_job_models_are_not_moved_away_for_nothing(keeping):
    keeping.swap(B)
    for job, wanted in ((False, True), (True, False)):
        if job:
            begin_job(keeping, A)
        keeping.processing.need_global_unload = True
        keeping.swap(B)
        assert keeping.processing.need_global_unload is wanted


def test_making_a_model_draws_no_random_numbers_of_a_job(keeping, monkeypatch):
    begin_job(keeping, A)
    load = keeping.sd_models.forge_loader
    monkeypatch.setattr(keeping.sd_models, "forge_loader", lambda *a, **k: (torch.rand(3), load(*a, **k))[1])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    keeping.swap(C)
    assert torch.get_rng_state().equal(before)


def weights(model) -> list[list[float]]:
    return [tensor.flatten().tolist() for tensor in model.first_stage_model.state_dict().values()]


@torch.inference_mode()
def overwrite(model) -> None:
    state = {name: tensor + 1 for name, tensor in model.first_stage_model.state_dict().items()}
    model.first_stage_model.load_state_dict(state)


@pytest.mark.parametrize(
    ("is_api", "hr_cfg", "left_out"), [(True, 1.0, True), (True, 6.0, False), (False, 6.0, True), (False, 3.0, False)]
)
def test_the_hires_cfg_scale_that_nobody_has_chosen(neo, is_api, hr_cfg, left_out):
    neo.host.controls.remember(SimpleNamespace(value=6.0), "txt2img_hr_cfg")
    p = neo.processing.StableDiffusionProcessingTxt2Img()
    p.is_api, p.hr_cfg, p.cfg_scale = is_api, hr_cfg, 5.0
    begins, of_first = neo.host.features.hires_cfg(p)
    assert (begins == hr_cfg, of_first) == (left_out, 5.0)


@pytest.mark.parametrize(
    ("setting", "hr_cfg", "left_out"),
    [(1.0, 1.0, True), (1.0, 6.0, False), (4.0, 4.0, False), (0, 6.0, True), (0, 1.0, False)],
)
def test_the_preset_puts_a_hires_cfg_scale_on_the_page_that_nobody_has_chosen(neo, setting, hr_cfg, left_out):
    """What is chosen in the preset's settings counts as chosen; 0 there leaves the page's slider as it is."""
    neo.host.controls.remember(SimpleNamespace(value=6.0), "txt2img_hr_cfg")
    neo.shared.opts.data |= {"forge_preset": "flux", "flux_t2i_hr_cfg": setting}
    neo.shared.opts.data_labels["flux_t2i_hr_cfg"] = SimpleNamespace(default=1.0)
    p = neo.processing.StableDiffusionProcessingTxt2Img()
    p.is_api, p.hr_cfg = False, hr_cfg
    assert (neo.host.features.hires_cfg(p)[0] == hr_cfg) == left_out


def test_a_refiner_has_no_part_in_a_job(neo):
    p = neo.processing.StableDiffusionProcessingTxt2Img()
    neo.shared.opts.data |= ours("plan.our_settings").DEFAULTS
    vars(p).update(prompt="", override_settings={}, refiner_checkpoint=C, refiner_switch_at=0.5, enable_hr=True)
    roles = ours("plan.roles").Roles(neo.checkpoints[A], neo.checkpoints[B], None)
    situation = neo.host.gathering.of_request(p, roles, [])
    assert (situation.refiner, situation.idle_refiner) == (None, neo.checkpoints[C])
    assert str(neo.files[C]) not in situation.facts


def test_vaes_are_named_by_their_files(neo):
    assert neo.host.vaes.names() == ["other.safetensors"]
    assert neo.host.vaes.module_names() == [
        "other.safetensors",
        "clip.safetensors",
    ]  # without a page nobody listed them
    assert neo.host.vaes.shown("other") == "other.safetensors"
    assert neo.host.vaes.named(neo.vae) == "other.safetensors"
    assert neo.host.vaes.automatic(str(neo.files[A])) is None


def test_a_config_beside_a_checkpoint_is_what_it_is_made_of(keeping):
    """It says of what kind its predictions are."""
    keeping.files[B].with_suffix(".yaml").write_text("model: {params: {parameterization: v}}")
    keeping.swap(B)
    keeping.swap(A)
    keeping.swap(B)
    assert keeping.loads == [B]


def test_a_vae_that_is_gone_with_its_model_is_put_on_no_other(keeping):
    """A later override that puts nothing on takes what is stored off all the same."""
    first = keeping.swap(A)
    keeping.sd_vae.store_base_vae(first)
    keep(keeping, B)
    second = keeping.swap(B)
    reference = weakref.ref(first)
    del first
    assert dies(reference)
    own = weights(second)
    keeping.sd_vae.restore_base_vae(second)
    keeping.sd_vae.restore_base_vae(second)
    assert weights(second) == own


def referring(model, *pictures: str):
    """A model that edits pictures, as ImageStitch leaves it: with those that it has read."""
    model.ref_latents, model.ini_latent = [*pictures], None
    model.clear_references = model.ref_latents.clear
    return model


def test_references_of_an_earlier_job_do_not_act_in_a_second_pass(keeping):
    """ImageStitch clears those of the first pass's model alone, and reads them anew for another one."""
    editor = referring(keeping.swap(A), "a chair")
    begin_job(keeping, B)
    keeping.swap(B)
    assert keeping.swap(A) is editor
    assert editor.ref_latents == []


def test_references_hold_for_all_batches_and_for_the_next_job(keeping):
    """ImageStitch reads the same ones for the same model no second time."""
    editor = referring(keeping.swap(A), "a chair")
    for _ in range(2):
        begin_job(keeping, A)
        keeping.swap(A)
        keeping.swap(B)
    keeping.state.running.job = None
    keeping.host.models.let_go(keeping.checkpoints[A])
    assert keeping.sd_models.model_data.sd_model is editor
    assert editor.ref_latents == ["a chair"]


@pytest.mark.parametrize("name", [B, C], ids=["kept", "loaded"])
def test_references_end_with_another_first_pass(keeping, name):
    keep(keeping, A, B, C)
    editor = referring(keeping.swap(A), "a chair")
    begin_job(keeping, name)
    keeping.swap(name)
    begin_job(keeping, A)
    keeping.swap(A)
    assert editor.ref_latents == []


def test_an_edition_that_clears_no_references_swaps(keeping):
    keeping.host.models.loaded_model(keeping.checkpoints[B]).ref_latents = ["a chair"]
    begin_job(keeping, A)
    assert keeping.swap(B).sd_checkpoint_info is keeping.checkpoints[B]


def test_a_picture_that_an_interrupted_pass_has_left_is_no_reference(keeping):
    editor = referring(keeping.swap(A))
    editor.ini_latent = "half of it"
    keeping.swap(B)
    assert keeping.swap(A).ini_latent is None


def with_networks(model) -> list:
    """A model as a job with a LoRA leaves it; what its diffusion model is then."""
    model.current_lora_hash = "[['detail.safetensors', 1.0, 1.0, False]]"
    worked_in = model.forge_objects_original.unet.clone()
    model.forge_objects_after_applying_lora.unet = worked_in
    model.forge_objects = SimpleNamespace(**vars(model.forge_objects_after_applying_lora))
    return worked_in


@pytest.mark.parametrize("disabled", [True, False])
def test_networks_of_an_earlier_job_do_not_act_where_they_are_disabled(keeping, disabled):
    """The webui sets none then, and takes the model for one that was just loaded."""
    model = keeping.swap(B)
    worked_in = with_networks(model)
    model.forge_objects.unet.model.diffusion_model.loras = networks = ["of a quantised model"]
    keeping.swap(A)
    begin_job(keeping, A, disable_extra_networks=disabled)
    model = keeping.swap(B)
    for acts in (model.forge_objects_after_applying_lora.unet, model.forge_objects.unet):
        assert (acts is model.forge_objects_original.unet, acts is worked_in) == (disabled, not disabled)
    assert (model.current_lora_hash == str([]), networks == []) == (disabled, disabled)


class Database:
    """The textual inversions of a text encoder, read once when its model is built."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.times = folder, 0
        self.load_textual_inversion_embeddings()

    def load_textual_inversion_embeddings(self) -> None:
        self.names = sorted(file.stem for file in self.folder.rglob("*.pt"))
        self.times += 1


def test_embeddings_that_were_added_are_read_when_a_model_is_active_again(neo, tmp_path, monkeypatch):
    """A model that is built anew would read them."""
    folder = tmp_path / "embeddings" / "mine"
    folder.mkdir(parents=True)
    monkeypatch.setattr(dynamic_args, "embedding_dir", str(folder.parent))
    keep(neo, A, B)
    model = neo.swap(A)
    model.text_processing_engine_l = SimpleNamespace(embeddings=Database(folder.parent))
    p = begin_job(neo, A)
    keys = []
    for _ in range(2):
        neo.swap(B)
        neo.swap(A)
        keys.append(p.cached_params("a cat by me"))
    assert keys[0] == keys[1]
    (folder / "me.pt").write_bytes(b"me")
    neo.swap(B)
    neo.swap(A)
    assert (model.text_processing_engine_l.embeddings.names, neo.loads) == (["me"], [A, B])
    assert p.cached_params("a cat by me") != keys[0]
    neo.swap(B)
    neo.swap(A)
    assert model.text_processing_engine_l.embeddings.times == 2


T5 = {"encoder.block.0.layer.0.SelfAttention.q.weight": [4, 4], "shared.weight": [4, 4]}
QWEN = {"model.layers.0.self_attn.q_proj.weight": [4, 4], "model.norm.weight": [4]}
WAN_VAE = {"encoder.conv1.weight": [4, 4], "decoder.middle.0.residual.0.gamma": [4], "conv1.weight": [4, 4]}


@pytest.mark.parametrize(("shapes", "is_vae"), [(T5, False), (QWEN, False), (WAN_VAE, True)])
def test_a_text_encoder_in_the_folder_of_the_vaes_is_none(neo, tmp_path, shapes, is_vae):
    """Neo looks for both kinds of modules in either folder, and tells them by their tensors."""
    file = write_hollow(tmp_path / "there.safetensors", header(shapes))
    neo.sd_vae.vae_dict["there.safetensors"] = str(file)
    neo.host.vaes.module_names()
    modules = neo.modules["modules_forge.main_entry"].module_list
    modules["there.safetensors"] = str(file)
    assert ("there.safetensors" in neo.host.vaes.names()) == is_vae
    args = ours("plan.args").PassArgs.parse([{"checkpoint": B, "vae": ["other", "there"]}])
    files = neo.host.vaes.names(), neo.host.vaes.module_names()
    roles = ours("plan.roles").roles_of(args, neo.checkpoints[A], neo.checkpoints.values(), *files)
    assert roles.own.vae == ("there.safetensors" if is_vae else "other.safetensors")
    assert roles.own.modules == ("other.safetensors", "there.safetensors")


def test_a_text_encoder_there_stays_where_the_first_passs_vae_does_not(neo, tmp_path):
    neo.shared.opts.data |= ours("plan.our_settings").DEFAULTS
    file = write_hollow(tmp_path / "there.safetensors", header(QWEN))
    neo.sd_vae.vae_dict["there.safetensors"] = str(file)
    neo.shared.opts.data["forge_additional_modules"] = [str(file), neo.vae]
    p = begin_job(neo, A, prompt="", override_settings={}, refiner_checkpoint=None, enable_hr=True)
    roles = ours("plan.roles").Roles(neo.checkpoints[A], neo.checkpoints[B], None)
    found = neo.host.gathering.of_request(p, roles, []).vaes
    assert ([*found.files], found.module) == (["other.safetensors"], "other.safetensors")
    assert found.module_facts.file_bytes == Path(neo.vae).stat().st_size
    keep(neo, A, B)
    part = neo.host.pass_vae.PassVae(ours("plan.decide").Vaes(apart=[str(neo.files[B])]))
    neo.state.running.job.parts[type(part)] = part
    neo.swap(B, str(file), neo.vae)
    assert neo.loads == ["beta + there"]


def test_a_vae_beside_the_checkpoints_is_no_module_and_not_to_be_chosen(neo):
    """Neo would leave it out of the hires pass's modules without a word; an override can name it."""
    neo.sd_vae.vae_dict["beta.vae.safetensors"] = str(neo.files[B].with_suffix(".vae.safetensors"))
    assert neo.host.vaes.names() == ["other.safetensors"]
    args = ours("plan.args").PassArgs.parse([{"checkpoint": B, "vae": "beta.vae"}])
    files = neo.host.vaes.names(), neo.host.vaes.module_names()
    with pytest.raises(ours("words").MultipassError) as caught:
        ours("plan.roles").roles_of(args, neo.checkpoints[A], neo.checkpoints.values(), *files)
    assert "there is no VAE 'beta.vae'" in caught.value.detail


@pytest.mark.parametrize("active", [0, 1])
def test_a_set_of_modules_that_an_earlier_job_had_is_let_go_of_at_once(neo, active):
    """The plan counts one; which of them was used last does not matter."""
    keep(neo, A)
    begin_job(neo, A, A, hr_additional_modules=[Path(neo.vae).name])
    made = [neo.swap(A), neo.swap(A, neo.vae)]
    neo.swap(A, *[neo.vae] * active)
    assert len(neo.host.models.loaded()) == 2
    begin_job(neo, A, B)
    keep(neo, A, B)
    assert neo.host.models.loaded() == made[:1]
    neo.swap(A)
    assert neo.loads == [A, "alpha + other"]


def test_a_job_of_the_webui_has_one_set_of_modules_of_a_file(keeping):
    """Image to image, after the user chose another VAE: one more than planned would be kept otherwise."""
    keeping.swap(B, keeping.vae)
    assert keeping.loads == ["beta + other"]
    assert sorted(one.sd_checkpoint_info.name_for_extra for one in keeping.host.models.loaded()) == [A, B]


@pytest.mark.parametrize(
    ("passes", "fields", "of_second", "stays"),
    [
        ((A, B), {}, False, False),
        ((B, A), {}, False, False),
        ((B, A), {"hr_additional_modules": ["Use same choices"]}, False, False),
        ((B, A), {"hr_additional_modules": []}, False, True),
        ((B, A), {"hr_additional_modules": []}, True, False),
        ((A, A), {"hr_additional_modules": []}, False, True),
        ((A, B), {"hr_additional_modules": []}, False, False),
    ],
)
def test_a_model_with_modules_that_no_pass_has_makes_room_first(neo, monkeypatch, passes, fields, of_second, stays):
    """Only a checkpoint of the hires pass may have two sets of modules, and be counted twice."""
    keep(neo, A, B)
    old = weakref.ref(neo.swap(A))
    neo.swap(B)
    begin_job(neo, *passes, **fields)
    if of_second:
        vaes = ours("plan.decide").Vaes(modules={str(neo.files[A]): ["clip.safetensors"]})
        neo.state.running.job.plan.vaes = vaes
    load, was_there = neo.sd_models.forge_loader, []

    def loading(*args, **kwargs):
        was_there.append(not dies(old))
        return load(*args, **kwargs)

    monkeypatch.setattr(neo.sd_models, "forge_loader", loading)
    neo.swap(A, neo.text_encoder)
    assert was_there == [stays]
    assert neo.loads == [A, B, "alpha + clip"]


BARE = {"layers.0.attention.qkv.weight": [40, 40], "cap_embedder.1.weight": [10, 10]}
BARE_UNET = {"input_blocks.0.0.weight": [8, 4, 3, 3]}
BARE_UNET |= {"input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [8, 768]}
UNET_ALONE = {f"model.diffusion_model.{name}": shape for name, shape in BARE_UNET.items()}
FLUX = {"double_blocks.0.img_attn.qkv.weight": [40, 40], "double_blocks.0.img_attn.qkv.bias": [40]}
WITH_TEXT = {f"model.diffusion_model.{name}": shape for name, shape in FLUX.items()}
WITH_TEXT |= {"text_encoders.clip_l.transformer.text_model.embeddings.token_embedding.weight": [4, 4]}


@pytest.mark.parametrize(
    ("shapes", "dtype", "size"),
    [(BARE, "BF16", None), (BARE, "F8_E4M3", None), (FLUX, "F16", 2 * 1640), (FLUX, "F8_E4M3", 1600 + 2 * 40)],
)
def test_what_a_checkpoint_of_one_of_neos_architectures_takes(neo, tmp_path, shapes, dtype, size):
    """Where the names of its tensors tell nothing it is the whole file; Neo leaves weights in 8 bits."""
    neo.modules["modules.devices"].dtype_unet = neo.modules["modules.devices"].dtype_vae = torch.float16
    file = write_hollow(tmp_path / "it.safetensors", header(shapes, dtype))
    facts = ours("memory.headers").read_facts(file)
    assert neo.host.files.loaded_size(facts) == (file.stat().st_size if size is None else size)


@pytest.mark.parametrize(
    ("shapes", "own", "counted"),
    [(FLUX, None, True), (FLUX, (), False), (FLUX, ("clip.safetensors",), True), (WITH_TEXT, None, False)],
)
def test_text_encoders_that_are_modules_count(neo, shapes, own, counted):
    """A model has each of its own, though another one may have the same."""
    neo.modules["modules.devices"].dtype_unet = neo.modules["modules.devices"].dtype_vae = torch.float16
    neo.shared.opts.data |= ours("plan.our_settings").DEFAULTS
    neo.host.vaes.module_names()
    Path(neo.text_encoder).write_bytes(b"x" * 999)
    for name in (A, B):
        write_hollow(neo.files[name], header(shapes))
    sizes = []
    for modules in ([], [neo.text_encoder, neo.vae]):
        neo.shared.opts.data["forge_additional_modules"] = modules
        p = begin_job(neo, A, prompt="", override_settings={}, refiner_checkpoint=None, enable_hr=True)
        second = ours("plan.second_pass").SecondPass(modules=own if modules else None)
        roles = ours("plan.roles").Roles(neo.checkpoints[A], neo.checkpoints[B], None, second)
        models = neo.host.gathering.of_request(p, roles, []).models
        sizes.append([models[str(neo.files[name])].size for name in (A, B)])
    more = [after - before for before, after in zip(*sizes, strict=True)]
    assert more == [999 * (shapes is FLUX), 999 * counted]


@pytest.mark.parametrize("shapes", [UNET_ALONE, BARE_UNET], ids=["no VAE and no text encoder", "names of its own"])
def test_a_checkpoint_without_parts_is_left_to_the_webui(neo, shapes):
    """With modules Neo loads what A1111 cannot; nobody lends anything there, whatever else is loaded."""
    neo.shared.opts.data |= ours("plan.our_settings").DEFAULTS
    keep(neo, C)
    write_hollow(neo.files[B], header(shapes))
    assert ours("memory.headers").read_facts(neo.files[B]).lacks
    p = begin_job(neo, A, prompt="", override_settings={}, refiner_checkpoint=None, enable_hr=True)
    p.__dict__ |= {"hr_scale": 2, "batch_size": 1, "hr_upscaler": "None"}
    roles = ours("plan.roles").Roles(neo.checkpoints[A], neo.checkpoints[B], None)
    made = ours("plan.decide").decide(roles, neo.host.gathering.of_request(p, roles, []))
    assert not [said for said in made.comments if "of its own" in said]


def test_models_of_one_file_with_other_modules_count_each(neo):
    neo.shared.opts.data |= ours("plan.our_settings").DEFAULTS
    keep(neo, A, B)
    write_hollow(neo.files[A], header(FLUX))
    facts = ours("memory.headers").read_facts(neo.files[A])
    models = []
    begin_job(neo, A, A, hr_additional_modules=[Path(neo.vae).name])
    for modules in ((), (neo.vae,)):
        neo.swap(A, *modules)
        models.append(neo.host.gathering.model_of(neo.checkpoints[A], facts, False))
    assert [model.sets for model in models] == [1, 2]
    assert models[1].size == 2 * models[0].size


@pytest.mark.parametrize(
    ("name", "first", "expected"), [("x.gguf", False, True), ("x", False, False), ("x", True, True)]
)
@pytest.mark.parametrize("fails", [False, True])
def test_loras_are_not_put_into_the_weights_of_a_hires_passs_gguf(neo, monkeypatch, name, first, expected, fails):
    """Neo looks at the first pass's file for that."""
    monkeypatch.setattr(dynamic_args, "online_lora", first)
    file = neo.files[B].with_name(name)
    file.write_bytes(b"x")
    neo.checkpoints[B].filename = str(file)
    neo.swap(B)
    told = []
    with contextlib.suppress(RuntimeError), neo.host.pass_vae.PassVae(ours("plan.decide").Vaes()).hires_pass():
        told.append(dynamic_args.online_lora)
        if fails:
            raise RuntimeError
    assert told == [expected]
    assert dynamic_args.online_lora is first


def test_an_edition_without_a_folder_of_embeddings_loads_and_swaps(neo, monkeypatch):
    monkeypatch.delattr(dynamic_args, "embedding_dir")
    keep(neo, A, B)
    for name in (A, B, A, B):
        neo.swap(name)
    assert neo.loads == [A, B]


@pytest.mark.parametrize(
    ("second", "modules", "in_hires", "anew"),
    [
        (A, ("clip.safetensors",), True, True),
        (A, (), True, True),
        (A, None, True, False),
        (A, ("clip.safetensors",), False, False),
        (B, ("clip.safetensors",), True, False),
    ],
)
def test_texts_of_a_hires_pass_with_text_encoders_of_its_own(neo, second, modules, in_hires, anew):
    """With the first pass's checkpoint Neo has encoded them before, with the first pass's text encoders."""
    p = begin_job(neo, A, second, is_hr_pass=in_hires, hr_c="early", hr_uc="early", _multipass=1)
    own = ours("plan.second_pass").SecondPass(modules=modules)
    neo.state.running.job.plan.roles = ours("plan.roles").Roles(neo.checkpoints[A], neo.checkpoints[second], None, own)
    p.calculate_hr_conds()
    assert (p.hr_c, p.hr_uc) == ((None, None) if anew else ("early", "early"))


@pytest.mark.parametrize("flows", [False, True])
def test_a_second_passs_model_does_not_get_the_firsts_noise_schedule(keeping, monkeypatch, flows):
    """After a job with *Zero Terminal SNR* Neo gives the active model the first one's, and fails if it takes none."""
    p = begin_job(keeping, A)
    p.hr_checkpoint_info = keeping.checkpoints[B]
    predictor = keeping.host.models.loaded_model(keeping.checkpoints[B]).forge_objects.unet.model.predictor
    if flows:
        monkeypatch.delattr(type(predictor), "set_sigmas")
    own = predictor.sigmas.clone()
    keeping.swap(A)
    keeping.host.models.activate(keeping.checkpoints[B])
    predictor.set_sigmas(own * 3)
    assert predictor.sigmas.equal(own)
    keeping.swap(B)  # ADetailer's job, which may have the same schedule for its own model
    if not flows:
        predictor.set_sigmas(own * 3)
        assert predictor.sigmas.equal(own * 3)
    assert hasattr(predictor, "set_sigmas") != flows


def test_another_swap_holds_no_noise_schedule(keeping):
    p = begin_job(keeping, A)
    p.hr_checkpoint_info = keeping.checkpoints[C]
    predictor = keeping.host.models.loaded_model(keeping.checkpoints[B]).forge_objects.unet.model.predictor
    keeping.host.models.activate(keeping.checkpoints[B])
    predictor.set_sigmas(predictor.sigmas * 3)
    assert predictor.sigmas[-1] > 30


def test_a_held_noise_schedule_is_the_same_one(keeping):
    """Or its pass would not be kept."""
    patchers = ours("webui.a1111.patchers")
    p = begin_job(keeping, A)
    model = keeping.host.models.loaded_model(keeping.checkpoints[B])
    before = [*patchers.as_sampled(model)["noise schedule"]]
    p.hr_checkpoint_info = keeping.checkpoints[B]
    keeping.host.models.activate(keeping.checkpoints[B])
    assert [*patchers.as_sampled(model)["noise schedule"]] == before


def test_the_noise_schedule_of_a_model_that_was_active_already_is_set_back(keeping):
    """As that of the upscale button's job, which begins with the second checkpoint's model."""
    p = begin_job(keeping, A)
    p.hr_checkpoint_info = keeping.checkpoints[B]
    predictor = keeping.swap(B).forge_objects.unet.model.predictor
    own = predictor.sigmas.clone()
    predictor.set_sigmas(own * 3)
    keeping.host.models.activate(keeping.checkpoints[B])
    predictor.set_sigmas(own)
    assert predictor.sigmas.equal(own)


def test_a_model_without_a_place_is_gone_while_the_second_passs_is_made(neo, monkeypatch):
    p = begin_job(neo, A)
    p.hr_checkpoint_info = neo.checkpoints[B]
    keep(neo, B, besides=(A,))
    first, load, was_there = weakref.ref(neo.swap(A)), neo.sd_models.forge_loader, []

    def loading(*args, **kwargs):
        was_there.append(not dies(first))
        return load(*args, **kwargs)

    monkeypatch.setattr(neo.sd_models, "forge_loader", loading)
    del neo.shared.sd_model  # in Neo this asks ``model_data``
    neo.host.models.activate(neo.checkpoints[B])
    assert was_there == [False]


@pytest.mark.parametrize("is_found", [True, False])
def test_a_vae_that_its_api_has_refreshed_is_a_module_too(neo, monkeypatch, is_found):
    """``/sdapi/v1/refresh-vae`` tells of VAE files alone; of one in a folder that is a link no search ever does."""
    entry, times = neo.modules["modules_forge.main_entry"], []
    assert "new.safetensors" not in neo.host.vaes.names()
    file = Path(neo.vae).with_name("new.safetensors")
    neo.sd_vae.vae_dict["new.safetensors"] = str(file)

    def refresh():
        times.append(1)
        entry.module_list.update({"new.safetensors": str(file)} if is_found else {})

    monkeypatch.setattr(entry, "refresh_models", refresh)
    assert [("new.safetensors" in neo.host.vaes.names()) for _ in range(2)] == [is_found] * 2
    assert times == [1]


def test_a_job_begins_with_what_the_webui_was_told_to_load(neo):
    """X/Y/Z plot's *Checkpoint name* tells it so, and leaves the selected one as it is."""
    first_of, settle = neo.host.checkpoints.first_of, neo.host.checkpoints.settle
    p = SimpleNamespace(override_settings={"CLIP_stop_at_last_layers": 2})
    given = p.override_settings
    assert first_of(p) is neo.checkpoints[A]  # it was told nothing yet
    neo.select(B)
    assert first_of(p) is neo.host.checkpoints.base_of(p) is neo.checkpoints[B]
    settle(p, first_of(p))
    assert neo.host.checkpoints.by_alias(p.override_settings["sd_model_checkpoint"]) is neo.checkpoints[B]
    assert given == {"CLIP_stop_at_last_layers": 2}  # a plot's cells share it
    assert p.override_settings["CLIP_stop_at_last_layers"] == 2


def test_an_override_of_the_checkpoint_wins_where_the_webui_follows_it(neo):
    """It ignores one that changes nothing."""
    first_of, settle = neo.host.checkpoints.first_of, neo.host.checkpoints.settle
    neo.select(B)
    another = SimpleNamespace(override_settings={"sd_model_checkpoint": C})
    assert first_of(another) is neo.checkpoints[C]
    settle(another, first_of(another))
    assert another.override_settings == {"sd_model_checkpoint": C}
    selected = SimpleNamespace(override_settings={"sd_model_checkpoint": A})
    assert first_of(selected) is neo.checkpoints[B]


def test_a_checkpoint_that_is_gone_is_not_begun_with(neo):
    neo.select(B)
    neo.sd_models.checkpoint_aliases.clear()
    assert neo.host.checkpoints.first_of(SimpleNamespace(override_settings={})) is neo.checkpoints[A]


def test_memory_goes_back_to_the_system_once_a_model_is_gone(keeping, monkeypatch):
    parked, alive = weakref.ref(keeping.host.models.loaded_model(keeping.checkpoints[B])), []
    monkeypatch.setattr(ours("memory.freed"), "give_back", lambda: alive.append(parked() is not None))
    keeping.host.models.let_go(keeping.checkpoints[A])
    assert alive == [False]
