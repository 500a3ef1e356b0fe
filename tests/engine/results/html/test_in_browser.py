"""A real browser opens the page offline: it loads nothing, complains of nothing, and is dark where that is preferred."""

from __future__ import annotations

from pathlib import Path

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
        assert shown == [31, 41, 21]
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert [address for address in loaded if not address.startswith("data:")] == []
        grounds = []
        for scheme in ("light", "dark"):
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            grounds.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        assert grounds == ["rgb(246, 247, 249)", "rgb(18, 22, 28)"]
        assert browser.get_log("browser") == []
