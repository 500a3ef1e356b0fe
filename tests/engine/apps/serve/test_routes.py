"""Clients of a real server on loopback: well-behaved ones, many at once, and the other kind."""

from __future__ import annotations

import gzip
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.engine.apps.serve.live import JOBS, LIMIT_S, GatedSegmenter, counted, live, scan_bytes, started, until
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.apps.serve.steps import upload_steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.segmenter import Segmenter

Spoil = Callable[[bytes], bytes]
LIMITS = Limits(waiting_jobs=2, upload_bytes=200_000, timeout_s=60)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Segmenter]:
    bundle = fake_bundle(tmp_path_factory.mktemp("model") / "fake", fake_spec())
    with Segmenter.open(bundle, RunOptions(device="cpu", backend="fake")) as opened:
        yield opened


@pytest.fixture
def limits() -> Limits:
    return LIMITS


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with live(service) as opened:
        yield opened


def labels_of(content: bytes, folder: Path) -> np.ndarray:
    path = folder / "answer.nii.gz"
    path.write_bytes(content)
    return read_labels(path).array


def test_many_clients_each_get_the_labels_of_their_own_scan(segmenter: Segmenter, tmp_path: Path) -> None:
    def ask(seed: int) -> tuple[np.ndarray, np.ndarray]:
        folder = tmp_path / str(seed)
        folder.mkdir()
        answer = client.post(JOBS, params={"wait": "true"}, content=scan_bytes(folder, seed))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/gzip")
        assert client.get(answer.headers["location"]).json()["state"] == "done"
        expected = segmenter.segment(read_ct(folder / "ct.nii.gz")).labels.array
        return labels_of(answer.content, folder), expected

    limits = replace(LIMITS, waiting_jobs=8)
    with (
        started(upload_steps(segmenter, RunOptions()), limits, tmp_path) as service,
        live(service) as client,
        ThreadPoolExecutor(8) as clients,
    ):
        for answered, expected in clients.map(ask, range(8)):
            np.testing.assert_array_equal(answered, expected)
        assert counted(client, "done") == 8
        assert "flare_trt_segmentation_seconds_count 8.0" in client.get("/metrics").text


@pytest.mark.parametrize(("threads", "ahead"), [(0, 1), (1, 0)])
def test_one_thread_unpacks_nothing_ahead(
    gated: GatedSegmenter, tmp_path: Path, unpacked_ahead: list[object], threads: int, ahead: int
) -> None:
    gated.open_gate()
    steps = upload_steps(gated, RunOptions(threads=threads))
    with started(steps, LIMITS, tmp_path) as service, live(service) as client:
        assert client.post(JOBS, params={"wait": "true"}, content=scan_bytes(tmp_path)).status_code == 200
    assert len(unpacked_ahead) == ahead


def test_a_job_from_upload_to_report(client: httpx.Client, gated: GatedSegmenter, service: Service, tmp_path: Path) -> None:
    accepted = client.post(JOBS, content=scan_bytes(tmp_path, name="jane_doe.nii"))
    assert accepted.status_code == 202
    job = accepted.headers["location"]
    gated.let(2)
    until(lambda: client.get(job).json()["tiles_done"] == 2)
    status = client.get(job).json()
    assert {**status, "id": ""} == {
        "id": "",
        "state": "running",
        "jobs_before": 0,
        "stage": "fine",
        "tiles_done": 2,
        "tiles": 5,
        "problem": None,
    }
    early = client.get(f"{job}/labels")
    assert (early.status_code, early.json()) == (409, {"detail": "the job is running, expected done"})
    gated.open_gate()
    until(lambda: client.get(job).json()["state"] == "done")
    expected = np.digitize(read_ct(tmp_path / "jane_doe.nii").array, [-100, 0, 100])
    np.testing.assert_array_equal(labels_of(client.get(f"{job}/labels").content, tmp_path), expected)
    report = client.get(f"{job}/report")
    assert (report.json()["scan"], report.json()["labels"]) == ("upload", "labels.nii.gz")
    assert str(tmp_path) not in report.text
    assert sorted(path.name for path in (tmp_path / "jobs" / status["id"]).iterdir()) == [
        "labels.nii.gz",
        "preview.png",
        "report.json",
    ]
    assert client.delete(job).status_code == 204
    assert [client.get(job + part).status_code for part in ("", "/labels", "/report")] == [404] * 3
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_zip_of_a_dicom_series(client: httpx.Client, gated: GatedSegmenter, tmp_path: Path) -> None:
    hu = small_ct((9, 21, 17))
    zipped = shutil.make_archive(str(tmp_path / "study"), "zip", write_series(tmp_path / "series", hu))
    gated.open_gate()
    answer = client.post(JOBS, params={"wait": "true"}, content=Path(zipped).read_bytes())
    assert answer.status_code == 200, answer.text
    np.testing.assert_array_equal(labels_of(answer.content, tmp_path), np.digitize(hu, [-100, 0, 100]))
    report = client.get(answer.headers["location"] + "/report").text
    assert not [word for word in map(str, Look().identity.values()) if word in report]
    kept = ["labels.nii.gz", "preview.png", "report.json", "rtstruct.dcm", "seg.dcm", "sr.dcm"]
    assert sorted(path.name for path in next((tmp_path / "jobs").iterdir()).iterdir()) == kept


