# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, at the width of a desk and of a phone."""

import json
import shutil
from pathlib import Path

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
WIDTHS = (1280, 390)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the path"),
]


@pytest.fixture(scope="module", params=WIDTHS)
def browser(request, page_file, tmp_path_factory):
    """The page, opened; the logs begin before it is."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        screen = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": request.param < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get(Path(page_file).as_uri())
        yield driver
    finally:
        driver.quit()


def test_no_error_and_no_request_leaves(browser, page_file):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    asked = [address for address in asked if not address.startswith(("data:", "chrome", "about:"))]  # its own start page
    assert asked == [Path(page_file).as_uri()]
    assert browser.get_log("browser") == []


def test_the_page_never_scrolls_sideways(browser):
    browser.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    outside = browser.execute_script(
        "return [...document.querySelectorAll('main *')].filter(part => !part.closest('.scroll, svg')"
        " && part.getBoundingClientRect().right > window.innerWidth + 1).map(part => part.outerHTML.slice(0, 80))"
    )
    assert outside == []


def test_every_picture_is_drawn_and_has_words(browser):
    pictures = browser.execute_script("return [...document.images].map(image => [image.alt, image.naturalWidth, image.clientWidth])")
    assert len(pictures) > 5
    assert all(words and natural > 0 and shown > 60 for words, natural, shown in pictures)
    figures = browser.execute_script(
        "return [...document.querySelectorAll('svg')].map(svg => [svg.getAttribute('role'), svg.querySelector('title').textContent,"
        " svg.querySelector('desc').textContent, svg.getBoundingClientRect().width, svg.getBoundingClientRect().height])"
    )
    assert all(role == "img" and title and described and width > 180 and height > 80 for role, title, described, width, height in figures)


def test_every_link_of_the_contents_has_its_heading(browser):
    lost = browser.execute_script(
        "return [...document.querySelectorAll('nav a')].filter(link => !document.querySelector(link.getAttribute('href'))).length"
    )
    assert lost == 0


def test_hostile_name_is_shown_as_text(browser):
    assert "<script>alert('site')</script>" in browser.find_element("tag name", "main").text
