# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, at the width of a desk and of a phone."""

from pathlib import Path

import pytest

from fakes.browser import WIDTHS, figures, needs_browser, opened, outside, requests

pytestmark = needs_browser


@pytest.fixture(scope="module", params=WIDTHS)
def browser(request, page_file, tmp_path_factory):
    """The page, opened."""
    with opened(Path(page_file), width=request.param, profile=tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def test_no_error_and_no_request_leaves(browser, page_file):
    assert requests(browser) == [Path(page_file).as_uri()]
    assert browser.get_log("browser") == []


def test_the_page_never_scrolls_sideways(browser):
    assert outside(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_every_picture_is_drawn_and_has_words(browser):
    pictures = browser.execute_script("return [...document.images].map(image => [image.alt, image.naturalWidth, image.clientWidth])")
    assert len(pictures) > 5
    assert all(words and natural > 0 and shown > 60 for words, natural, shown in pictures)
    assert all(
        role == "img" and title and described and width > 180 and height > 80 for role, title, described, width, height in figures(browser)
    )


def test_every_link_of_the_contents_has_its_heading(browser):
    lost = browser.execute_script(
        "return [...document.querySelectorAll('nav a')].filter(link => !document.querySelector(link.getAttribute('href'))).length"
    )
    assert lost == 0


def test_hostile_name_is_shown_as_text(browser):
    assert "<script>alert('site')</script>" in browser.find_element("tag name", "main").text