def test_slices_do_not_vanish_from_a_zip(client: httpx.Client, gated: GatedSegmenter, tmp_path: Path) -> None:
    """Read without a preamble, counted where they are something else, refused where they are packed."""
    gated.open_gate()
    hu = small_ct((9, 21, 17))
    folder = write_series(tmp_path / "series", hu)

    def posted(name: str) -> httpx.Response:
        zipped = shutil.make_archive(str(tmp_path / name), "zip", folder)
        return client.post(JOBS, params={"wait": "true"}, content=Path(zipped).read_bytes())

    for file in sorted(folder.iterdir())[:5]:
        file.write_bytes(file.read_bytes()[132:])
    (folder / "README.txt").write_text("notes")
    answer = posted("a")
    np.testing.assert_array_equal(labels_of(answer.content, tmp_path), np.digitize(hu, [-100, 0, 100]))
    report = client.get(answer.headers["location"] + "/report").json()
    assert "1 other files, which are not DICOM, were left out" in report["warnings"]
    last = sorted(folder.iterdir())[-1]
    (folder / "last.gz").write_bytes(gzip.compress(last.read_bytes()))
    last.unlink()
    answer = posted("b")
    assert answer.status_code == 422
    assert "a gzipped DICOM file, expected it unpacked" in answer.text


def test_a_zip_without_a_series(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "jane_doe.txt").write_text("no scan")
    zipped = shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "notes")
    answer = client.post(JOBS, params={"wait": "true"}, content=Path(zipped).read_bytes())
    assert answer.status_code == 422
    assert str(tmp_path) not in answer.text
    assert "jane" not in answer.text


def test_a_running_job_that_is_deleted_stops_between_tiles(
    client: httpx.Client, gated: GatedSegmenter, service: Service, tmp_path: Path
) -> None:
    job = client.post(JOBS, content=scan_bytes(tmp_path)).headers["location"]
    gated.let(2)
    until(lambda: gated.tiles_run == 2)
    assert client.delete(job).status_code == 204
    assert client.get(job).status_code == 404
    gated.let(1)
    until(lambda: counted(client, "cancelled") == 1)
    assert gated.tiles_run == 3  # not one more than the tile that was under way
    gated.open_gate()
    assert client.post(JOBS, params={"wait": "true"}, content=scan_bytes(tmp_path)).status_code == 200


def test_a_full_queue_says_when_to_come_back(client: httpx.Client, gated: GatedSegmenter, tmp_path: Path) -> None:
    scan = scan_bytes(tmp_path)
    running = client.post(JOBS, content=scan).headers["location"]
    until(lambda: client.get(running).json()["state"] == "running")
    queued = [client.post(JOBS, content=scan) for _ in range(2)]
    assert [client.get(one.headers["location"]).json()["jobs_before"] for one in queued] == [1, 2]
    assert (client.get("/ready").status_code, client.get("/health").status_code) == (503, 200)
    refused = client.post(JOBS, content=scan)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert client.delete(queued[0].headers["location"]).status_code == 204
    assert client.get(queued[1].headers["location"]).json()["jobs_before"] == 1
    assert client.post(JOBS, content=scan).status_code == 202
    assert "flare_trt_queue_length 2.0" in client.get("/metrics").text


