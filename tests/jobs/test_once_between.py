"""What changes between two equal requests: files, settings, other clients' jobs. The second is as if nothing were kept.

Stages are made from files too, and from settings; a file that was replaced makes them anew, whatever its name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from support import webuis
from support.client import Rendered
from support.jobs import A, B, C, hires, vae_override, without
from support.kept import OFF, each_said, made, not_again
from support.plots import LABELS, assert_cells, plot
from support.settings import settings
from support.webuis import Server

LORA, EMBEDDING = "style-sd1", "mood-sd1"


@pytest.fixture(scope="module")
def server(webui, tmp_path_factory) -> Iterator[Server]:
    """With files of its own; all of them have hashes, which infotexts name."""
    config = {"multipass_stages": 512, "eta_noise_seed_delta": 0}
    with webuis.running(webui, tmp_path_factory.mktemp("between"), config=config) as running:
        for checkpoint in (A, C, B):
            made(running, hires(), OFF, own={"checkpoint": checkpoint})
        yield running


@contextmanager
def in_place_of(file: Path, content: bytes) -> Iterator[None]:
    """Another file under this name for a while, as long after the old one as clocks of file systems tell."""
    old, stamp = file.read_bytes(), file.stat()
    write(file, content)
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 5 * 10**9))
    try:
        yield
    finally:
        write(file, old)
        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def write(file: Path, content: bytes) -> None:
    """As downloads do: into another file, which takes the name at the end."""
    beside = file.with_name(f"{file.name}.part")
    beside.write_bytes(content)
    beside.replace(file)


@contextmanager
def added(file: Path, content: bytes) -> Iterator[None]:
    write(file, content)
    try:
        yield
    finally:
        file.unlink()


def stronger(file: Path, folder: Path, factor: float = 2) -> bytes:
    """The same file, its weights multiplied."""
    tensors = load_file(file)
    weights = {name for name, it in tensors.items() if it.ndim > 1 and it.dtype.kind == "f"}  # and no schedule
    made_here = folder / "stronger.safetensors"
    save_file({name: factor * it if name in weights else it for name, it in tensors.items()}, made_here)
    return made_here.read_bytes()


def forgotten(server: Server) -> None:
    """The webui encodes a text anew once it had another one, and loads a VAE once it had none."""
    server.client.txt2img(prompt="something else", seed=99)


def of_checkpoint(server: Server, name: str) -> Path:
    return server.data / "models" / "Stable-diffusion" / f"{name}.safetensors"


def replaced_lora(server: Server, folder: Path) -> AbstractContextManager:
    (file,) = (server.data / "models").rglob(f"{LORA}.safetensors")
    return in_place_of(file, stronger(file, folder))


def replaced_embedding(server: Server, folder: Path) -> AbstractContextManager:
    file = server.data / server.webui.kind.embeddings / f"{EMBEDDING}.safetensors"
    return in_place_of(file, stronger(file, folder))


def added_embedding(server: Server, folder: Path) -> AbstractContextManager:
    file = server.data / server.webui.kind.embeddings / f"{EMBEDDING}.safetensors"
    return added(file.with_name("fresh.safetensors"), file.read_bytes())


def replaced_vae(server: Server, folder: Path) -> AbstractContextManager:
    file = server.data / "models" / "VAE" / "other.safetensors"
    return in_place_of(file, stronger(file, folder))


def replaced_base(server: Server, folder: Path) -> AbstractContextManager:
    file = of_checkpoint(server, A)
    return in_place_of(file, stronger(file, folder, 1.02))


def replaced_second(server: Server, folder: Path) -> AbstractContextManager:
    file = of_checkpoint(server, B)
    return in_place_of(file, stronger(file, folder, 1.02))


def assert_same(got: Rendered, plain: Rendered) -> None:
    """Equal pictures and infotexts; a replaced file's hash is asked for a job late by the webui itself."""
    assert got.difference(plain) == 0
    texts = [
        [without(HASHES_OF_EMBEDDINGS.sub("", text), "Model hash", "VAE hash", "TI hashes") for text in one.infotexts]
        for one in (got, plain)
    ]
    assert texts[0] == texts[1]


HASHES_OF_EMBEDDINGS = re.compile(r', TI hashes: "[^"]*"')
"""Several: the webui adds one each time that it encodes a text, which it may know from the job before."""
REAL_ONLY = "the miniature has neither LoRAs nor embeddings"
FILES: dict[str, tuple[Callable[[Server, Path], AbstractContextManager], dict, bool]] = {
    "a LoRA": (replaced_lora, {"prompt": f"a cat <lora:{LORA}:0.9>"}, False),
    "a LoRA of the second pass": (replaced_lora, {"hr_prompt": f"a cat <lora:{LORA}:0.9>"}, True),
    "an embedding": (replaced_embedding, {"prompt": f"a cat, {EMBEDDING}"}, False),
    "an embedding more": (added_embedding, {"prompt": "a cat, fresh"}, False),
    "the first checkpoint": (replaced_base, {}, False),
    "the second checkpoint": (replaced_second, {}, True),
}
"""By what is another file: how, in which job, and whether its first pass stays."""
NEEDS_NETWORKS = ("a LoRA", "a LoRA of the second pass", "an embedding", "an embedding more")


