"""The plan as a drawing: chips, marks, and the bar of memory."""

import re

import pytest

from lib_multipass.memory.placement import AUTOMATIC, Memory, Model, decide
from lib_multipass.page import drawing
from lib_multipass.page.drawing import CHECKPOINT, FREE, KEPT, PICTURES, RESERVE, TURN, bar_of, chips_of, drawing_of
from lib_multipass.plan.forecast import FACES, FIRST, REFINER, SECOND, Forecast, Kept, MemoryReport, Pass
from lib_multipass.plan.keeping import Keeping, forecast
from lib_multipass.plan.situation import Situation
from lib_multipass.plan.vae_choice import VaeSettings

GB = 1_000_000_000
CARTOON, PHOTO = ("cartoon", "SD 1.x", 2 * GB), ("photo", "SDXL", 7 * GB)
PASSES = (Pass(FIRST, *CARTOON), Pass(SECOND, *PHOTO), Pass(FACES, *PHOTO))
DEVICE = MemoryReport(vram_room=14 * GB, vram_needed=9 * GB, vram_reserve=3 * GB, vram_pictures=2 * GB, ram_room=GB)
COMPUTER = MemoryReport(ram_room=14 * GB, ram_needed=9 * GB, ram_reserve=2 * GB, vram_reserve=GB, vram_pictures=GB)


def plan(now=("VRAM", "disk"), then=("VRAM", "VRAM"), memory=DEVICE, passes=PASSES):
    models = zip((CARTOON, PHOTO), now, then, strict=True)
    kept = tuple(Kept(name, size, here, there) for (name, _, size), here, there in models)
    return Forecast(passes, kept, memory, "Automatic")


def parts(bar):
    return [(part.kind, part.label, part.bytes / GB) for part in bar.parts]


def test_a_chip_for_each_pass_in_order():
    chips = chips_of(plan(), None)
    assert [(chip.role, chip.name, chip.about) for chip in chips] == [
        (FIRST, "cartoon", "SD 1.x · 2.0 GB"),
        (SECOND, "photo", "SDXL · 7.0 GB"),
        (FACES, "photo", "SDXL · 7.0 GB"),
    ]
    assert [chip.is_told for chip in chips] == [False, False, True]


@pytest.mark.parametrize("place", ["VRAM", "RAM", "disk"])
def test_the_mark_says_where_a_checkpoint_lies(place):
    html = drawing_of(plan(now=(place, "disk")))
    assert f'<span class="multipass-mark" data-mark="{place}">{place}</span>' in html.partition("second")[0]


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [
        ("VRAM", "RAM", "Lies in VRAM now, stays in RAM."),
        ("disk", "disk", "Lies on disk now, is loaded every time."),
    ],
)
def test_the_tooltip_says_where_it_will_be(now, then, words):
    assert words in chips_of(plan((now, "disk"), (then, "VRAM")), None)[0].tooltip


def test_a_pass_that_is_kept_is_marked():
    kept = Pass(FIRST, *CARTOON, is_kept=True)
    first, second = chips_of(plan(passes=(kept, PASSES[1])), None)
    assert (first.mark, second.mark) == (KEPT, "disk")
    assert "The first pass of the last job is kept" in first.tooltip


def test_the_parts_of_the_bar_are_what_there_is():
    bar = bar_of(plan())
    assert (bar.place, bar.total, bar.lacking) == ("VRAM", 14 * GB, 0)
    assert parts(bar) == [
        (CHECKPOINT, "cartoon", 2),
        (CHECKPOINT, "photo", 7),
        (PICTURES, "pictures", 2),
        (RESERVE, "reserve", 1),
        (FREE, "free", 2),
    ]


@pytest.mark.parametrize("now", [("VRAM", "VRAM"), ("disk", "RAM")])
@pytest.mark.parametrize("then", [("VRAM", "VRAM"), ("VRAM", "RAM"), ("RAM", "RAM"), ("disk", "disk")])
@pytest.mark.parametrize("memory", [DEVICE, COMPUTER])
def test_the_parts_add_up(now, then, memory):
    bar = bar_of(plan(now, then, memory))
    assert sum(part.bytes for part in bar.parts) == bar.total + bar.lacking
    assert all(part.bytes > 0 and part.tooltip for part in bar.parts)


def test_checkpoints_that_wait_elsewhere_take_turns():
    bar = bar_of(plan(then=("RAM", "RAM"), memory=MemoryReport(vram_room=10 * GB, vram_needed=7 * GB)))
    assert parts(bar) == [(TURN, "cartoon or photo in turn", 7), (FREE, "free", 3)]
    assert {chip.fill for chip in chips_of(plan(then=("RAM", "RAM")), bar)} == {"turn-1"}


