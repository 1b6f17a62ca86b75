"""The panel's plan line, called as the page calls it."""

from __future__ import annotations

from support.jobs import A, B


def line_of(host, **values):
    """The line for the page's default values but for these, through the event that the page would send."""
    from lib_multipass import args
    from lib_multipass.host import planline

    ours = [values.pop(name, args.default(name)) for name in args.FIELDS]
    return planline._html(values, ours, values.pop("faces", []))


def test_nothing_while_off_or_unchosen(host):
    assert line_of(host, enabled=False, checkpoint=B) == ""
    assert line_of(host, enabled=True) == ""


def test_the_line_says_what_will_happen(host):
    host.run(host.job())
    text = line_of(host, enabled=True, checkpoint=B, enable_hr=True, width=512, height=512)
    assert text.startswith(f"<p>1 {A} · unknown · ")
    assert f"→ 2 {B} · " in text
    assert "2 checkpoints stay in RAM" in text
    assert "warning" not in text


def test_what_is_wrong_stands_there_too(host):
    assert "Hires. fix is off" in line_of(host, enabled=True, checkpoint=B)
    text = line_of(host, enabled=True, checkpoint="<img src=x onerror=alert(1)>")
    assert "there is no checkpoint" in text
    assert "<img" not in text


def test_every_control_of_ours_updates_the_page(host):
    from lib_multipass import args
    from lib_multipass.host import planline

    demo = host.ui.create_ui()
    events = [event for event in demo.dependencies if event["outputs"] == _ids(demo, "script_multipass_plan")]
    sliders_and_ticks = 6 + 2  # sizes; Hires. fix and ADetailer
    assert len(events) == len(args.FIELDS) + sliders_and_ticks
    assert set(planline.WATCHED.values()) == set(planline._others)
    assert {len(event["inputs"]) for event in events} == {len(planline.WATCHED) + len(args.FIELDS) + _faces(host)}


def test_a_file_that_the_job_would_refuse_is_refused_here_too(host, monkeypatch):
    from lib_multipass.headers import LORA, Facts
    from lib_multipass.host import files

    monkeypatch.setattr(files, "facts_of", lambda checkpoint: Facts(1, kind=LORA))
    assert "is no checkpoint but a LoRA" in line_of(host, enabled=True, checkpoint=B, enable_hr=True)


def _faces(host):
    detailer = host.script("ADetailer")
    return detailer.args_to - detailer.args_from


def _ids(demo, elem_id):
    return [number for number, block in demo.blocks.items() if getattr(block, "elem_id", None) == elem_id]
