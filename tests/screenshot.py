"""Takes the README's picture of the panel in a browser.

    .venv/bin/pip install -r requirements/browser.txt -c requirements/lock.txt
    .venv/bin/python tests/screenshot.py [--browser /usr/bin/chromium] [--out docs/panel.png]

On the first webui in ``MULTIPASS_WEBUI``, or on the miniature when there is none.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from support import webuis

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
NAMES = {"alpha": "virileMotion_v1", "beta": "virileReality_v30", "gamma": "portraitPlus_v10"}


def rename(server: webuis.Server) -> None:
    """Give the tests' checkpoints names as users have them, and let the webui list them."""
    folder = server.data / "models" / "Stable-diffusion"
    for old, new in NAMES.items():
        (folder / f"{new}.safetensors").write_bytes((folder / f"{old}.safetensors").read_bytes())
        if old != "alpha":
            (folder / f"{old}.safetensors").unlink()
    server.client.post("/sdapi/v1/refresh-checkpoints")
    server.client.post("/sdapi/v1/options", {"sd_model_checkpoint": f"{NAMES['alpha']}.safetensors"})
    (folder / "alpha.safetensors").unlink()
    server.client.post("/sdapi/v1/refresh-checkpoints")


def open_panel(page: Page, url: str) -> None:
    """Tick Multipass and choose the second checkpoint."""
    page.goto(url)
    page.wait_for_selector("#txt2img_generate", timeout=90_000)
    page.wait_for_timeout(2000)
    page.locator("#script_multipass_enabled .label-wrap").first.click()
    page.wait_for_timeout(1000)
    page.locator("#script_multipass_refresh").click()
    page.wait_for_timeout(1000)
    checkpoint = page.locator("#script_multipass_checkpoint input")
    checkpoint.fill(NAMES["beta"])
    page.wait_for_timeout(500)
    checkpoint.press("Enter")
    page.wait_for_timeout(500)
    page.mouse.move(0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--out", type=Path, default=webuis.REPOSITORY / "docs" / "panel.png")
    options = parser.parse_args()
    webui = (webuis.given() or webuis.miniatures())[0]
    with (
        tempfile.TemporaryDirectory() as folder,
        webuis.running(webui, Path(folder) / "webui") as server,
        sync_playwright() as playwright,
    ):
        rename(server)
        browser = playwright.chromium.launch(executable_path=options.browser, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1200})
        open_panel(page, server.client.url)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        page.locator("#txt2img_accordions").screenshot(path=str(options.out))
    print(options.out)


if __name__ == "__main__":
    main()
