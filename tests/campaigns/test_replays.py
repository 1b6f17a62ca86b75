"""Pictures that are made again from nothing but their own infotext.

Random jobs, always the same ones: through the page's own paste, through the API's ``infotext``, and in the same webui
without the extension. ``--seeds FIRST:COUNT`` makes others.
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass

import numpy as np
import pytest

from support import browser as browsers
from support.client import Rendered
from support.jobs import A, B, C, adetailer, hires
from support.page import Page
from support.scale import FULL, Scale
from support.settings import settings
from support.webuis import Server

NUMBER, ON_THE_MINIATURE, IN_ITS_PAGE = 30, 6, 2
DETAILER = "script_txt2img_adetailer_ad_main_accordion"
REQUEST = "StableDiffusionProcessingTxt2Img"
"""The webui's name for the body of a txt2img request."""
PROMPTS = ("a cat, sunny", 'a "red": (cat:1.2), [dog], 猫', "two lines\nof a cat", "a cat BREAK a hat")


@dataclass(frozen=True)
class Job:
    """A request, and what it has of Multipass and ADetailer."""

    body: dict
    ours: dict
    faces: dict | None
    base: str

    @property
    def beyond_the_webui(self) -> bool:
        """Whether it has what a webui without the extension cannot do."""
        return bool({"vae", "cfg_scale", "clip_skip"} & {*self.ours})

    def request(self, server: Server) -> dict:
        scripts = {"Multipass": {"args": self.ours}}
        if self.faces is not None:
            scripts |= adetailer(server, **self.faces)
        overrides = {**self.body.get("override_settings", {}), "sd_model_checkpoint": self.base}
        return {**self.body, "override_settings": overrides, "alwayson_scripts": scripts}


def job(number: int) -> Job:
    """The job of this number, with everything that an infotext has to carry."""
    dice = random.Random(f"replay {number}")
    maybe = lambda chance, **values: values if dice.random() < chance else {}  # noqa: E731
    base, second, third = dice.sample([A, B, C], 3)
    body = {
        **hires(dice.choice(["Latent", "Lanczos", "Latent (nearest-exact)"])),
        "prompt": dice.choice(PROMPTS),
        "negative_prompt": dice.choice(["rain", ""]),
        "seed": dice.randrange(2**32),
        "steps": dice.randint(2, 4),
        "cfg_scale": dice.choice([1.5, 5, 7.5]),
        "width": dice.choice([64, 96]),
        "sampler_name": dice.choice(["Euler", "Euler a"]),
        "denoising_strength": dice.choice([0.4, 0.75]),
        "hr_second_pass_steps": dice.choice([0, 3]),
        **maybe(0.3, hr_scale=1.5),
        **maybe(0.3, hr_prompt="a dog, snowy"),
        **maybe(0.2, hr_negative_prompt="fog: thick"),
        **maybe(0.2, override_settings={"CLIP_stop_at_last_layers": 2}),
    }
    names = [second, f"{second}.safetensors"]
    ours = {
        "checkpoint": dice.choice(names),
        **maybe(0.25, cfg_scale=dice.choice([0.5, 3, 11])),
        **maybe(0.2, clip_skip=dice.choice([1, 2])),
        **maybe(0.2, vae=dice.choice(["None", "Automatic", "other.safetensors"])),
    }
    faces = None
    if dice.random() < 0.4:
        faces = {**maybe(0.4, ad_prompt="a face, {x: y}"), **maybe(0.4, ad_denoising_strength=0.3)}
        modes = [None, "Same as first pass", "As set in ADetailer", third]
        ours |= {"adetailer": dice.choice(modes), **maybe(0.3, adetailer_follows=False)}
    return Job(body, ours, faces, base)


def pytest_generate_tests(metafunc):
    """The numbers of the jobs; fewer on the miniature."""
    if "number" in metafunc.fixturenames:
        most = IN_ITS_PAGE if metafunc.function is test_in_a_browser else ON_THE_MINIATURE
        asked = Scale(FULL, metafunc.config.getoption("seeds")).seeds(0, NUMBER, NUMBER)
        few = [
            pytest.param(number, marks=pytest.mark.real if place >= most else ()) for place, number in enumerate(asked)
        ]
        metafunc.parametrize("number", few)