def test_a_full_bar_says_how_much_is_lacking():
    memory = MemoryReport(vram_room=6 * GB, vram_needed=7 * GB, vram_reserve=3 * GB, vram_pictures=2 * GB)
    bar = bar_of(plan(then=("VRAM", "RAM"), memory=memory))
    assert (bar.lacking, FREE in [part.kind for part in bar.parts]) == (4 * GB, False)
    assert "4.0 GB too little" in drawing_of(plan(then=("VRAM", "RAM"), memory=memory))


def test_without_a_device_the_bar_is_of_the_computers_memory():
    bar = bar_of(plan(now=("RAM", "disk"), then=("RAM", "RAM"), memory=COMPUTER))
    assert (bar.place, bar.total) == ("RAM", 14 * GB)
    assert [kind for kind, _, _ in parts(bar)] == [CHECKPOINT, CHECKPOINT, RESERVE, FREE]
    assert "<b>RAM</b>" in drawing_of(plan(memory=COMPUTER))


def test_there_is_no_bar_of_what_cannot_be_told():
    assert bar_of(plan(memory=MemoryReport())) is None
    assert "multipass-bar" not in drawing_of(plan(memory=MemoryReport()))


def test_every_part_of_the_bar_is_named_and_has_a_tooltip():
    html = drawing_of(plan())
    bar, legend = re.search(r'multipass-bar">(.*?)</div><div class="multipass-legend">(.*?)</div>', html).groups()
    assert bar.count("<i ") == bar.count('title="') == legend.count("<i ") == legend.count('title="') == 5
    for text in ("cartoon 2.0 GB", "photo 7.0 GB", "pictures 2.0 GB", "reserve 1.0 GB", "free 2.0 GB"):
        assert f"</i>{text}</span>" in legend


def test_a_chip_shows_how_its_part_of_the_bar_is_filled():
    html = drawing_of(plan()).partition("multipass-bar")[0]
    assert html.count('<i class="multipass-checkpoint-1"></i>cartoon') == 1
    assert html.count('<i class="multipass-checkpoint-2"></i>photo') == 2


def test_nothing_of_it_becomes_html():
    evil = '"><img src=x onerror=alert(1)>'
    passes = (Pass(FIRST, evil, evil, GB), Pass(REFINER, evil, evil, GB))
    html = drawing_of(Forecast(passes, (Kept(evil, GB, evil, "VRAM"),), DEVICE, evil))
    html += drawing.sketch(evil, evil)
    assert "<img" not in html
    assert html.count("&lt;img") >= 6
    assert '""' not in re.sub(r'data-mark=""', "", html)


def test_without_a_plan_there_is_as_much():
    html, whole = drawing.sketch("cartoon", "choose a checkpoint"), drawing_of(plan(passes=PASSES[:2]))
    for part in ("multipass-chip", "multipass-bar", "multipass-legend", "multipass-about"):
        assert html.count(part) == whole.count(part)
    assert html.count("multipass-open") == 1
    assert "multipass-open" not in whole


def test_screen_readers_pass_it_over():
    assert drawing_of(plan()).startswith('<div class="multipass-drawing" aria-hidden="true">')
    assert not re.search(r"<(a|button|input|summary)\b|tabindex", drawing_of(plan()))


@pytest.mark.parametrize("place", ["VRAM", "RAM"])
@pytest.mark.parametrize("lies", [0, 6])
def test_what_is_decided_to_fit_fits_into_the_bar(place, lies):
    """Another job's checkpoint lies there, which goes when its place is needed; the settings set 2 GB aside."""
    models = [Model(name, name, size) for name, _, size in (CARTOON, PHOTO)]
    others = [Model("old", "old", lies * GB, place=place)]
    free = Memory(**{place.lower(): (19 - lies) * GB, f"{place.lower()}_reserve": 2 * GB})
    decision = decide(models, free, AUTOMATIC, others=others)
    assert decision.at(place) == ["cartoon", "photo"]
    situation = Situation({}, VaeSettings(), others=others)
    bar = bar_of(forecast(Keeping(AUTOMATIC, tuple(models), free, decision), situation, [], [], ""))
    assert (bar.place, bar.total, bar.lacking) == (place, 19 * GB, 0)
    assert [kind for kind, _, _ in parts(bar)][:2] == [CHECKPOINT, CHECKPOINT]
