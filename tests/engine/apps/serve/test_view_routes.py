"""The viewer of a job and its report as a page: for scans that are sent with pages=true, opened by a word in the address alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.engine.apps.serve.live import JOBS, GatedSegmenter, live, scan_bytes, started

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.apps.serve.steps import upload_steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.results.viewer import niivue
from flare_trt.engine.scans.image_files import read_ct, read_labels

TOKEN = "0123456789abcdef"  # noqa: S105  # made up
HTML = {"accept": "text/html"}
SCRIPT = b"what a browser does with it is tested on the upload page"


@pytest.fixture(autouse=True)
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script that draws, which a checkout need not have."""
    file = tmp_path / "niivue.js"
    file.write_bytes(SCRIPT)
    monkeypatch.setattr(niivue, "FILE", file)
    monkeypatch.setattr(niivue, "SHA256", hashlib.sha256(SCRIPT).hexdigest())
    return file


@pytest.fixture
def gated() -> GatedSegmenter:
    gated = GatedSegmenter()
    gated.open_gate()
    return gated


def job_of(client: httpx.Client, scan: bytes, pages: str = "true") -> str:
    answer = client.post(JOBS, params={"wait": "true", "pages": pages}, content=scan)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["location"])


def viewer_of(client: httpx.Client, job: str) -> str:
    """The page's address."""
    answer = client.get(f"{job}/viewer", follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return str(answer.url)


def test_the_page_has_all_that_it_asks_for(service: Service, tmp_path: Path) -> None:
    with live(service) as client:
        job = job_of(client, scan_bytes(tmp_path))
        page = viewer_of(client, job)
        answers = {name: client.get(page + name) for name in ("viewer.js", "viewer.css", "surface.js", "niivue.js")}
        assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 200)
        assert answers["niivue.js"].content == SCRIPT
        scene = client.get(f"{page}scene.json").json()
        report = client.get(f"{job}/report").json()
        volumes = {organ["name"]: organ["volume_ml"] for organ in scene["organs"] if organ["place_ras_mm"]}
        assert volumes == {organ["name"]: organ["volume_ml"] for organ in report["organs"] if organ["voxels"]}
        (tmp_path / "shown.nii.gz").write_bytes(client.get(f"{page}ct").content)
        (tmp_path / "labels.nii.gz").write_bytes(client.get(f"{page}labels").content)
        sizes = [organ["surface"] for organ in scene["organs"]]
        assert len(client.get(f"{page}surfaces").content) == sum(24 * vertices + 12 * triangles for vertices, triangles in sizes)
    sent, shown = (read_ct(tmp_path / name) for name in ("ct.nii.gz", "shown.nii.gz"))
    np.testing.assert_array_equal(shown.array, sent.array)
    assert shown.grid == sent.grid
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii.gz").array, np.digitize(sent.array, [-100, 0, 100]))


def test_the_report_as_a_page(service: Service, tmp_path: Path) -> None:
    with live(service) as client:
        job = job_of(client, scan_bytes(tmp_path))
        page = client.get(f"{job}/report", headers=HTML)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert 'http-equiv="Content-Security-Policy" content="default-src' in page.text
        assert page.headers["content-security-policy"] == "frame-ancestors 'none'"
        assert client.get(f"{job}/report").json()["scan"] == "upload"


def test_nothing_is_kept_for_pages_that_nobody_asked_for(service: Service, tmp_path: Path) -> None:
    with live(service) as client:
        job = job_of(client, scan_bytes(tmp_path), "false")
        for answer in (client.get(f"{job}/viewer"), client.get(f"{job}/report", headers=HTML)):
            words = "the scan was sent without ?pages=true, which keeps what its pages show"
            assert (answer.status_code, answer.json()["detail"]) == (406, words)
    (folder,) = (tmp_path / "jobs").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["labels.nii.gz", "preview.png", "report.json"]


def test_only_the_word_in_the_address_opens_it(service: Service, tmp_path: Path) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}"}
    with live(service, TOKEN) as client:
        answers = [
            client.post(JOBS, params={"wait": "true", "pages": "true"}, content=scan_bytes(tmp_path), headers=bearer) for _ in "ab"
        ]
        jobs = [answer.headers["location"] for answer in answers]
        assert client.get(f"{jobs[0]}/viewer").status_code == 401
        pages = [str(client.get(f"{job}/viewer", headers=bearer, follow_redirects=True).url) for job in jobs]
        assert client.get(f"{pages[0]}ct").status_code == 200
        words = [page.rstrip("/").rpartition("/")[2] for page in pages]
        assert words[0] != words[1]
        for path in (f"viewer/{words[1]}/ct", f"viewer/{TOKEN}/ct", "viewer//ct", f"viewer/{words[0]}/upload"):
            assert client.get(f"{jobs[0]}/{path}").status_code == 404, path
        for name in ("../report.json", "..%2freport.json", "%2e%2e/job.json", "/etc/passwd", "CT", "report.json"):
            answer = client.get(f"{jobs[0]}/viewer/{words[0]}/{name}", follow_redirects=True)
            assert answer.status_code in (401, 404), name
        policy = client.get(pages[0]).headers["content-security-policy"]
        assert "frame-ancestors 'self'" in policy
        assert "default-src 'none'" in policy
        assert client.delete(jobs[0], headers=bearer).status_code == 204
        assert client.get(f"{pages[0]}ct").status_code == 404


def test_what_is_kept_for_pages_counts(gated: GatedSegmenter, tmp_path: Path) -> None:
    scan = scan_bytes(tmp_path)
    (tmp_path / "jobs").mkdir()
    few = replace(Limits(), kept_bytes=len(scan))
    with started(upload_steps(gated, RunOptions()), few, tmp_path / "jobs") as service, live(service) as client:
        assert client.get(f"{job_of(client, scan, 'false')}/labels").status_code == 200
        thrown_out = client.post(JOBS, params={"wait": "true", "pages": "true"}, content=scan)
        assert (thrown_out.status_code, thrown_out.json()["detail"]) == (404, "the results are no longer kept")
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_server_without_the_script_still_segments(service: Service, script: Path, tmp_path: Path) -> None:
    script.unlink()
    with live(service) as client:
        job = job_of(client, scan_bytes(tmp_path))
        answer = client.get(f"{job}/viewer")
        assert answer.status_code == 406
        assert "run 'make viewer' in a checkout" in answer.json()["detail"]
        assert not list((tmp_path / "jobs").glob("*/ct.nii.gz"))
