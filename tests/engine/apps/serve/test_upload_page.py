"""The upload page: served without a token and without other hosts; in a real browser a zip becomes a picture and files to fetch."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.browser import chromium, pixels, wait_for
from tests.engine.apps.serve.live import GatedSegmenter, live
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.results.viewer.niivue import require_niivue

TOKEN = "0123456789abcdef"  # noqa: S105  # made up


def test_the_page_is_open_and_loads_nothing_from_elsewhere(service: Service) -> None:
    with live(service, TOKEN) as client:
        for address, kind in (("/", "text/html"), ("/upload.css", "text/css"), ("/upload.js", "text/javascript")):
            answer = client.get(address)
            assert (answer.status_code, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert re.findall(r"https?://", answer.text) == []
        assert client.post("/v1/segmentations", content=b"x").status_code == 401
        assert "/upload.js" not in client.get("/openapi.json").json()["paths"]


@pytest.mark.nightly
@pytest.mark.parametrize("width", [1200, 390])
def test_a_zip_becomes_results(service: Service, gated: GatedSegmenter, tmp_path: Path, width: int) -> None:
    write_series(tmp_path / "ct", small_ct((9, 33, 29)), Look(spacing_mm=(3.0, 2.1, 2.0)))
    zipped = shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "ct")
    with chromium(tmp_path / "profile") as browser, live(service, TOKEN) as client:
        browser.set_window_size(width, 800)
        browser.get(f"{client.base_url}/")
        state = browser.find_element("id", "state")
        browser.find_element("id", "file").send_keys(zipped)
        wait_for(lambda: "wants its token" in state.text)
        browser.find_element("id", "token").send_keys(f"{TOKEN}\n")
        gated.let(2)
        wait_for(lambda: "tile 2 of 5" in state.text)
        gated.open_gate()
        wait_for(lambda: state.text.startswith("Done."))
        assert names(browser) == ["labels.nii.gz", "seg.dcm", "sr.dcm", "rtstruct.dcm", "report.json", "report.html"]
        require_viewer(browser)
        wait_for(lambda: browser.execute_script("return document.getElementById('picture').naturalWidth") > 0)
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        browser.find_element("id", "forget").click()
        wait_for(lambda: state.text == "The results are deleted.")
    assert list((tmp_path / "jobs").iterdir()) == []


@pytest.mark.nightly
def test_what_a_zip_leaves_open_is_entered_and_another_scan_takes_its_place(
    service: Service, gated: GatedSegmenter, tmp_path: Path
) -> None:
    for name, uid in (("a", "1.2.3"), ("b", "1.2.4")):
        write_series(tmp_path / "study" / name, small_ct((9, 33, 29)), Look(spacing_mm=(3.0, 2.1, 2.0), series_uid=uid))
    zipped = [
        shutil.make_archive(str(tmp_path / name), "zip", tmp_path / "study" / path) for name, path in (("two", ""), ("one", "a"))
    ]
    with chromium(tmp_path / "profile") as browser, live(service) as client:
        browser.get(f"{client.base_url}/")
        state = browser.find_element("id", "state")
        browser.find_element("id", "file").send_keys(zipped[0])
        wait_for(lambda: "expected one; choose it with the field above" in state.text)
        gated.let(2)
        browser.find_element("id", "series").send_keys("1.2.4\n")
        wait_for(lambda: "tile 2 of 5" in state.text)
        browser.find_element("id", "file").send_keys(zipped[1])  # while the first is running
        gated.open_gate()
        wait_for(lambda: state.text == "Done.")
        assert not browser.find_element("id", "series").is_displayed()
        wait_for(lambda: len(list((tmp_path / "jobs").iterdir())) == 1)


def require_viewer(browser: Any) -> None:
    """The viewer on the page draws; where niivue is not there, the page says how to get it."""
    try:
        require_niivue()
    except InputError:
        assert "No viewer: view: niivue" in browser.find_element("id", "seen").text
        return
    frame = browser.find_element("id", "viewer")
    browser.switch_to.frame(frame)
    body = browser.find_element("tag name", "body")
    wait_for(lambda: body.get_attribute("data-state") != "loading")
    assert body.get_attribute("data-state") == "ready", browser.find_element("id", "problem").text
    canvas = browser.find_element("id", "canvas")
    assert canvas.size["height"] > 100
    image = pixels(canvas)
    assert image.max() > image.min() + 100
    browser.switch_to.default_content()
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [message for message in errors if "401" not in message] == []  # before the token was entered


def names(browser: Any) -> list[str]:
    return [link.get_attribute("download") for link in browser.find_elements("css selector", "#files a")]
