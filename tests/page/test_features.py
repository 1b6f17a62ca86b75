"""The page of a fork that Multipass cannot work in."""

from __future__ import annotations

import pytest

from support import browser as browsers


@pytest.mark.skipif(browsers.program() is None, reason=browsers.HOW_TO_GIVE)
def test_the_page_of_a_running_fork(fork, browser):
    page, complaints = browser.new_page(), []
    page.on("pageerror", lambda error: complaints.append(error))
    page.goto(fork.client.url)
    page.locator("#script_multipass_off").click()
    page.locator("#script_multipass_why_off").get_by_text("Multipass is off").wait_for()
    page.locator("#txt2img_generate").click()
    page.locator("#txt2img_gallery img").first.wait_for()
    page.close()
    assert complaints == []