@pytest.fixture
def made(pair, number) -> tuple[Job, Rendered]:
    """A job and its picture."""
    todo = job(number)
    if todo.faces is not None and not (pair.real and pair.ours.webui.adetailer):
        pytest.skip("this webui has no ADetailer, or the miniature's, which cannot be pasted")
    return todo, pair.ours.client.txt2img(**todo.request(pair.ours))


def pasted(server: Server, infotext: str) -> Page:
    """A fresh page on which the infotext was pasted, and ADetailer ticked, which its infotext does not do."""
    page = Page(server.client)
    page.paste(infotext)
    if "ADetailer model: " in infotext:
        page.set(f"{DETAILER}-checkbox", True)
    return page


def selected(server: Server, name: str):
    """Another checkpoint selected for a while; going back may leave the hash of that one in the settings."""
    known = server.client.get("/sdapi/v1/options")["sd_checkpoint_hash"]
    return settings(server, sd_model_checkpoint=name, sd_checkpoint_hash=known)


def test_through_the_page(pair, made):
    todo, got = made
    page = pasted(pair.ours, got.infotext)
    assert page.get("hr_checkpoint") == "Use same checkpoint"
    assert page.get("script_multipass_pasted_base").split(" ")[0] == todo.base
    with selected(pair.ours, todo.base):
        pictures = page.generate()
    assert np.array_equal(pictures[0], got.pictures[0])


@pytest.mark.skipif(browsers.program() is None, reason=browsers.HOW_TO_GIVE)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_in_a_browser(pair, made, number, tab_of):
    """The picture's own PNG, dropped into PNG Info and sent to txt2img; the offered first checkpoint; Generate."""
    todo, got = made
    with selected(pair.ours, A):
        tab = tab_of(pair.ours)
        tab.replay(base64.b64decode(got.encoded[0]))
        if todo.faces is not None:
            tab.flip(DETAILER)
            tab.wait(lambda: tab.is_ticked(DETAILER))
        if todo.base != A:
            tab.part("plan").get_by_role("button", name=f"Select {todo.base}").click()
        tab.expect_plan(f"1 {todo.base} · ")
        tab.generate()
        assert tab.picture() == got.pictures[0].tobytes()


def test_through_the_apis_infotext(pair, made):
    todo, got = made
    if todo.faces is not None:
        pytest.skip("the webui does not restore ADetailer's arguments from an infotext")
    if "infotext" not in pair.ours.client.get("/openapi.json")["components"]["schemas"][REQUEST]["properties"]:
        pytest.skip("the infotext of a request came with 1.8.0")
    # The webui does not restore the first checkpoint by default.
    body = {"infotext": got.infotext, "override_settings": {"sd_model_checkpoint": todo.base}}
    again = pair.ours.client.render("txt2img", body if todo.base != A else {"infotext": got.infotext})
    assert again.same_as(got)


def test_without_the_extension(pair, made):
    todo, got = made
    page = pasted(pair.stock, got.infotext)
    with selected(pair.stock, todo.base):
        page.generate()  # building a model shifts the VAE's noise a little
        pictures = page.generate()
    if not todo.beyond_the_webui:
        assert np.array_equal(pictures[0], got.pictures[0])


def test_the_jobs_differ():
    """Guards the tests above: there is something of everything among them."""
    jobs = [job(number) for number in range(30)]
    assert {todo.base for todo in jobs} == {A, B, C}
    assert 5 < sum(todo.faces is not None for todo in jobs) < 25
    assert 5 < sum(todo.beyond_the_webui for todo in jobs) < 25
    assert {"cfg_scale", "clip_skip", "vae", "adetailer", "adetailer_follows"} <= {
        key for todo in jobs for key in todo.ours
    }
