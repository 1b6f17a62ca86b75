"""Text encoders of Forge Neo's models that are modules: equal ones of two kept models are held once."""

from __future__ import annotations

import gc
import importlib
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from support.as_neo import forge_neo, started
from support.layouts import header, write_hollow
from support.neo import A, B, Patcher

FLUX_BLOCK, WORDS = "double_blocks.0.img_attn.qkv.weight", "shared.weight"


def ours(name: str):
    return importlib.import_module(f"lib_multipass.{name}")


@pytest.fixture
def neo(tmp_path):
    with forge_neo(tmp_path) as made:
        made.host = started(made)
        yield made


@pytest.fixture
def share(neo):
    return ours("webui.forge.encoders").share


class Clip:
    """What Neo's class of this name holds."""

    def __init__(self, encoders: torch.nn.Module, patcher: Patcher | None = None) -> None:
        self.cond_stage_model, self.patcher = encoders, patcher or Patcher(encoders)

    def clone(self) -> Clip:
        return Clip(self.cond_stage_model, self.patcher.clone())


class Engine:
    """What turns texts into conditionings."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        self.text_encoder, self.embeddings = encoder, SimpleNamespace()


class Model:
    """A model as Neo has just made it, with a table of words and a layer."""

    sd_checkpoint_info = SimpleNamespace(name_for_extra="one")

    def __init__(self, seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = {"words": torch.nn.Embedding(8, 4), "layer": torch.nn.Linear(4, 4)}
        encoders = torch.nn.ModuleDict({"t5": torch.nn.ModuleDict(layers).requires_grad_(False).to(dtype)})
        self.forge_objects_original = SimpleNamespace(clip=Clip(encoders))
        self.forge_objects, self.forge_objects_after_applying_lora = (
            SimpleNamespace(**vars(self.forge_objects_original)) for _ in range(2)
        )
        self.text_processing_engine_t5 = Engine(encoders["t5"])

    @property
    def encoders(self) -> torch.nn.Module:
        return self.forge_objects_original.clip.cond_stage_model


def test_equal_ones_are_held_once(share):
    kept, new = Model(), Model()
    gone = weakref.ref(new.encoders)
    kept.encoders["t5"]["words"].to(torch.float32)  # as the webui uses it
    share(new, [Model(1), kept])
    gc.collect()
    assert gone() is None
    assert new.text_processing_engine_t5 is not kept.text_processing_engine_t5
    for name in ("text_encoder", "embeddings"):
        assert getattr(new.text_processing_engine_t5, name) is getattr(kept.text_processing_engine_t5, name)
    for objects in (new.forge_objects, new.forge_objects_original, new.forge_objects_after_applying_lora):
        assert objects.clip.cond_stage_model is kept.encoders
        assert objects.clip.patcher.parent is kept.forge_objects_original.clip.patcher
        assert objects.clip.patcher.backup is kept.forge_objects_original.clip.patcher.backup
    assert kept.forge_objects.clip.patcher.parent is None
    gone = weakref.ref(kept)
    del kept
    gc.collect()
    assert gone() is None


def test_a_list_of_textual_inversions_is_the_newest(share):
    kept, new = Model(), Model()
    old, read = kept.text_processing_engine_t5.embeddings, new.text_processing_engine_t5.embeddings
    old.known, read.known = {"early": 1}, {"early": 1, "late": 2}
    share(new, [kept])
    assert new.text_processing_engine_t5.embeddings is kept.text_processing_engine_t5.embeddings is old
    assert old.known == {"early": 1, "late": 2}


def test_what_no_file_brings_and_nobody_reads_does_not_count(share):
    kept, new = Model(), Model()
    for model, value in ((kept, 1.0), (new, float("nan"))):
        projection = torch.nn.ModuleDict({"text_projection": torch.nn.Linear(2, 2, bias=False).requires_grad_(False)})
        projection["text_projection"].weight.fill_(value)
        model.encoders["clip_l"] = torch.nn.ModuleDict({"transformer": projection})
    share(new, [kept])
    assert new.encoders is kept.encoders


def test_what_is_no_number_is_compared_too(share):
    kept, new = Model(), Model()
    for model in (kept, new):
        model.encoders["t5"]["layer"].weight.data[0, 0] = float("nan")
    share(new, [kept])
    assert new.encoders is kept.encoders


def test_weights_that_a_lora_is_in_are_compared_as_they_were(share):
    """Text encoders that work on the CPU stay patched while another model is loaded."""
    kept, new = Model(), Model()
    layer = kept.encoders["t5"]["layer"]
    backup = kept.forge_objects_original.clip.patcher.backup
    backup["t5.layer.weight"] = SimpleNamespace(weight=layer.weight.data.clone())
    layer.weight.data += 1
    share(new, [kept])
    assert new.encoders is kept.encoders


def test_an_error_leaves_the_model_as_it_was(share, monkeypatch, caplog):
    kept, new = Model(), Model()
    own = new.encoders

    def fails(*_args):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(torch, "equal", fails)
    share(new, [kept])
    assert new.encoders is own
    assert new.text_processing_engine_t5.text_encoder is own["t5"]
    assert "the text encoders of one could not be compared" in caplog.text


PATCHED = [("theirs", False, True), ("own", False, False), (None, False, False), ("theirs", True, False)]


@pytest.mark.parametrize(("patched", "in_job", "detached"), PATCHED)
def test_outside_a_job_another_models_loras_are_taken_out(neo, monkeypatch, patched, in_job, detached):
    """The webui may save the model, which encodes nothing before."""
    placement, state = ours("memory.placement"), ours("state")
    places = {str(neo.files[name]): placement.RAM for name in (A, B)}
    neo.host.models.keep(placement.Decision(places), neo.checkpoints[A])
    first, told = neo.swap(A), []
    encoders = torch.nn.Identity()
    encoders.current_weight_patches_uuid = patched
    clip = Clip(encoders)
    clip.patcher.patches_uuid, clip.patcher.detach = "own", lambda: told.append("detached")
    first.forge_objects.clip = first.forge_objects_original.clip = clip
    neo.swap(B)
    if in_job:
        plan = SimpleNamespace(base=neo.checkpoints[A], second=neo.checkpoints[B], in_use=())
        job = {"owner": lambda: None, "plan": plan, "parts": {}, "journal": ours("plan.report").Journal(), "number": 1}
        monkeypatch.setattr(state.running, "job", SimpleNamespace(**job))
    neo.host.models.activate(neo.checkpoints[A])
    assert told == ["detached"] * detached


class Quantised(torch.nn.Parameter):
    """A weight whose bytes do not tell all, as Neo has of GGUF files."""


def _other_weight(kept: Model) -> None:
    kept.encoders["t5"]["layer"].weight.data[0, 0] += 1


def _other_shape(kept: Model) -> None:
    kept.encoders["t5"]["layer"] = torch.nn.Linear(4, 5, dtype=torch.bfloat16)


def _another_part(kept: Model) -> None:
    kept.encoders["t5"]["more"] = torch.nn.Linear(4, 4, dtype=torch.bfloat16)


def _another_kind(kept: Model) -> None:
    kept.__class__ = type("Other", (Model,), {})
    kept.text_processing_engine_t5 = SimpleNamespace(**vars(kept.text_processing_engine_t5))


def _elsewhere(kept: Model) -> None:
    kept.encoders["t5"]["layer"].to("meta")


def _coarser(kept: Model) -> None:
    kept.encoders.to(torch.float16)


def _quantised(kept: Model) -> None:
    layer = kept.encoders["t5"]["layer"]
    layer.weight = Quantised(layer.weight.data, requires_grad=False)


DIFFERENCES = (_other_weight, _other_shape, _another_part, _another_kind, _elsewhere, _coarser, _quantised)


@pytest.mark.parametrize("change", DIFFERENCES, ids=lambda change: change.__name__[1:])
def test_others_stay(share, change):
    kept, new = Model(), Model()
    own, encoder = new.encoders, new.text_processing_engine_t5.text_encoder
    change(kept)
    share(new, [kept])
    assert new.encoders is own
    assert new.forge_objects.clip.cond_stage_model is own
    assert new.text_processing_engine_t5.text_encoder is encoder


def test_quantised_ones_stay_though_both_are(share):
    kept, new = Model(), Model()
    own = new.encoders
    _quantised(kept)
    _quantised(new)
    share(new, [kept])
    assert new.encoders is own


def test_floats_of_8_bits_are_compared_by_their_bytes(share):
    kept, same, other = (Model(seed, torch.float8_e4m3fn) for seed in (0, 0, 1))
    share(other, [kept])
    share(same, [kept])
    assert same.encoders is kept.encoders
    assert other.encoders is not kept.encoders


@pytest.mark.parametrize("change", ["no user", "a user with another encoder"])
def test_a_model_whose_texts_are_encoded_in_another_way_keeps_its_own(share, change):
    kept, new = Model(), Model()
    own = new.encoders
    for model in (kept, new):
        if change == "no user":
            del model.text_processing_engine_t5
        else:
            model.text_processing_engine_t5.text_encoder = torch.nn.Linear(1, 1)
    share(new, [kept])
    assert new.encoders is own


SETS = [(["clip"], True), (["clip", "other"], True), (["other"], False), ([], False)]


@pytest.mark.parametrize(("of_second", "asked"), SETS)
def test_kept_models_with_a_file_in_common_are_asked(neo, monkeypatch, of_second, asked):
    files, told = {"clip": neo.text_encoder, "other": neo.vae}, []
    monkeypatch.setattr(ours("webui.forge.encoders"), "share", lambda model, others: told.append([*others]))
    placement = ours("memory.placement")
    places = {str(neo.files[name]): placement.RAM for name in (A, B)}
    neo.host.models.keep(placement.Decision(places), neo.checkpoints[A])
    first = neo.swap(A, neo.text_encoder)
    neo.swap(B, *(files[name] for name in of_second))
    assert told == [[], [first] if asked else []]


@pytest.mark.parametrize(
    ("dtype", "marks", "held"),
    [
        ("BF16", (FLUX_BLOCK,) * 2, 1),
        ("F8_E4M3", (FLUX_BLOCK,) * 2, 2),
        ("BF16", (FLUX_BLOCK, "joint_blocks.0.x_block.attn.qkv.weight"), 2),
        ("BF16", ("llm_adapter.blocks.0.cross_attn.q_proj.weight",) * 2, 2),
    ],
    ids=["plain", "perhaps quantised", "other architectures", "Anima"],
)
def test_the_plan_counts_what_is_held_once_once(neo, dtype, marks, held):
    neo.shared.opts.data |= ours("plan.our_settings").DEFAULTS
    neo.host.vaes.module_names()
    for name, mark in zip((A, B), marks, strict=True):
        write_hollow(neo.files[name], header({mark: [4, 4]}))
    write_hollow(Path(neo.text_encoder), header({WORDS: [100, 10]}, dtype))
    p = neo.processing.StableDiffusionProcessingTxt2Img()
    vars(p).update(prompt="", override_settings={}, refiner_checkpoint=None, enable_hr=True)
    roles = ours("plan.roles").Roles(
        neo.checkpoints[A], neo.checkpoints[B], None, ours("plan.second_pass").SecondPass()
    )
    sizes = []
    for modules in ([], [neo.text_encoder]):
        neo.shared.opts.data["forge_additional_modules"] = modules
        models = neo.host.gathering.of_request(p, roles, []).models
        sizes.append([models[str(neo.files[name])] for name in (A, B)])
    more = [after.size - before.size for before, after in zip(*sizes, strict=True)]
    alone = more[0]
    assert alone > 0
    assert more == [alone, alone * (held - 1)]
    assert alone == Path(neo.text_encoder).stat().st_size + 2 * 1000  # the table of words in float32
    reading = [after.reading - before.reading for before, after in zip(*sizes, strict=True)]
    assert reading == [alone if held == 1 else 0] * 2  # whichever is loaded while the other is there
