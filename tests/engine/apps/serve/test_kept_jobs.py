"""Jobs that outlast their server: what waits, runs, is done or has failed when it ends, and what a broken-off upload leaves."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from tests.engine.apps.serve.live import JOBS, GatedSegmenter, live, scan_bytes, started, until
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.apps.serve.kept_jobs import kept_folder, noted_jobs
from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.steps import upload_steps
from flare_trt.engine.base.errors import ServiceError
from flare_trt.engine.model.options import RunOptions

LIMITS = Limits(timeout_s=600)


def zipped(folder: Path) -> bytes:
    write_series(folder / "ct", small_ct((9, 33, 29)), Look(spacing_mm=(3.0, 2.1, 2.0)))
    return Path(shutil.make_archive(str(folder / "study"), "zip", folder / "ct")).read_bytes()


def test_jobs_go_on_with_the_next_server(tmp_path: Path) -> None:
    jobs, first = tmp_path / "jobs", GatedSegmenter()
    jobs.mkdir()
    with started(upload_steps(first, RunOptions()), LIMITS, jobs, first.open_gate, kept=True) as service, live(service) as client:
        first.let(5)
        done = client.post(JOBS, params={"wait": "true", "pages": "true"}, content=scan_bytes(tmp_path))
        assert done.status_code == 200
        bad = client.post(JOBS, content=b"no scan" * 100).headers["location"]
        until(lambda: client.get(bad).json()["state"] == "failed")
        problem = client.get(bad).json()["problem"]
        going = [client.post(JOBS, content=content).headers["location"] for content in (zipped(tmp_path), scan_bytes(tmp_path, 1))]
        first.let(2)
        until(lambda: client.get(going[0]).json()["tiles_done"] == 2)
        service.stop_running()
    assert len(noted_jobs(jobs)) == 4
    second = GatedSegmenter()
    second.open_gate()
    with started(upload_steps(second, RunOptions()), LIMITS, jobs, kept=True) as service, live(service) as client:
        kept = client.get(f"{done.headers['location']}/labels")
        assert (kept.status_code, kept.content) == (200, done.content)
        assert client.get(f"{done.headers['location']}/report", headers={"accept": "text/html"}).status_code == 200
        assert (client.get(bad).json()["state"], client.get(bad).json()["problem"]) == ("failed", problem)
        for job in going:
            until(lambda job=job: client.get(job).json()["state"] == "done")
        assert client.get(f"{going[0]}/seg").status_code == 200
        assert list(jobs.glob("*/upload*")) == []
        for job in (*going, bad, done.headers["location"]):
            assert client.delete(job).status_code == 204
    assert noted_jobs(jobs) == []


def test_a_job_that_ends_its_server_again_and_again_is_left_alone(tmp_path: Path) -> None:
    """As kill -9 leaves it: noted as running, its upload there."""
    jobs, gated = tmp_path / "jobs", GatedSegmenter()
    folder = jobs / ("a" * 32)
    folder.mkdir(parents=True)
    killed = {"state": "running", "series": None, "acquisition": None, "missing": {}, "problem": None, "noted_s": 0.0}
    gated.open_gate()
    for attempts in (2, 3):
        (folder / "upload").write_bytes(scan_bytes(tmp_path))
        (folder / "job.json").write_text(json.dumps({**killed, "attempts": attempts, "noted_s": time.time()}))
        with started(upload_steps(gated, RunOptions()), LIMITS, jobs, kept=True) as service, live(service) as client:
            until(lambda: client.get(f"{JOBS}/{folder.name}").json()["state"] in ("done", "failed"))
            status = client.get(f"{JOBS}/{folder.name}").json()
            assert status["state"] == ("done" if attempts == 2 else "failed")
    assert "the server ended 3 times during this job" in status["problem"]
    assert [path.name for path in folder.iterdir()] == ["job.json"]


def test_stopping_in_good_order_is_no_attempt(tmp_path: Path) -> None:
    jobs, scan = tmp_path / "jobs", scan_bytes(tmp_path)
    jobs.mkdir()
    for number in range(4):
        gated = GatedSegmenter()
        with (
            started(upload_steps(gated, RunOptions()), LIMITS, jobs, gated.open_gate, kept=True) as service,
            live(service) as client,
        ):
            if number == 0:
                client.post(JOBS, content=scan)
            gated.let(1)
            until(lambda gated=gated: gated.tiles_run == 1)
            service.stop_running()
    ((kept, _),) = noted_jobs(jobs)
    assert (kept.state, kept.attempts) == ("queued", 0)


def test_what_an_upload_that_broke_off_left_is_removed(tmp_path: Path) -> None:
    for name, told in (("a" * 32, None), ("b" * 32, "{}"), ("c" * 32, "no JSON")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "upload").write_bytes(b"half")
        if told is not None:
            (tmp_path / name / "job.json").write_text(told)
    assert noted_jobs(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_one_server_a_folder(tmp_path: Path) -> None:
    words = "another server has these jobs"
    with kept_folder(tmp_path / "jobs"), pytest.raises(ServiceError, match=words), kept_folder(tmp_path / "jobs"):
        pass
    with kept_folder(tmp_path / "jobs") as again:
        assert again.stat().st_mode & 0o777 == 0o700