def test_a_client_that_asks_first_is_refused_before_it_sends(client: httpx.Client, service: Service, tmp_path: Path) -> None:
    """curl asks by itself before an upload of more than a megabyte."""
    ask = "Expect: 100-continue\r\n"
    with raw_post(client, b"", 1000, ask) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")  # there is room
        with raw_post(client, b"", 1000, ask) as other, raw_post(client, b"", 1000, ask) as refused:
            assert other.recv(100).startswith(b"HTTP/1.1 100 ")
            answer = b"".join(iter(lambda: refused.recv(1000), b""))  # up to the end: the server closes, nothing was sent
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert answer.count(b"HTTP/1.1") == 1
    until(lambda: service.queue_length == 0)


@pytest.mark.parametrize("told", [True, False])
def test_an_upload_that_is_too_large_is_cut_off(client: httpx.Client, service: Service, tmp_path: Path, told: bool) -> None:
    block = bytes(50_000)
    body = block * 20 if told else (block for _ in range(20))  # a generator is sent in chunks, with no length
    answer = client.post(JOBS, content=body)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert "at most 200000 bytes" in answer.json()["detail"]
    assert list((tmp_path / "jobs").iterdir()) == []
    assert service.is_ready
    assert service.queue_length == 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda scan: scan[: len(scan) // 2], "the upload: the file ends early"),
        (lambda scan: scan[:500] + bytes(50) + scan[550:], "the upload: the gzip stream is damaged"),
        (lambda scan: gzip.decompress(scan)[:3000], "the upload: the header claims"),
        (lambda scan: b"no scan at all", "the upload: the file ends after 14 bytes"),
        (lambda scan: b"", "the upload: the file is empty"),
    ],
)
def test_an_upload_that_is_no_whole_scan(client: httpx.Client, tmp_path: Path, spoil: Spoil, message: str) -> None:
    answer = client.post(JOBS, params={"wait": "true"}, content=spoil(scan_bytes(tmp_path)))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(message)
    assert str(tmp_path) not in answer.text
    assert counted(client, "failed") == 1
    assert client.get("/health").status_code == 200


def raw_post(client: httpx.Client, body: bytes, length: int, more: str = "") -> socket.socket:
    """A connection that has sent part of an upload."""
    connection = socket.create_connection((client.base_url.host, client.base_url.port), timeout=LIMIT_S)
    head = f"POST {JOBS}?wait=true HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
    connection.sendall(f"{head}{more}Content-Length: {length}\r\n\r\n".encode() + body)
    return connection


def test_a_client_that_dies_while_it_waits_cancels_its_job(client: httpx.Client, gated: GatedSegmenter, tmp_path: Path) -> None:
    scan = scan_bytes(tmp_path)
    connection = raw_post(client, scan, len(scan))
    gated.let(1)
    until(lambda: gated.tiles_run == 1)
    connection.close()
    until(lambda: gated.let(1) is None and counted(client, "cancelled") == 1)
    assert gated.tiles_run < gated.tiles


def test_a_client_that_dies_in_its_upload_gives_its_place_back(client: httpx.Client, service: Service, tmp_path: Path) -> None:
    connections = [raw_post(client, bytes(1000), 100_000) for _ in range(2)]
    until(lambda: service.queue_length == 2)
    assert client.post(JOBS, content=scan_bytes(tmp_path)).status_code == 429
    for connection in connections:
        connection.close()
    until(lambda: service.queue_length == 0)
    assert list((tmp_path / "jobs").iterdir()) == []


def test_an_upload_that_takes_too_long(gated: GatedSegmenter, tmp_path: Path) -> None:
    limits = replace(LIMITS, timeout_s=0.2)
    with started(upload_steps(gated, RunOptions()), limits, tmp_path) as service, live(service) as client:
        connection = raw_post(client, bytes(1000), 100_000)
        until(lambda: service.queue_length == 1)
        until(lambda: service.queue_length == 0)
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        connection.close()


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencoded"])
def test_only_one_kind_of_body_is_taken(client: httpx.Client, kind: str) -> None:
    assert client.post(JOBS, content=b"x", headers={"content-type": kind}).status_code == 415


def test_a_page_of_another_host_gets_nothing(client: httpx.Client) -> None:
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 400
