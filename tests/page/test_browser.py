"""The page in a browser, on running webuis: the miniature always, real ones when given."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from lib_multipass.plan.args import label
from support import browser as browsers
from support.browser import Tab
from support.hosts import NEO
from support.jobs import A, B, C, hires, multipass, without
from support.webuis import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browsers.program() is None, reason=browsers.HOW_TO_GIVE),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def server(pair) -> Server:
    """With A selected."""
    pair.ours.client.post("/sdapi/v1/options", {"sd_model_checkpoint": f"{A}.safetensors"})
    return pair.ours


@pytest.fixture
def tab(server: Server, tab_of: Callable[..., Tab]) -> Tab:
    """The page with A selected."""
    return tab_of(server)


def small(tab: Tab) -> None:
    """Let the page make quick pictures."""
    for name in ("txt2img_width", "txt2img_height"):
        field = tab.page.locator(f"#{name} input[type=number]")
        field.fill("64")
        field.blur()
    seed = tab.page.locator("#txt2img_seed input")
    if seed.count():
        seed.first.fill("7")
        seed.first.blur()
    steps = tab.page.locator("#txt2img_steps input[type=number]")
    if steps.count():
        steps.fill("4")
        steps.blur()


@pytest.mark.both
def test_from_the_tick_to_the_same_picture_again(tab):
    assert not tab.is_ticked("txt2img_hr")
    tab.tick()
    tab.wait(lambda: tab.is_ticked("txt2img_hr"))
    expect(tab.one("txt2img_hr_upscaler")).to_be_visible()
    tab.expect_plan("Choose the checkpoint")
    tab.choose("script_multipass_checkpoint", B)
    tab.expect_plan(f"1 {A} · ", f"→ 2 {B} · ", "2 checkpoints")
    assert "warning" not in tab.part("plan").inner_html()
    small(tab)
    tab.page.locator("#txt2img_prompt textarea").fill("a cat, sunny")
    infotext = tab.generate()
    assert re.search(rf"Multipass checkpoint: {B}\.safetensors", infotext)
    picture = tab.picture()

    tab.tick(False)
    tab.open()
    tab.paste(infotext)
    assert tab.is_ticked("script_multipass_enabled")
    assert tab.is_ticked("txt2img_hr")
    assert tab.value("script_multipass_checkpoint").startswith(f"{B}.safetensors")
    tab.expect_plan(f"→ 2 {B} · ")
    if tab.server.webui.kind is NEO:  # which leaves the prompt as it was typed, with or without Multipass
        tab.page.locator("#txt2img_prompt textarea").fill("a cat, sunny")
    assert without(tab.generate()) == without(infotext)
    assert tab.picture() == picture


def title_of(tab: Tab) -> Locator:
    return tab.part("enabled").locator("> .label-wrap")


def tick_in_title(tab: Tab) -> Locator | None:
    """The box in the panel's title, which is ticked apart from folding out; webuis up to 1.6.0 have none."""
    box = title_of(tab).locator("input")
    return box if box.count() else None


def tick_by_hand(tab: Tab, how: str) -> None:
    box = tick_in_title(tab) or title_of(tab)
    if how == "keyboard":
        box.focus()
        tab.page.keyboard.press("Space")
    else:
        box.click()


def folded_out(tab: Tab) -> bool:
    return "open" in title_of(tab).get_attribute("class").split()


FOCUSED = "document.activeElement.closest('[id^=script_multipass]')?.id ?? ''"


@pytest.mark.both
@pytest.mark.in_turn
@pytest.mark.parametrize("how", ["mouse", "keyboard"])
def test_who_ticks_is_led_to_what_has_to_be_chosen(tab, how):
    tick_by_hand(tab, how)
    tab.wait(lambda: tab.page.evaluate(FOCUSED) == "script_multipass_checkpoint", seconds=10)
    expect(tab.part("plan")).to_be_visible()
    assert folded_out(tab)
    assert tab.is_ticked("script_multipass_enabled")
    tab.wait(lambda: tab.is_ticked("txt2img_hr"))
    tab.page.keyboard.type(B)
    tab.page.keyboard.press("Enter")
    tab.expect_plan(f"→ 2 {B} · ")

    tick_by_hand(tab, how)
    tab.wait(lambda: not tab.is_ticked("script_multipass_enabled"))
    tab.settle()
    assert folded_out(tab) is (tick_in_title(tab) is not None)  # as the webui has it
    assert tab.page.evaluate(FOCUSED) != "script_multipass_checkpoint"


