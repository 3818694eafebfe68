# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: no complaint, nothing that sticks out, causes on the first screen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.browser import Browser, installed

pytestmark = pytest.mark.skipif(not installed(), reason="chromium is not installed (Debian: apt-get install chromium)")

#: Where to keep the screenshots, for a person to look at.
KEEP = os.environ.get("HAKUNA_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["green", "two_faults", "preflight", "replay", "big"])
def test_no_complaint_and_no_overflow(browser, which, width, request, tmp_path):
    path = request.getfixturevalue(which) / "report.html"
    for dark in (False, True):
        browser.show(path, width, dark=dark)
        widths = browser.widths()
        assert browser.complaints == []
        assert browser.requests == [path.as_uri()]
        assert widths["client"] == width
        assert widths["scroll"] <= width, widths
        assert widths["out"] == []
        shot = browser.screenshot(Path(KEEP or tmp_path) / f"{which}-{width}{'-dark' if dark else ''}.png")
        assert shot.stat().st_size > 10_000


def test_the_first_screen_says_what_is_broken_where_and_what_to_type(browser, two_faults):
    browser.show(two_faults / "report.html", 1280, 900)
    seen = """(selector) => { const b = document.querySelector(selector).getBoundingClientRect();
      return b.height > 0 && b.top >= 0 && b.bottom <= window.innerHeight; }"""
    for selector in (
        ".banner",
        "h1",
        "#root-1 h3",
        "#root-1 .where",
        "#root-1 pre.fix",
        "#root-1 .ev pre",
        "#root-2 h3",
    ):
        assert browser.evaluate(f"({seen})('{selector}')"), selector
    assert browser.evaluate("getComputedStyle(document.querySelector('.banner')).position") == "sticky"


def test_everything_can_be_reached_by_keyboard(browser, two_faults):
    browser.show(two_faults / "report.html", 1280)
    reach = "[...document.querySelectorAll('.scroll, pre.out')].every(e => e.tabIndex === 0)"
    assert browser.evaluate(reach)
    assert browser.evaluate("document.querySelectorAll('svg.heat a').length") > 0
    browser.evaluate("document.querySelector('#mesh details').open = false; location.hash = '#pair-1'")
    assert browser.evaluate("document.querySelector('tr:target') !== null")