@pytest.mark.in_turn
@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
@pytest.mark.parametrize("what", FILES)
def test_another_file_makes_it_anew(server, tmp_path, what, upscaler):
    if what in NEEDS_NETWORKS and not server.webui.real:
        pytest.skip(REAL_ONLY)
    change, fields, stays = FILES[what]
    job = hires(upscaler, **fields)
    server.client.post("/multipass/v1/release")
    forgotten(server)
    made(server, job)
    assert "first pass" in not_again(server, lambda: made(server, job))[1]
    with change(server, tmp_path):
        forgotten(server)
        got, said = not_again(server, lambda: made(server, job))
        plain = made(server, job, OFF)
    assert_same(got, plain)
    assert ("first pass" in said) == stays
    server.client.post("/multipass/v1/release")


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_another_file_of_the_vae_makes_the_second_pass_anew(server, tmp_path, upscaler):
    """The latents come from no VAE; what is decoded and encoded does."""
    job = hires(upscaler, override_settings=vae_override(server))
    made(server, job)
    assert not_again(server, lambda: made(server, job))[1] == "first pass, second pass"
    with replaced_vae(server, tmp_path):
        forgotten(server)
        got, said = not_again(server, lambda: made(server, job))
        plain = made(server, job, OFF)
    assert_same(got, plain)
    assert "first pass" in said
    assert upscaler == "Latent" or "second pass" not in said


SETTINGS = {
    "eta_noise_seed_delta": (31337, ""),
    "CLIP_stop_at_last_layers": (2, ""),
    "jpeg_quality": (81, "first pass, second pass"),
}
"""A setting of the Settings page, another value, and what a job says then that it did not make again."""


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_the_page(server, name):
    value, expected = SETTINGS[name]
    if name not in server.client.get("/sdapi/v1/options"):
        pytest.skip(f"this webui has no setting {name}")
    job = hires("Lanczos", sampler_name="Euler a")
    made(server, job)
    with settings(server, **{name: value}):
        got, said = not_again(server, lambda: made(server, job))
        plain = made(server, job, OFF)
        assert said == expected
        assert got.difference(plain) == 0
        assert got.infotexts == plain.infotexts
    assert made(server, job).difference(made(server, job, OFF)) == 0


def test_two_clients_in_turn_and_at_once(server):
    """Each has its own loop; what one of them keeps the other finds if it asks for the same, and nothing else."""
    loops = [
        hires("Lanczos", prompt="a harbour", seed=21),
        hires("Latent", prompt="a mill", seed=22, sampler_name="Euler a"),
        hires("Lanczos", prompt="a harbour", seed=21, cfg_scale=7),
    ]
    strengths = (0.4, 0.5, 0.6)
    bodies = [{**loop, "denoising_strength": strength} for strength in strengths for loop in loops]
    plain = [made(server, body, OFF) for body in bodies]
    server.client.post("/multipass/v1/release")
    for number, (body, expected) in enumerate(zip(bodies, plain, strict=True)):
        got, said = not_again(server, lambda body=body: made(server, body))
        assert said == ("" if number < len(loops) else "first pass")
        assert (got.difference(expected), got.infotexts) == (0, expected.infotexts)
    server.client.post("/multipass/v1/release")
    with ThreadPoolExecutor(len(bodies)) as pool:
        together = list(pool.map(lambda body: made(server, body), bodies))
    assert [got.difference(expected) for got, expected in zip(together, plain, strict=True)] == [0] * len(bodies)
    assert [got.infotexts for got in together] == [expected.infotexts for expected in plain]


@pytest.mark.real
def test_a_plot_makes_its_first_pass_once(server):
    """Three second checkpoints by two CFG scales, in the webui's own X/Y/Z plot; the miniature has none."""
    names, scales = (B, C, A), (0, 9)
    job = hires("Lanczos", prompt="a plot", seed=31)
    plain = [made(server, job, OFF, own={"checkpoint": it, "cfg_scale": cfg}) for cfg in scales for it in names]
    server.client.post("/multipass/v1/release")
    axes = plot(server, (LABELS[0], ", ".join(names)), (LABELS[3], ", ".join(map(str, scales))))
    got, said = each_said(server, lambda: server.client.txt2img(**job, **axes))
    assert_cells(got, [one.pictures[0] for one in plain])
    assert said == ["first pass"] * (len(plain) - 1)


@pytest.mark.real
def test_a_plot_over_strength_and_upscaler_makes_its_first_pass_once(server):
    """The search that docs/technique.md names, with the webui's own axes."""
    strengths, upscalers = (0.3, 0.5, 0.7), ("Lanczos", "Latent")
    job = hires("Lanczos", prompt="a search", seed=32)
    cells = [{"denoising_strength": strength, "hr_upscaler": it} for it in upscalers for strength in strengths]
    plain = [made(server, {**job, **cell}, OFF, own={"checkpoint": B}) for cell in cells]
    server.client.post("/multipass/v1/release")
    axes = plot(server, ("Denoising", ", ".join(map(str, strengths))), ("Hires upscaler", ", ".join(upscalers)))
    ours = {"Multipass": {"args": {"checkpoint": B}}}
    got, said = each_said(server, lambda: server.client.txt2img(**job, **axes, alwayson_scripts=ours))
    assert_cells(got, [one.pictures[0] for one in plain])
    assert said == ["first pass"] * (len(plain) - 1)