@pytest.mark.both
@pytest.mark.in_turn
@pytest.mark.parametrize("how", ["mouse", "keyboard"])
def test_who_has_chosen_is_left_alone(tab, how):
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    tab.tick(False)
    title_of(tab).locator("> .icon").click() if folded_out(tab) else None
    assert not folded_out(tab)
    tick_by_hand(tab, how)
    tab.wait(lambda: tab.is_ticked("script_multipass_enabled"))
    tab.settle()
    assert folded_out(tab) is (tick_in_title(tab) is None)  # as the webui has it
    assert tab.page.evaluate(FOCUSED) != "script_multipass_checkpoint"


@pytest.mark.both
def test_what_is_ticked_by_the_page_takes_no_focus(tab):
    """By a pasted picture whose second checkpoint is empty, or by another extension's script."""
    prompt = tab.page.locator("#txt2img_prompt textarea")
    prompt.focus()
    tab.page.evaluate("inputAccordionChecked('script_multipass_enabled', true)")
    tab.wait(lambda: tab.is_ticked("script_multipass_enabled"))
    tab.settle()
    assert tab.page.evaluate("document.activeElement.closest('[id]').id") == "txt2img_prompt"
    tab.page.evaluate("inputAccordionChecked('script_multipass_enabled', false)")
    tab.wait(lambda: not tab.is_ticked("script_multipass_enabled"))
    tab.paste(
        "a cat\nSteps: 4, Sampler: Euler, CFG scale: 5, Seed: 7, Size: 64x64, Denoising strength: 0.6, "
        f"Hires upscale: 2, Hires upscaler: Latent, Multipass checkpoint: {B}"
    )
    assert tab.is_ticked("script_multipass_enabled")
    assert tab.page.evaluate(FOCUSED) == ""


def test_swap(tab):
    tab.tick()
    tab.part("swap").click()  # nothing is chosen yet
    tab.choose("script_multipass_checkpoint", B)
    tab.expect_plan(f"1 {A} · ", f"→ 2 {B} · ")
    tab.part("swap").click()
    tab.expect_plan(f"1 {B} · ", f"→ 2 {A} · ")
    assert tab.value("script_multipass_checkpoint").startswith(f"{A}.safetensors")
    tab.wait(lambda: tab.value("setting_sd_model_checkpoint").startswith(f"{B}.safetensors"))
    assert tab.server.client.get("/sdapi/v1/options")["sd_model_checkpoint"].startswith(B)


def test_the_plan_follows_the_page(tab):
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    tab.expect_plan(f"1 {A} · ")
    tab.choose("setting_sd_model_checkpoint", C)
    tab.expect_plan(f"1 {C} · ")
    tab.flip("txt2img_hr")
    tab.expect_plan("Hires. fix is off")
    tab.flip("txt2img_hr")
    expect(tab.part("plan")).not_to_contain_text("Hires. fix is off")
    if tab.server.webui.adetailer:
        detailer = "script_txt2img_adetailer_ad_main_accordion"
        tab.flip(detailer)
        if tab.server.webui.kind is NEO:  # its tabs begin without a detector
            tab.choose("script_txt2img_adetailer_ad_model", "always")
        tab.expect_plan(f"faces: {B}")


def test_the_drawing_is_seen_and_the_sentence_is_heard(tab):
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    tab.expect_plan(f"1 {A} · ")
    sentence, drawing = tab.part("plan").locator(".multipass-spoken").first, tab.part("plan").locator(DRAWING).first
    box = sentence.bounding_box()
    assert max(box["width"], box["height"]) <= 1
    assert sentence.evaluate("one => one.innerText").startswith(f"1 {A} · ")
    assert "multipass-chip" not in tab.part("plan").aria_snapshot()
    assert tab.part("plan").aria_snapshot().count(A) == 1
    expect(drawing.locator(".multipass-name")).to_have_text([A, B])
    chips = [chip.bounding_box() for chip in drawing.locator(".multipass-chip").all()]
    assert chips[0]["y"] == chips[1]["y"]
    assert chips[0]["x"] + chips[0]["width"] <= chips[1]["x"]
    fills = drawing.locator(".multipass-bar i").evaluate_all(
        "all => all.map(one => getComputedStyle(one).backgroundImage + getComputedStyle(one).backgroundColor)"
    )
    assert len(fills) == len({*fills}) >= 3  # told apart by more than their colours, see style.css


