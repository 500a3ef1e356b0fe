"""The upload page: served without a token and without other hosts; in a real browser a zip becomes a picture and files to fetch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browser import chromium, wait_for
from tests.engine.apps.serve.live import GatedSegmenter, live, started
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.apps.serve.steps import upload_steps

TOKEN = "0123456789abcdef"  # noqa: S105  # made up


@pytest.fixture
def gated() -> GatedSegmenter:
    return GatedSegmenter()


@pytest.fixture
def service(gated: GatedSegmenter, tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "jobs").mkdir()
    with started(upload_steps(gated, None), Limits(timeout_s=600), tmp_path / "jobs", gated.open_gate) as running:
        yield running


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
        assert names(browser) == ["labels.nii.gz", "seg.dcm", "sr.dcm", "rtstruct.dcm", "report.json"]
        wait_for(lambda: browser.execute_script("return document.getElementById('picture').naturalWidth") > 0)
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        browser.find_element("id", "forget").click()
        wait_for(lambda: state.text == "The results are deleted.")
    assert list((tmp_path / "jobs").iterdir()) == []


def names(browser: Any) -> list[str]:
    return [link.get_attribute("download") for link in browser.find_elements("css selector", "#files a")]
