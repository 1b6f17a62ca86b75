"""What a file lacks, told by the names of its tensors, and who can lend it."""

from __future__ import annotations

import pytest

from lib_multipass.memory.architectures import FLUX, REFINER, SD1, SD2, SD3, SDXL, UNKNOWN
from lib_multipass.memory.headers import Facts, read_facts
from lib_multipass.memory.missing import can_lend, is_vae, lacking, plain, word
from support.layouts import header, sd1, sdxl, write_hollow

UNET, VAE = "model.diffusion_model.", "first_stage_model."
IN_VAE = tuple(f"{VAE}{part}." for part in ("encoder", "decoder", "quant_conv", "post_quant_conv"))
CLIP, OPEN_CLIP = "conditioner.embedders.0.", "conditioner.embedders.1."
WHOLE = {"SD 1.x": sd1, "SDXL": sdxl}


def facts_of(tmp_path, shapes):
    return read_facts(write_hollow(tmp_path / "made.safetensors", header(shapes)))


def without(shapes, *prefixes):
    return {name: shape for name, shape in shapes.items() if not name.startswith(prefixes)}


@pytest.mark.parametrize(
    ("architecture", "gone", "lacks"),
    [
        (SD1, [], ()),
        (SD1, [VAE], IN_VAE),
        (SD1, [f"{VAE}encoder."], (f"{VAE}encoder.",)),
        (SD1, ["cond_stage_model."], ("cond_stage_model.",)),
        (SD1, [VAE, "cond_stage_model."], (*IN_VAE, "cond_stage_model.")),
        (SD1, ["cond_stage_model.transformer.text_model.embeddings.position_ids"], ()),
        (SD1, [f"{VAE}decoder.conv_in."], ()),
        (SD1, [UNET], (UNET,)),
        (SDXL, [], ()),
        (SDXL, [VAE], IN_VAE),
        (SDXL, [CLIP], (CLIP,)),
        (SDXL, [OPEN_CLIP], (OPEN_CLIP,)),
        (SDXL, ["conditioner."], (CLIP, OPEN_CLIP)),
        (SDXL, [UNET], (UNET,)),
    ],
)
def test_what_a_file_lacks(tmp_path, architecture, gone, lacks):
    facts = facts_of(tmp_path, without(WHOLE[architecture](), *gone) if gone else WHOLE[architecture]())
    assert facts.lacks == lacks
    if UNET not in gone:
        assert facts.architecture == architecture


def test_a_diffusion_model_under_names_that_the_webui_does_not_read(tmp_path):
    renamed = {name.removeprefix("model."): shape for name, shape in sd1().items() if name.startswith(UNET)}
    assert facts_of(tmp_path, renamed).lacks == (UNET,)


def test_names_that_the_webui_translates():
    """SD 2.1 Turbo's text encoder has the name of SDXL's first."""
    names = [UNET, *IN_VAE, "conditioner.embedders.0.model.ln_final.weight"]
    assert lacking(names, SD2) == ()
    assert lacking(names, SD1) == ("cond_stage_model.",)


@pytest.mark.parametrize("architecture", [SD3, FLUX])
def test_text_encoders_that_have_files_of_their_own(architecture):
    assert lacking([UNET, f"{VAE}decoder.conv_in.weight"], architecture) == ()


def test_nothing_is_said_of_what_is_no_checkpoint():
    assert lacking(["lora_unet_down.weight"], UNKNOWN) == ()
    assert lacking([], UNKNOWN) == ()


@pytest.mark.parametrize(
    ("part", "called"),
    [(IN_VAE[0], "VAE"), (CLIP, "text encoder"), ("cond_stage_model.", "text encoder"), (UNET, "diffusion model")],
)
def test_words(part, called):
    assert word(part) == called
    assert is_vae(part) is (called == "VAE")


def test_a_loaded_models_names():
    assert plain("cond_stage_model.wrapped.transformer.token_embedding.wrapped.weight") == (
        "cond_stage_model.transformer.token_embedding.weight"
    )


@pytest.mark.parametrize(
    ("part", "lender", "borrower", "can"),
    [
        (IN_VAE[0], SD1, SD1, True),
        (IN_VAE[0], SD2, SD1, True),
        (IN_VAE[0], REFINER, SDXL, True),
        (IN_VAE[0], SDXL, SD1, False),
        (IN_VAE[0], UNKNOWN, SD1, False),
        ("cond_stage_model.", SD1, SD1, True),
        ("cond_stage_model.", SD2, SD1, False),
        (UNET, SD1, SD1, False),
    ],
)
def test_who_can_lend(part, lender, borrower, can):
    assert can_lend(part, Facts(1, lender), Facts(1, borrower)) is can


@pytest.mark.parametrize("part", [VAE, "cond_stage_model."])
def test_kinds_that_are_not_known_lend_to_those_that_are_built_alike(part):
    assert can_lend(part, Facts(1, SD1, layout=7), Facts(1, UNKNOWN, layout=7))
    assert not can_lend(part, Facts(1, SD1, layout=7), Facts(1, UNKNOWN, layout=8))


def test_diffusion_models_that_are_built_alike(tmp_path):
    layouts = [facts_of(tmp_path, shapes).layout for shapes in (sd1(), without(sd1(), VAE), sdxl())]
    wider = {
        name: [shape[0], 9, 3, 3] if name.endswith("input_blocks.0.0.weight") else shape
        for name, shape in sd1().items()
    }
    layouts.append(facts_of(tmp_path, wider).layout)
    assert layouts[0] == layouts[1]
    assert len(set(layouts)) == 3