DRAWING = ".multipass-drawing"


def test_nothing_is_asked_for_while_the_panel_is_closed(tab):
    tab.choose("txt2img_hr_upscaler", "Lanczos") if tab.is_ticked("txt2img_hr") else None
    tab.choose_first(C)
    assert tab.plans == 0
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    tab.expect_plan(f"1 {C} · ")
    asked = tab.plans
    assert asked
    tab.tick(False)
    tab.choose_first(A)
    assert tab.plans == asked
    expect(tab.part("plan").locator(".multipass-drawing").first).to_be_hidden()
    tab.tick()
    tab.expect_plan(f"1 {A} · ")


def test_nothing_is_asked_for_while_a_picture_is_made(tab):
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    tab.expect_plan(f"1 {A} · ")
    tab.settle()
    asked = tab.plans
    tab.page.evaluate("document.getElementById('txt2img_skip').style.display = 'block'")
    expect(tab.part("swap")).to_be_disabled()
    tab.choose("script_multipass_checkpoint", C)
    tab.settle()
    assert tab.plans == asked
    tab.page.evaluate("document.getElementById('txt2img_skip').style.display = 'none'")
    expect(tab.part("swap")).to_be_enabled()
    tab.expect_plan(f"→ 2 {C} · ")
    tab.settle()
    assert tab.plans == asked + 1


def test_a_prompt_counts_once_it_is_left(tab):
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    tab.settle()
    asked = tab.plans
    prompt = tab.page.locator("#txt2img_prompt textarea")
    prompt.press_sequentially("a cat <lora:fur:1>", delay=40)
    tab.settle()
    assert tab.plans == asked
    prompt.blur()
    tab.settle()
    assert tab.plans == asked + 1


def test_changes_in_a_row_are_asked_for_once(tab):
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    tab.settle()
    asked = tab.plans
    slider = tab.page.locator("#txt2img_hr_scale input[type=number]")
    slider.evaluate(  # on a busy machine four steps of a user's take longer than what is waited for
        """field => ['1.5', '1.6', '1.7', '1.8'].forEach(scale => {
            field.value = scale;
            field.dispatchEvent(new Event('input', {bubbles: true}));
        })"""
    )
    tab.settle()
    assert tab.plans == asked + 1


def test_the_folded_row_shows_that_something_in_it_is_changed(tab):
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    row = tab.part("settings")
    tab.settle()
    assert "multipass-changed" not in row.get_attribute("class")
    title = row.locator("> .label-wrap")
    title.focus()
    title.press("Enter")
    expect(title).to_have_attribute("aria-expanded", "true")
    tab.choose("script_multipass_keep", "In RAM")
    expect(row).to_have_class(re.compile("multipass-changed"))
    expect(title).to_have_attribute("title", "Changed: Keep checkpoints.")
    tab.choose("script_multipass_keep", "Automatic")
    expect(row).not_to_have_class(re.compile("multipass-changed"))


def test_release_says_what_was_freed(tab):
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    small(tab)
    tab.generate()
    tab.fold_out()
    tab.part("release").click()
    tab.wait(lambda: tab.value("script_multipass_note").startswith(f"Released {B}: "))


@pytest.mark.both
def test_the_last_job_is_told_and_the_keyboard_folds_it_out(tab):
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    tab.expect_plan(f"1 {A} · ")
    small(tab)
    tab.settle()
    last, asked = tab.part("last"), tab.plans
    before = height_of(tab)
    tab.generate()
    summary = last.locator("summary").first
    expect(summary).to_contain_text(re.compile(r"Last job: \d+\.\d s, \d swap"), timeout=10_000)
    tab.settle()
    assert tab.plans == asked + 1
    assert height_of(tab) - before <= 2 * LINE_HEIGHT  # itself, and the space before it
    expect(last.locator("table").first).to_be_hidden()
    summary.focus()
    tab.page.keyboard.press("Enter")
    expect(last.locator("tr").filter(has_text="Second pass").first).to_contain_text(B)
    tab.choose("script_multipass_adetailer", "Same as first pass")  # the plan is asked for again
    tab.settle()
    assert tab.plans == asked + 2
    expect(last.locator("table").first).to_be_visible()


