"""A real browser opens the page offline: it loads nothing, complains of nothing, and is dark where that is preferred."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.browser import chromium
from tests.engine.results.html.test_page import COLOURS, hostile, pictures, report

from flare_trt.engine.results.html.page import report_page
from flare_trt.engine.results.scan_report import ScanReport


@pytest.mark.parametrize("given", [pytest.param(report(), marks=pytest.mark.nightly), hostile()], ids=["plain", "hostile"])
def test_it_opens_from_the_disk(given: ScanReport, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(report_page(given, COLOURS, pictures()), encoding="utf-8")
    with chromium(tmp_path / "profile") as browser:
        browser.get(page.as_uri())
        assert browser.find_element("css selector", "h1").text == given.scan
        shown = browser.execute_script("return [...document.images].map((image) => image.naturalWidth)")
        assert shown == [31, 41, 21, *[41] * 3]
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert [address for address in loaded if not address.startswith("data:")] == []
        check_links(browser)
        grounds = []
        for scheme in ("light", "dark"):
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            grounds.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        assert grounds == ["rgb(246, 247, 249)", "rgb(18, 22, 28)"]
        check_narrow(browser)
        assert browser.get_log("browser") == []


def check_links(browser: Any) -> None:
    """A click on an organ's slice brings its picture into view and marks it."""
    browser.find_element("css selector", "a[href='#slice-12']").click()
    figure = browser.find_element("id", "slice-12")
    place = browser.execute_script("const b = arguments[0].getBoundingClientRect(); return [b.top, b.bottom, innerHeight]", figure)
    assert 0 <= place[0] < place[1] <= place[2]
    assert browser.execute_script("return getComputedStyle(arguments[0]).outlineStyle", figure) == "solid"
    browser.execute_script("location.hash = ''; scrollTo(0, 0)")


def check_narrow(browser: Any) -> None:
    """On 390 px the page is not scrolled sideways; the strip of slices is, in itself."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    script = (
        "const s = document.querySelector('.slices'); return [document.documentElement.scrollWidth, s.clientWidth, s.scrollWidth]"
    )
    page, seen, strip = browser.execute_script(script)
    assert page == 390
    assert seen < 390 < strip
    figure = browser.execute_script("return document.querySelector('.slices figure').getBoundingClientRect().width")
    assert 100 < figure < 390
