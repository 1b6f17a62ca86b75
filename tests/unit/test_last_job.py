"""What the panel tells of the last job."""

from lib_multipass.page.last_job import rows, told
from lib_multipass.plan.report import Journal, Made, Swap


def journal(**values):
    passes = [Made("second pass", "photo", 4.0), Made("first pass", "cartoon", 3.0), Made("second pass", "photo", 5.0)]
    swaps = [Swap("photo", 2.0, 1), Swap("cartoon", 0.5, 0), Swap("photo", 1.0, 0)]
    return Journal(swaps, passes, ["first pass"], **{"seconds": 20.0, **values})


def test_each_pass_and_each_swap_and_what_was_not_done_again():
    assert [*rows(journal())] == [
        ("First pass", "cartoon", "3.00 s"),
        ("Second pass", "photo", "2 × 4.50 s"),
        ("First pass", "", "not made again"),
        ("Swap", "photo", "2 × 1.50 s, 1 load from disk"),
        ("Swap", "cartoon", "0.50 s, was in memory"),
        ("Everything else", "", "4.50 s"),
    ]


def test_the_times_add_up_to_the_whole():
    assert [*rows(Journal(seconds=1.5))] == [("Everything else", "", "1.50 s")]
    assert [*rows(journal(seconds=1.0))][-1][2] == "0.00 s"  # clocks that were read apart


def test_it_is_folded_in_one_line():
    html = told(journal())
    summary = "Last job: 20.0 s, 3 swaps, 1 load from disk; not made again: first pass"
    assert html.startswith(f"<details><summary>{summary}</summary>")
    assert html.count("<tr>") == html.count('<th scope="row">') == len([*rows(journal())])


def test_before_the_first_job_there_is_nothing():
    assert told(None) == ""


def test_names_never_become_html():
    evil = "<img src=x onerror=alert(1)>"
    html = told(Journal([Swap(evil, 1.0, 0)], [Made("faces", evil, 1.0)], [evil]))
    assert "<img" not in html.lower()
    assert html.lower().count("&lt;img") == 4