def test_refresh_keeps_the_choice_and_finds_new_files(tab):
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    folder = tab.server.data / "models" / "Stable-diffusion"
    new = folder / "fresh.safetensors"
    new.write_bytes((folder / f"{C}.safetensors").read_bytes())
    try:
        tab.part("refresh").click()
        tab.settle()
        assert tab.value("script_multipass_checkpoint").startswith(f"{B}.safetensors")
        tab.choose("script_multipass_checkpoint", "fresh")
        tab.expect_plan("→ 2 fresh · ")
    finally:
        new.unlink()
        tab.server.client.post("/sdapi/v1/refresh-checkpoints")
    tab.part("refresh").click()
    tab.choose("script_multipass_adetailer", "Same as first pass")  # the plan is asked for again
    tab.expect_plan("there is no checkpoint 'fresh.safetensors")
    field = tab.page.locator("#script_multipass_checkpoint input")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert field.input_value().startswith("fresh.safetensors")


def test_a_pasted_checkpoint_that_is_not_here_stays_visible(tab):
    name = "<img src=x onerror=document.title=1>.safetensors [0123456789]"
    tab.paste(
        "a cat\nSteps: 4, Sampler: Euler, CFG scale: 5, Seed: 7, Size: 64x64, Denoising strength: 0.6, "
        f"Hires upscale: 2, Hires upscaler: Latent, Multipass checkpoint: {name}"
    )
    assert tab.value("script_multipass_checkpoint") == name
    tab.expect_plan(f"there is no checkpoint '{name}'")
    assert tab.part("enabled").inner_text().count("there is no checkpoint") == 1
    assert tab.part("plan").locator("img").count() == 0
    assert tab.page.title() != "1"


def test_the_first_checkpoint_of_a_pasted_picture_is_one_click_away(tab):
    tab.paste(
        "a cat\nSteps: 4, Sampler: Euler, CFG scale: 5, Seed: 7, Size: 64x64, Denoising strength: 0.6, "
        f"Hires upscale: 2, Hires upscaler: Latent, Model: {C}, Multipass checkpoint: {B}"
    )
    tab.expect_plan(f"1 {A} · ", f"was made with {C}, not with {A}")
    tab.part("plan").get_by_role("button", name=f"Select {C}").press("Enter")
    tab.wait(lambda: tab.value("setting_sd_model_checkpoint").startswith(f"{C}.safetensors"))
    tab.expect_plan(f"1 {C} · ")
    expect(tab.part("plan")).not_to_contain_text("pasted")
    expect(tab.part("plan")).to_be_focused()
    assert tab.server.client.get("/sdapi/v1/options")["sd_model_checkpoint"].startswith(C)
    tab.choose("setting_sd_model_checkpoint", A)  # the offer follows a change by hand
    tab.expect_plan(f"not with {A}")


def test_hostile_names_never_become_html(tab):
    name = "a <img src=x onerror=document.title=1> & b"
    folder = tab.server.data / "models" / "Stable-diffusion"
    hostile = folder / f"{name}.safetensors"
    hostile.write_bytes((folder / f"{B}.safetensors").read_bytes())
    try:
        tab.tick()
        tab.part("refresh").click()
        tab.settle()
        tab.choose("script_multipass_checkpoint", "onerror")
        tab.expect_plan(f"→ 2 {name} · ")
        assert tab.page.locator("#script_multipass_enabled img").count() == 0
        assert tab.page.title() != "1"
    finally:
        hostile.unlink()
        tab.server.client.post("/sdapi/v1/refresh-checkpoints")


def test_the_webuis_own_hires_checkpoint_shows_who_governs_it(tab):
    own = tab.page.locator("#hr_checkpoint")
    tab.tick()
    expect(own).to_have_class(re.compile("multipass-governed"))
    assert "Multipass chooses" in own.get_attribute("title")
    tab.tick(False)
    expect(own).not_to_have_class(re.compile("multipass-governed"))
    expect(own).to_have_attribute("title", "")


def test_a_second_tab_has_its_own_panel(tab, tab_of):
    other = tab_of(tab.server)
    tab.tick()
    tab.choose("script_multipass_checkpoint", B)
    assert not other.is_ticked("script_multipass_enabled")
    other.tick()
    other.choose("script_multipass_checkpoint", C)
    other.expect_plan(f"→ 2 {C} · ")
    tab.choose("script_multipass_adetailer", "Same as first pass")
    tab.expect_plan(f"→ 2 {B} · ", "No ADetailer tab")
    assert tab.value("script_multipass_checkpoint").startswith(B)


