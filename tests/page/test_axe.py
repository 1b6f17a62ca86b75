"""axe-core looks through the panel: what we write has no serious fault for people who do not see it or use no mouse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe

from support import browser as browsers
from support.browser import Tab
from support.jobs import A, B, C

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browsers.program() is None, reason=browsers.HOW_TO_GIVE),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PANEL = "#script_multipass_enabled"
PASTED = (
    "a cat\nSteps: 2, Sampler: Euler, CFG scale: 5, Seed: 7, Size: 64x64, Denoising strength: 0.6, Hires upscale: 2, "
    "Hires upscaler: Latent"
)
SERIOUS = ("serious", "critical")
NOT_OURS = {
    ".input-accordion-checkbox": "the webui's tick in an accordion's title has no label",
    "[data-testid=number-input]": "gradio's number beside a slider has no label",
    ".input-accordion > button.label-wrap": "the webui's title with a tick is a button around it in gradio 4",
    "input.border-none.subdued": "gradio 4's dropdowns are too pale in the light theme while nothing is chosen",
}
"""What others have written into the panel, and its faults."""


def faults(tab: Tab) -> list[str]:
    """The rule and the element of each serious fault in what we write."""
    found = Axe().run(tab.page, context=PANEL).response["violations"]
    nodes = [(rule["id"], node) for rule in found if rule["impact"] in SERIOUS for node in rule["nodes"]]
    theirs = ", ".join(NOT_OURS)
    return [
        f"{rule}: {node['html']}"
        for rule, node in nodes
        if not tab.page.locator(node["target"][0]).first.evaluate("(one, theirs) => one.matches(theirs)", theirs)
    ]


@pytest.fixture(params=["light", "dark"])
def tab(pair, tab_of: Callable[..., Tab], request: pytest.FixtureRequest) -> Tab:
    """The page with everything in it that the panel can show, but for what is missing."""
    pair.ours.client.post("/sdapi/v1/options", {"sd_model_checkpoint": f"{A}.safetensors"})
    tab = tab_of(pair.ours, f"?__theme={request.param}")
    tab.paste(f"{PASTED}, Model: {C}, Multipass checkpoint: {B}, Multipass third pass: yes")
    tab.expect_plan(f"1 {A} · ", f"was made with {C}")
    tab.generate()
    tab.part("last").locator("summary").first.click()
    tab.flip("txt2img_hr")
    tab.expect_plan("Hires. fix is off")
    tab.fold_out()
    tab.settle()
    return tab


@pytest.mark.both
def test_nothing_serious_is_found_in_what_we_write(tab):
    assert faults(tab) == []
    tab.page.locator(".multipass-warning").first.evaluate("one => { one.innerHTML = '<img src=\"x\">'; }")
    assert faults(tab) == ['image-alt: <img src="x">']  # the check sees


def test_nor_while_something_is_missing(tab):
    tab.paste(f"{PASTED}, Multipass checkpoint: nowhere, Multipass VAE: lost.pt")
    tab.expect_plan("there is no checkpoint 'nowhere'", "there is no VAE 'lost.pt'")
    assert faults(tab) == []
