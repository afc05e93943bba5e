# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that keeps a log of what a page says and asks for."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
WIDTHS = (1280, 390)  # a desk and a phone
needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the path"),
]


def in_browser(test: Callable[..., None]) -> Callable[..., None]:
    """Mark one test as a test of the page in a browser."""
    for mark in needs_browser:
        test = mark(test)
    return test


@contextmanager
def opened(page: Path, *, width: int, profile: Path) -> Iterator[object]:
    """Open a page; the logs begin before it is."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get(page.as_uri())
        yield driver
    finally:
        driver.quit()


def requests(driver: object) -> list[str]:
    """Addresses that the page has asked for, without the browser's own."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    return [address for address in asked if not address.startswith(("data:", "chrome", "about:"))]


def outside(driver: object) -> list[str]:
    """Parts of the page that stand out of the window on the right, when every fold is open."""
    driver.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    return driver.execute_script(
        "return [...document.querySelectorAll('main *')].filter(part => !part.closest('.scroll, svg')"
        " && part.getBoundingClientRect().right > window.innerWidth + 1).map(part => part.outerHTML.slice(0, 80))"
    )


def figures(driver: object) -> list[tuple[str, str, str, float, float]]:
    """Role, title, description, width and height of every figure."""
    return driver.execute_script(
        "return [...document.querySelectorAll('svg')].map(svg => [svg.getAttribute('role'), svg.querySelector('title').textContent,"
        " svg.querySelector('desc').textContent, svg.getBoundingClientRect().width, svg.getBoundingClientRect().height])"
    )