@pytest.mark.in_turn
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_jumps_in_either_theme(server, tab_of, theme):
    shown = tab_of(server, f"?__theme={theme}")
    shown.tick()
    shown.expect_plan("Choose")
    heights = [height_of(shown)]
    shown.choose("script_multipass_checkpoint", B)
    shown.expect_plan(f"→ 2 {B} · ")
    heights.append(height_of(shown))
    shown.flip("txt2img_hr")
    shown.expect_plan("Hires. fix is off")
    heights.append(height_of(shown))
    assert heights == sorted(heights)
    assert max(after - before for before, after in pairwise(heights)) <= LINE_HEIGHT
    for name in ("role", "mark", "name", "about", "legend"):
        assert contrast(*shown.part("plan").locator(f".multipass-{name}").first.evaluate(COLOURS)) >= 4.5, name
    warning = shown.part("plan").locator(".multipass-warning").first
    assert contrast(*warning.evaluate(COLOURS)) >= 4.5


def height_of(tab: Tab) -> float:
    tab.settle()
    return tab.part("enabled").bounding_box()["height"]


LINE_HEIGHT = 24
"""Pixels of the webuis' largest line of text."""
COLOURS = """element => {
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
    const own = getComputedStyle(element);
    return [own.color, getComputedStyle(behind).backgroundColor, own.opacity];
}"""


