"""The plan's mark of a pass that is kept from the last job."""

from __future__ import annotations

import pytest

from lib_multipass.page.drawing import KEPT
from support.jobs import B, C

PAGE = {"prompt": "a cat", "seed": 5, "steps": 2, "cfg_scale": 7.0, "width": 64, "height": 64, "enable_hr": True}
HIRES = {"hr_upscaler": "Lanczos", "hr_scale": 2.0, "denoising_strength": 0.6, "hr_second_pass_steps": 3}
OF_PAGE = {"negative_prompt": "", "styles": [], "sampler_name": "Euler", "scheduler": "Automatic", "batch_size": 1}
SAME = {"hr_sampler_name": "Use same sampler", "hr_scheduler": "Use same scheduler", "hr_negative_prompt": ""}


def run(host, **fields):
    """A job with the page's values."""
    p = host.job(True, B, **PAGE, **HIRES, sampler_name="Euler", styles=[], scheduler="Automatic")
    for name, value in fields.items():
        setattr(p, name, value)
    return host.run(p)


@pytest.fixture
def marks(host, monkeypatch):
    """Of the first and of the second pass, for the page's values but for these, after a job with the page's values."""
    from lib_multipass.page import planline
    from lib_multipass.plan import args
    from lib_multipass.state import kept

    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", 512)
    kept.stages.clear()
    run(host)

    def found(**changes):
        ours = {"enabled": True, "checkpoint": B, **changes.pop("ours", {})}
        ours = [ours.get(name, args.default(name)) for name in args.FIELDS]
        page = {**PAGE, **HIRES, **OF_PAGE, **SAME, **changes}
        line = planline._html(page, ours, [])
        seen = [f'data-mark="{KEPT}"' in chip for chip in line.split('class="multipass-chip')[1:3]]
        told = "of the last job is kept and is not made again while nothing of it changes.</p>"
        assert [f'<p class="multipass-spoken">The {role} pass {told}' in line for role in ("first", "second")] == seen
        return seen

    yield found
    kept.stages.clear()


def test_both_are_kept_while_nothing_changes(marks):
    assert marks() == [True, True]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"prompt": "a dog"},
        {"negative_prompt": "blurry"},
        {"steps": 5},
        {"width": 128},
        {"styles": ["ink"]},
        {"sampler_name": "Euler a"},
        {"override_settings": [f"Model hash: {C}"]},
    ],
    ids=str,
)
def test_what_the_first_pass_is_made_from_makes_both_anew(marks, change):
    assert marks(**change) == [False, False]


@pytest.mark.parametrize(
    "change",
    [
        {"denoising_strength": 0.4},
        {"hr_scale": 1.5},
        {"hr_prompt": "a lion"},
        {"hr_sampler_name": "Euler a"},
        {"ours": {"checkpoint": C}},
        {"ours": {"clip_skip": 2}},
    ],
    ids=str,
)
def test_what_the_second_pass_is_made_from_leaves_the_first(marks, change):
    assert marks(**change) == [True, False]


def test_nothing_is_marked_that_was_let_go_of(marks, host, monkeypatch):
    from lib_multipass.api.release import release
    from lib_multipass.state import kept

    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", 0)
    assert marks() == [False, False]
    monkeypatch.setitem(host.shared.opts.data, "multipass_stages", 512)
    assert marks() == [True, True]
    release()
    assert marks() == [False, False]
    assert kept.last is not None


def test_a_pass_that_was_taken_from_memory_is_kept_on(marks, host):
    run(host)
    assert marks() == [True, True]


def test_one_of_several_pictures_that_is_gone_counts(marks, host):
    from lib_multipass.state import kept

    run(host, n_iter=2)
    assert [len(keys) for keys in kept.last.stages.values()] == [2, 2]
    assert marks() == [True, True]
    kept.stages._drop(kept.last.stages["first pass"][0])
    assert marks() == [False, True]


def test_a_random_seed_counts_as_what_it_was(marks, host):
    done = run(host, seed=-1)
    assert marks(seed=-1) == [False, False]
    assert marks(seed=done.all_seeds[0]) == [True, True]


def test_the_page_gives_all_that_it_has(host):
    """The miniature has no styles, and Forge Neo alone has modules."""
    from lib_multipass.page import planline

    demo = host.ui.create_ui()
    ids = {getattr(block, "elem_id", None) for block in demo.blocks.values()}
    assert set(planline.OF_THE_PASSES) - ids <= {"txt2img_styles", "hr_vae_te"}


def test_another_checkpoint_is_selected(marks, host, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(host.shared.opts.data, "sd_model_checkpoint", f"{C}.safetensors")
        assert marks() == [False, False]
    assert marks() == [True, True]
