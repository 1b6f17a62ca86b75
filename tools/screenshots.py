"""Takes the pictures of the panel in docs/: light, dark, on a narrow page, and with a warning.

    python dev.py screenshots [--out docs]

On the first webui in ``MULTIPASS_WEBUI``, or on the miniature when there is none.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from support import webuis
from support.browser import Tab, chromium

NAMES = {"alpha": "virileMotion_v1", "beta": "virileReality_v30", "gamma": "portraitPlus_v10"}
DETAILER = "script_txt2img_adetailer_ad_main_accordion"
SHOTS = {"panel": ("light", 1280), "panel-dark": ("dark", 1280), "panel-narrow": ("light", 360)}
WARNING = "panel-warning"


def rename(server: webuis.Server) -> None:
    """Give the tests' checkpoints names as users have them, and let the webui list them."""
    folder = server.data / "models" / "Stable-diffusion"
    for old, new in NAMES.items():
        for file in sorted(folder.glob(f"{old}.*")):
            (folder / f"{new}{file.suffix}").write_bytes(file.read_bytes())
    server.client.post("/sdapi/v1/refresh-checkpoints")
    server.client.post("/sdapi/v1/options", {"sd_model_checkpoint": f"{NAMES['alpha']}.safetensors"})
    for old in NAMES:
        (folder / f"{old}.safetensors").unlink()
    server.client.post("/sdapi/v1/refresh-checkpoints")


def prepare(tab: Tab) -> None:
    """Choose what users choose."""
    tab.tick()
    tab.part("refresh").click()
    tab.settle()
    tab.choose("script_multipass_checkpoint", NAMES["beta"])
    faces = tab.page.locator(f"#{DETAILER}-visible-checkbox")
    if tab.server.webui.real and faces.count():  # up to 1.6.0 an accordion is open when it is ticked
        faces.click()
    tab.expect_plan(NAMES["beta"])


def shoot(tab: Tab, path: Path) -> None:
    """The accordions, without what lies below ours."""
    tab.page.mouse.move(0, 0)
    tab.page.evaluate("document.activeElement.blur()")
    tab.settle()
    ours, hires = tab.part("enabled").bounding_box(), tab.one("txt2img_hr").bounding_box()
    top, bottom = hires["y"], ours["y"] + ours["height"]
    clip = {"x": ours["x"] - 4, "y": top - 4, "width": ours["width"] + 8, "height": bottom - top + 8}
    tab.page.screenshot(path=str(path), clip=clip)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=webuis.REPOSITORY / "docs")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    webui = (webuis.given() or webuis.miniatures())[0]
    with (
        tempfile.TemporaryDirectory() as folder,
        webuis.running(webui, Path(folder) / "webui") as server,
        chromium() as browser,
    ):
        rename(server)
        for name, (theme, width) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": 2400})
            tab = Tab(page).go_to(server, f"?__theme={theme}")
            prepare(tab)
            shoot(tab, options.out / f"{name}.png")
            page.close()
        page = browser.new_page(viewport={"width": 1280, "height": 2400})
        tab = Tab(page).go_to(server, "?__theme=light")
        prepare(tab)
        tab.flip("txt2img_hr")
        tab.expect_plan("Hires. fix is off")
        tab.fold_out()
        tab.choose("script_multipass_vae", "None")
        shoot(tab, options.out / f"{WARNING}.png")


if __name__ == "__main__":
    main()