def contrast(text: str, behind: str, opacity: str) -> float:
    """Of two CSS colours, the first one above the other, as WCAG 2 has it."""
    above, below = ([int(part) for part in re.findall(r"\d+", colour)[:3]] for colour in (text, behind))
    mixed = [float(opacity) * a + (1 - float(opacity)) * b for a, b in zip(above, below, strict=True)]
    dark, light = sorted(map(_luminance, (mixed, below)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: list[float]) -> float:
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_narrow_page(server, tab_of):
    narrow = tab_of(server, width=360)
    narrow.tick()
    narrow.choose("script_multipass_checkpoint", B)
    narrow.expect_plan(f"→ 2 {B} · ")
    chips = narrow.part("plan").locator(".multipass-chip").all()
    first, second = (chip.bounding_box() for chip in chips)
    assert (first["x"], first["width"]) == (second["x"], second["width"])
    assert first["y"] + first["height"] <= second["y"]
    name = narrow.part("plan").locator(".multipass-name").first
    name.evaluate("name => { name.textContent = 'very_long'.repeat(20); }")
    assert chips[0].bounding_box()["width"] == first["width"]
    narrow.fold_out()
    for name in ("plan", "checkpoint", "swap", "refresh", "adetailer", "vae", "keep", "release"):
        box = narrow.part(name).bounding_box()
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= 360, name
    dropdown, button = narrow.part("checkpoint").bounding_box(), narrow.part("swap").bounding_box()
    assert dropdown["y"] < button["y"] + button["height"] <= dropdown["y"] + dropdown["height"] + 4


def test_the_keyboard_goes_through_the_panel_in_order(tab):
    tab.tick()
    tab.page.locator("#script_multipass_checkpoint input").focus()
    order = []
    for _ in range(4):
        tab.page.keyboard.press("Tab")
        order.append(tab.page.evaluate("document.activeElement.closest('[id]').id"))
    assert order[:3] == ["script_multipass_swap", "script_multipass_refresh", "script_multipass_adetailer"]
    assert (
        tab.page.evaluate("document.activeElement.closest('[id^=script_multipass]').id") == "script_multipass_settings"
    )
    for name in ("swap", "refresh"):
        assert tab.part(name).get_attribute("aria-label")
        assert tab.part(name).get_attribute("title")


def reload_ui(tab: Tab) -> None:
    starts = tab.server.log.count("Startup time")
    tab.one("settings_restart_gradio").dispatch_event("click")
    tab.wait(lambda: tab.server.log.count("Startup time") > starts, seconds=240)


def test_defaults_of_the_page_tick_and_fill_the_panel(start, tab_of, tmp_path):
    kept = tmp_path / "ui-config.json"
    ours = "customscript/multipass.py/txt2img"
    values = {"Multipass": True, "Second-pass checkpoint": f"{B}.safetensors", "Second-pass CFG scale": 4.5}
    defaults = {f"{ours}/{label}/value": value for label, value in values.items()}
    defaults["txt2img/Multipass/value"] = True  # a script's ticked accordion is named so up to 1.8.0
    kept.write_text(json.dumps(defaults), encoding="utf-8")
    with start("--ui-config-file", str(kept)) as server:
        tab = tab_of(server)
        if "txt2img/Hires. fix/value" in json.loads(kept.read_text(encoding="utf-8")):
            tab.expect_plan("Hires. fix is off")
            assert tab.page.evaluate(FOCUSED) == ""
        else:  # 1.6.0 has no defaults for accordions with a tick
            tab.tick()
        tab.expect_plan(f"→ 2 {B} · ")
        expect(tab.part("settings")).to_have_class(re.compile("multipass-changed"))
        stored = json.loads(kept.read_text(encoding="utf-8"))
        assert [key for key in stored if key.startswith(f"{ours}/") and ("Plan" in key or "None" in key)] == []


def save_defaults(tab: Tab, kept: Path, **values: str) -> None:
    """Press Apply under Settings, Defaults; where there is no such page, the file is written as the webui does it."""
    if tab.server.webui.real:
        tab.one("ui_defaults_apply").dispatch_event("click")
        tab.wait(lambda: all(value in kept.read_text(encoding="utf-8") for value in values.values()))
    else:
        stored = json.loads(kept.read_text(encoding="utf-8"))
        for name, value in values.items():
            stored[f"customscript/multipass.py/txt2img/{label(name)}/value"] = value
        kept.write_text(json.dumps(stored, indent=4), encoding="utf-8")


def test_a_saved_default_outlives_the_title_of_its_file(start, tab_of, tmp_path, webui):
    if webui.kind is NEO:
        pytest.skip("the VAE's field is a list there, see tests/hooks/test_modules_on_page.py")
    kept, gone = tmp_path / "ui-config.json", "gone.safetensors [0123456789]"
    first = {f"customscript/multipass.py/txt2img/{label('vae')}/value": gone}
    kept.write_text(json.dumps(first), encoding="utf-8")
    with start("--ui-config-file", str(kept)) as server:

        def title_of(name: str) -> str:
            return next(m["title"] for m in server.client.get("/sdapi/v1/sd-models") if m["model_name"] == name)

        tab = tab_of(server)
        assert tab.value("script_multipass_vae") == gone
        tab.tick()
        tab.choose("script_multipass_checkpoint", B)
        tab.expect_plan(f"there is no VAE '{gone}'")
        tab.choose("script_multipass_adetailer", C)
        chosen = {"checkpoint": f"{B}.safetensors", "adetailer": f"{C}.safetensors"}
        assert {name: tab.value(f"script_multipass_{name}") for name in chosen} == chosen
        save_defaults(tab, kept, **chosen)
        for name in (B, C):
            server.client.txt2img(**hires(), alwayson_scripts=multipass(True, name))
        titles = {"checkpoint": title_of(B), "adetailer": title_of(C), "vae": gone}
        assert titles["checkpoint"] != chosen["checkpoint"]
        tab.part("refresh").click()
        tab.wait(lambda: tab.value("script_multipass_checkpoint") == titles["checkpoint"])
        assert {name: tab.value(f"script_multipass_{name}") for name in titles} == titles

        saved = kept.read_bytes()
        reload_ui(tab)
        again = tab_of(server)
        assert {name: again.value(f"script_multipass_{name}") for name in titles} == titles
        assert kept.read_bytes() == saved
        again.tick()
        again.fold_out()
        again.choose("script_multipass_vae", "Use same VAE")
        again.expect_plan(f"→ 2 {B} · ")
        again.settle()
        asked = again.plans
        again.choose("script_multipass_adetailer", "Same as first pass")
        again.expect_plan("No ADetailer tab")
        again.settle()
        assert again.plans == asked + 1  # though the page was built twice
        small(again)
        assert f"Multipass checkpoint: {titles['checkpoint']}" in again.generate()


@pytest.mark.both
def test_a_pass_that_is_kept_is_marked(server, tab_of):
    server.client.post("/sdapi/v1/options", {"multipass_stages": 512})
    try:
        tab = tab_of(server)
        tab.tick()
        tab.choose("script_multipass_checkpoint", B)
        small(tab)
        tab.generate()
        marks = tab.part("plan").locator(".multipass-mark")
        expect(marks).to_have_text(["kept", "kept"], timeout=10_000)
        strength = tab.page.locator("#txt2img_denoising_strength input[type=number]")
        strength.fill("0.4")
        strength.blur()
        expect(marks).to_have_text(["kept", re.compile("RAM|VRAM")], timeout=10_000)
    finally:
        server.client.post("/multipass/v1/release")
        server.client.post("/sdapi/v1/options", {"multipass_stages": 0})
