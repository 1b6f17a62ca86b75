"""Takes the pictures of the panel in docs/: light, dark, narrow, with a warning, with memory full, and after a job.

    python dev.py screenshots [--out docs]

On the first webui in ``MULTIPASS_WEBUI``, or on the miniature when there is none. The job is made with the tests' small
checkpoints; for the other pictures their files are exchanged for headers of full-size ones, which a plan goes by. On
Forge Neo it takes one picture alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from support import webuis
from support.browser import Tab, chromium
from support.hosts import NEO
from support.layouts import header, sd1, sdxl, write_hollow

NAMES = {"alpha": "virileMotion_v1", "beta": "virileReality_v30", "gamma": "portraitPlus_v10"}
DETAILER = "script_txt2img_adetailer_ad_main_accordion"
SHOTS = {"panel": ("light", 1280), "panel-dark": ("dark", 1280), "panel-narrow": ("light", 360)}
WARNING, FULL, KEPT, ON_NEO = "panel-warning", "panel-full", "panel-kept", "panel-neo"
PIXELS = "Lanczos"


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


def enlarge(server: webuis.Server) -> None:
    """Let the checkpoints look like full-size ones; the selected one stays loaded as it is."""
    server.client.post("/multipass/v1/release")
    folder = server.data / "models" / "Stable-diffusion"
    for name, shapes in (("alpha", sd1()), ("beta", sd1()), ("gamma", sdxl())):
        path = folder / f"{NAMES[name]}.safetensors"
        before = path.stat()
        write_hollow(path, header(shapes))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # the webui goes on with its hash


def after_a_job(tab: Tab, path: Path) -> None:
    """Both passes are kept, and the last job is folded out."""
    prepare(tab)
    for name, value in {"txt2img_width": 64, "txt2img_height": 64, "txt2img_steps": 4}.items():
        field = tab.page.locator(f"#{name} input[type=number]")
        field.fill(str(value))
        field.blur()
    seed = tab.page.locator("#txt2img_seed input").first
    seed.fill("7")
    seed.blur()
    tab.generate()
    tab.part("last").locator("summary").first.click()
    shoot(tab, path)


def with_a_warning(tab: Tab, path: Path) -> None:
    prepare(tab)
    tab.flip("txt2img_hr")
    tab.expect_plan("Hires. fix is off")
    tab.fold_out()
    tab.choose("script_multipass_vae", "None")
    shoot(tab, path)


def with_memory_full(tab: Tab, path: Path) -> None:
    """Of RAM on a webui without a device: most of it is set aside."""
    free = tab.server.client.get("/multipass/v1/state")["memory"]["ram_free"]
    tab.server.client.post("/sdapi/v1/options", {"multipass_ram_reserve": round(free / 1e9 - 3, 1)})
    prepare(tab)
    tab.choose("txt2img_hr_upscaler", PIXELS)
    tab.choose("script_multipass_checkpoint", NAMES["gamma"])
    tab.expect_plan("will be loaded every time")
    shoot(tab, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=webuis.REPOSITORY / "docs")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    webui = (webuis.given() or webuis.miniatures())[0]
    kept = {"multipass_stages": 512}
    with (
        tempfile.TemporaryDirectory() as folder,
        webuis.running(webui, Path(folder) / "webui", config=kept) as server,
        chromium() as browser,
    ):
        rename(server)

        def take(name: str, how: Callable[[Tab, Path], None], theme: str = "light", width: int = 1280) -> None:
            page = browser.new_page(viewport={"width": width, "height": 2400})
            how(Tab(page).go_to(server, f"?__theme={theme}"), options.out / f"{name}.png")
            page.close()

        if webui.kind is NEO:
            enlarge(server)
            take(ON_NEO, lambda tab, path: [prepare(tab), shoot(tab, path)])
            return
        take(KEPT, after_a_job)
        enlarge(server)
        for name, (theme, width) in SHOTS.items():
            take(name, lambda tab, path: [prepare(tab), shoot(tab, path)], theme, width)
        take(WARNING, with_a_warning)
        take(FULL, with_memory_full)


if __name__ == "__main__":
    main()
