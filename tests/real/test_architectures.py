"""Jobs with checkpoints of architectures that Forge Neo alone knows; their VAEs and text encoders are modules.

They are tiny but real (``support/neo_files.py``). ``alpha``, ``beta`` and ``epsilon`` are those of the other tests.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from support.architectures import Choice, running_with_newer
from support.jobs import adetailer, need_adetailer
from support.settings import settings

# Two webuis start before the first test.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
OF_FLUX = ("ae", "clip_l", "t5xxl")
CHOICES = {
    "SD 1.5": Choice("alpha"),
    "another SD 1.5": Choice("beta"),
    "SDXL": Choice("epsilon"),
    "Flux": Choice("flux", OF_FLUX),
    "another Flux": Choice("flux-b", OF_FLUX),
    "Klein": Choice("klein", ("flux2-vae", "qwen3")),
    "Chroma": Choice("chroma", ("ae", "t5xxl")),
    "Z-Image": Choice("z-image", ("ae", "qwen3")),
    "another Z-Image": Choice("z-image-b", ("ae", "qwen3")),
    "another Z-Image with another VAE": Choice("z-image-b", ("ae-b", "qwen3")),
    "baked Z-Image": Choice("z-image-baked"),
    "Z-Image in GGUF": Choice("z-image-q8", ("ae", "qwen3"), ".gguf"),
    "Qwen-Image": Choice("qwen-image", ("qwen-vae", "qwen25")),
}
ARCHITECTURES = {
    "alpha": "SD 1.x",
    "epsilon": "SDXL",
    "flux": "Flux",
    "flux-b": "Flux",
    "klein": "Flux.2",
    "chroma": "Chroma",
    **dict.fromkeys(("z-image", "z-image-b", "z-image-baked"), "Z-Image"),
    "qwen-image": "Qwen-Image",
}
PAIRS = (
    "SD 1.5 > Flux",
    "Flux > SD 1.5",
    "SD 1.5 > Z-Image",
    "Z-Image > SDXL",
    "Flux > Z-Image",
    "Z-Image > Flux",
    "Flux > another Flux",
    "Z-Image > another Z-Image with another VAE",
    "SD 1.5 > Klein",
    "Klein > Flux",
    "SD 1.5 > Chroma",
    "Chroma > SD 1.5",
    "SD 1.5 > Qwen-Image",
    "Qwen-Image > SD 1.5",
    "Flux > baked Z-Image",
)
SAME = "z-image-b has the text encoders of z-image, which are the same"
LORAS = {"prompt": "a cat <lora:of-z-image:0.8>", "hr_prompt": "a dog <lora:of-flux:0.8>"}


@pytest.fixture(scope="module")
def pair(webui, tmp_path_factory):
    if not webui.kind.vaes_are_modules:
        pytest.skip("this webui does not know these architectures")
    folder = tmp_path_factory.mktemp("architectures")
    with (
        running_with_newer(webui, folder / "ours") as ours,
        running_with_newer(webui, folder / "stock", multipass=False) as stock,
    ):
        yield SimpleNamespace(ours=ours, stock=stock)


def of(pair: str) -> list[Choice]:
    return [CHOICES[name] for name in pair.split(" > ")]


def forget(pair) -> None:
    """Another checkpoint becomes the active one, and nothing else is kept."""
    pair.ours.client.txt2img(**CHOICES["another SD 1.5"].as_first)
    pair.ours.client.probe()


def assert_as_by_hand(pair, choices, expected, **job) -> None:
    """Both when the models are loaded and when they are kept, and nothing of it is left in a plain job."""
    first, second = choices
    job = {**first.as_first, **second.with_multipass, **job}
    forget(pair)
    for reads in ([first.checkpoint, second.checkpoint], []):
        assert pair.ours.client.txt2img(**job).difference(expected) == 0
        assert pair.ours.client.probe()["reads"] == reads
    plain = pair.stock.client.txt2img(**first.as_first)
    assert pair.ours.client.txt2img(**first.as_first).difference(plain) == 0


@pytest.mark.parametrize("names", PAIRS)
def test_a_pair(pair, names):
    first, second = of(names)
    plan = pair.ours.client.post("/multipass/v1/plan", {**first.as_first, **second.with_multipass})
    told = [(one["checkpoint"], one["architecture"]) for one in plan["passes"]]
    assert told == [(one.checkpoint, ARCHITECTURES[one.checkpoint]) for one in (first, second)]
    assert plan["warnings"] == []
    expected = pair.stock.client.txt2img(**first.as_first, **second.by_hand)
    assert expected.pictures[0].std() > 10
    assert_as_by_hand(pair, (first, second), expected)


def test_loras(pair):
    first, second = choices = of("Z-Image > Flux")
    expected = pair.stock.client.txt2img(**first.as_first, **second.by_hand, **LORAS)
    for tagged in LORAS:
        prompts = {**LORAS, tagged: LORAS[tagged].split(" <")[0]}
        assert not pair.stock.client.txt2img(**first.as_first, **second.by_hand, **prompts).like(expected)
    assert_as_by_hand(pair, choices, expected, **LORAS)


def test_faces(pair):
    """By hand ADetailer's pass has the first pass's modules."""
    need_adetailer(pair)
    first, second = choices = of("Z-Image > another Z-Image")
    faces = adetailer(pair.stock, second.checkpoint)
    expected = pair.stock.client.txt2img(**first.as_first, **second.by_hand, alwayson_scripts=faces)
    assert not pair.stock.client.txt2img(**first.as_first, **second.by_hand).like(expected)
    scripts = {**adetailer(pair.ours), **second.with_multipass["alwayson_scripts"]}
    assert_as_by_hand(pair, choices, expected, alwayson_scripts=scripts)


def test_text_encoders_that_are_the_same_are_held_once(pair):
    """And what a LoRA does to them in one pass is nowhere else."""
    first, second = choices = of("Z-Image > another Z-Image")
    tag = " <lora:of-qwen3:0.9>"
    prompts = [{}, {"prompt": f"a cat{tag}", "hr_prompt": "a cat"}, {"prompt": "a cat", "hr_prompt": f"a cat{tag}"}]
    prompts.append({"prompt": f"a cat{tag}", "hr_prompt": f"a cat{tag.replace('9', '4')}"})
    expected = [pair.stock.client.txt2img(**first.as_first, **second.by_hand, **job) for job in prompts]
    for number, one in enumerate(expected):
        assert not any(one.like(other) for other in expected[:number])
    told = pair.ours.log.count(SAME)
    for job, by_hand in zip(prompts, expected, strict=True):
        assert_as_by_hand(pair, choices, by_hand, **job)
    assert pair.ours.log.count(SAME) == told + len(prompts)


def test_loras_of_a_second_pass_in_gguf(pair):
    """By hand the job fails, unless the webui adds LoRAs to all checkpoints at every step."""
    first, second = choices = of("SD 1.5 > Z-Image in GGUF")
    prompts = {"prompt": "a cat", "hr_prompt": "a cat <lora:of-z-image:0.8>"}
    with settings(pair.stock, forge_unet_storage_dtype="Automatic (fp16 LoRA)"):
        expected, without = (
            pair.stock.client.txt2img(**first.as_first, **second.by_hand, **job)
            for job in (prompts, {"prompt": "a cat", "hr_prompt": "a cat"})
        )
    assert not expected.like(without)
    assert_as_by_hand(pair, choices, expected, **prompts)


def test_conditionings_are_not_those_of_another_architecture(pair):
    """By hand the second of these jobs fails while Neo keeps what it has encoded, as it does by default."""
    jobs = [of(names) for names in ("SD 1.5 > Flux", "SD 1.5 > Z-Image", "SD 1.5 > Flux")]
    expected = [pair.stock.client.txt2img(**first.as_first, **second.by_hand) for first, second in jobs]
    forget(pair)
    with settings(pair.ours, persistent_cond_cache=True):
        for (first, second), by_hand in zip(jobs, expected, strict=True):
            assert pair.ours.client.txt2img(**first.as_first, **second.with_multipass).difference(by_hand) == 0
