"""The page in a browser: Chromium, driven as a user would."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from PIL import Image
from playwright.sync_api import Browser, Error, Locator, Page, expect, sync_playwright

from support.hosts import NEO
from support.webuis import Server

GIVEN = "MULTIPASS_CHROMIUM"
HOW_TO_GIVE = f"install Chromium, or set {GIVEN} to its program, to run this"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""What has no window of its own comes first: it takes half the time of a whole browser without one."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
READ = """() => {
    const tab = document.getElementById('tab_pnginfo');
    const texts = Array.from(tab.querySelectorAll('textarea'), area => area.value);
    return [tab.innerText, ...texts].some(text => text.includes('Steps: '));
}"""
"""Whether PNG Info shows an infotext."""
LATEST = 6500
"""ms after which the page's script asks no more for what Forge Neo stores a little later."""
SETTLED = "new Promise(done => setTimeout(done, 350))"
"""Ends later than what the page waits for before it asks for a plan, on a busy machine too: its own clock is used."""


def program() -> str | None:
    """Chromium on this machine."""
    return os.environ.get(GIVEN) or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=FLAGS)
        yield browser
        browser.close()


class Tab:
    """A browser tab with the page of a webui."""

    server: Server

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        """Errors, and what the console says of our file."""
        self.plans = 0
        """How often the plan was asked for since the page was opened."""
        self._asks, self._answers = -1, 0
        page.on("pageerror", self._note_error)
        page.on("console", self._note_message)
        page.on("request", self._note_request)
        page.on("requestfinished", self._note_answer)
        page.on("requestfailed", self._note_answer)

    def go_to(self, server: Server, query: str = "") -> Tab:
        """Load the page of this webui, as if the tab were new."""
        self.server = server
        self.complaints.clear()
        return self.open(query)

    def leave(self) -> None:
        """Make the tab empty; a page that loads itself anew after *Reload UI* may do so at the same moment."""
        self.page.mouse.move(0, 0)
        try:
            self.page.goto("about:blank")
        except Error as error:
            if "interrupted by another navigation" not in error.message:
                raise
            self.page.wait_for_load_state()
            self.page.goto("about:blank")

    def open(self, query: str = "") -> Tab:
        """Load the page and wait until it is ready."""
        self.page.goto(f"{self.server.client.url}/{query}")
        self.page.wait_for_selector("#script_multipass_enabled[data-multipass]", timeout=60_000)
        self._asks = self.page.evaluate(
            """() => {
                const {components, dependencies} = window.gradio_config;
                const line = components.find(({props}) => props.elem_id === 'script_multipass_plan').id;
                return dependencies.findIndex(({outputs}) => outputs[0] === line);
            }"""
        )
        assert self._asks >= 0
        self.plans = self._answers = 0
        self.page.evaluate(SETTLED)  # a dropdown that is opened at once may stay open
        return self

    def part(self, name: str) -> Locator:
        """A part of our panel by the end of its id."""
        return self.one(f"script_multipass_{name}")

    def one(self, elem_id: str) -> Locator:
        """Any element of the page by its id."""
        return self.page.locator(f"#{elem_id}").first  # gradio gives an HTML twice its id

    def is_ticked(self, accordion: str) -> bool:
        """Whether an accordion with a tick is ticked."""
        return self.page.locator(f"#{accordion}-checkbox input").is_checked()

    def flip(self, accordion: str) -> None:
        """Open or close an accordion by its title, which ticks or unticks it."""
        self.one(accordion).locator("> .label-wrap > .icon").click()

    def tick(self, on: bool = True) -> None:
        """Tick Multipass, or untick it."""
        if self.is_ticked("script_multipass_enabled") != on:
            self.flip("script_multipass_enabled")
        self.wait(lambda: self.is_ticked("script_multipass_enabled") == on)

    def fold_out(self) -> None:
        """Open the row of further settings."""
        self.flip("script_multipass_settings")

    def choose(self, elem_id: str, text: str) -> None:
        """Type into a dropdown and take the first choice that is left."""
        field = self.page.locator(f"#{elem_id} input")
        field.click()
        field.fill(text)
        choice = self.page.locator(f"#{elem_id} li").filter(has_text=text).first
        choice.wait_for()
        choice.dispatch_event("mousedown")
        choice.wait_for(state="detached")

    def choose_first(self, name: str) -> None:
        """Choose the checkpoint at the top of the page, and wait until nothing more comes of it."""
        self.choose("setting_sd_model_checkpoint", name)
        self.wait(lambda: self.server.client.get("/sdapi/v1/options")["sd_model_checkpoint"].startswith(name))
        if self.server.webui.kind is NEO:
            self.page.wait_for_timeout(LATEST)
        self.settle()

    def value(self, elem_id: str) -> str:
        """What an input shows."""
        return self.page.locator(f"#{elem_id} :is(input, textarea)").first.input_value()

    def expect_plan(self, *texts: str) -> None:
        """Wait until the plan line has all of these."""
        for text in texts:
            expect(self.part("plan")).to_contain_text(text, timeout=10_000)

    def settle(self) -> None:
        """Wait until nothing more will be asked for, and what was is answered."""
        known = -1
        while known != self.plans or self._answers < self.plans:
            known = self.plans
            self.page.evaluate(SETTLED)

    def generate(self) -> str:
        """Make the first picture since the page was opened; its infotext."""
        self.page.evaluate(
            """() => {
                const skip = document.getElementById('txt2img_skip');
                const seen = new MutationObserver(() => {
                    if (skip.style.display === 'none') skip.dataset.ended = 'yes';
                });
                seen.observe(skip, {attributes: true, attributeFilter: ['style']});
            }"""
        )
        self.one("txt2img_generate").click()
        self.page.wait_for_selector("#txt2img_skip[data-ended]", state="attached", timeout=60_000)
        infotext = self.one("html_info_txt2img")
        expect(infotext).to_contain_text("Steps: ", timeout=10_000)
        return infotext.inner_text()

    def paste(self, infotext: str) -> None:
        """Paste a picture's infotext as the webui does it: into the prompt, then the button."""
        self.page.locator("#txt2img_prompt textarea").fill(infotext)
        self.page.wait_for_timeout(200)
        self.one("paste").click()
        if self.server.webui.kind is NEO:  # which leaves the prompt itself as it was typed
            self.page.wait_for_timeout(3000)
        else:
            self.wait(lambda: "Steps: " not in self.value("txt2img_prompt"))
        self.settle()

    def replay(self, png: bytes) -> None:
        """Put a picture into PNG Info and send it to txt2img, on a page whose prompt is empty."""
        self.page.locator("#tabs > .tab-nav > button").filter(has_text="PNG Info").click()
        file = {"name": "picture.png", "mimeType": "image/png", "buffer": png}
        self.page.locator("#pnginfo_image input[type=file]").set_input_files([file])
        self.wait(lambda: self.page.evaluate(READ))
        self.page.locator("#tab_pnginfo #txt2img_tab").click()
        self.wait(lambda: self.value("txt2img_prompt") != "")
        self.settle()

    def picture(self) -> bytes:
        """The pixels of the first picture in the gallery."""
        source = self.page.locator("#txt2img_gallery img").first.get_attribute("src")
        path = re.search(r"file=([^?]+)", source)[1]
        with Image.open(unquote(path)) as file:
            return file.convert("RGB").tobytes()

    def wait(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for something that is not in the page's elements."""
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"waited {seconds} s in vain"
            self.page.wait_for_timeout(50)

    def _note_error(self, error: Any) -> None:
        if not self.server.webui.real or "multipass" in (error.stack or ""):  # real webuis have some of their own
            self.complaints.append(str(error))

    def _note_message(self, message: Any) -> None:
        ours = "multipass" in message.location["url"] or "ultipass" in message.text
        if ours and message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _note_request(self, request: Any) -> None:
        self.plans += self._is_for_plan(request)

    def _note_answer(self, request: Any) -> None:
        self._answers += self._is_for_plan(request)

    def _is_for_plan(self, request: Any) -> bool:
        return request.url.endswith("/run/predict") and (request.post_data_json or {}).get("fn_index") == self._asks
