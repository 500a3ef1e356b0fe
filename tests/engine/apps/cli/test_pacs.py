"""`flare-trt pacs` in a clinic of real parts: DCMTK's storescu as the scanner, Orthanc as the PACS, the worker as a process."""

from __future__ import annotations

import io
import os
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from tests.engine.apps.pacs.clinic import (
    DICOMWEB,
    Orthanc,
    WorkerProcess,
    free_port,
    orthanc,
    program,
    send,
    until,
    worker,
    write_study,
)
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.scans.dicom.series_files import IDENTITY, Look, small_ct, write_series

from flare_trt.engine.apps.cli import main

pytest.importorskip("pynetdicom")
PLANTED = [word for value in IDENTITY.values() for word in {value, value.split("^")[-1]} if len(word) > 4]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_bundle(tmp_path_factory.mktemp("model") / "fake", fake_spec())


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    program("storescu", "dcmtk")
    with orthanc(tmp_path_factory.mktemp("orthanc"), free_port()) as running:
        yield running


def done(running: WorkerProcess, times: int = 1) -> bool:
    """Whether so many jobs have been done, repeats counted, by the log."""
    return running.log.read_text().count(": done\n") == times


def test_one_study_each_way_and_again_after_kill_9(pacs: Orthanc, bundle: Path, tmp_path: Path) -> None:
    study, queue = write_study(tmp_path / "ct"), tmp_path / "queue"
    before = pacs.instances("SEG")
    metrics = free_port()
    words = ("--send-to", pacs.address, "--quiet", "0", "--metrics", str(metrics))
    with worker(queue, bundle, *words, port=pacs.worker_port) as running:
        running.gate.unlink()  # a tile takes its time: the worker is killed in the middle of the run
        assert send(running.port, study).returncode == 0
        until(lambda: running.states() == ["running"], "the run")
        running.kill()
        running.gate.touch()
        assert running.states() == ["running"]  # as it was
        running.start()
        until(lambda: done(running), "the result")
        first = {kind: pacs.instances(kind) for kind in ("SEG", "SR", "RTSTRUCT")}
        assert [len(uids) for uids in first.values()] == [len(before) + 1] * 3
        pacs.take(study)
        (name,) = pacs.ask("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": _study_uid(study)}})
        pacs.ask("/modalities/flare/store", {"Resources": [name], "Synchronous": True})  # images and results: a repeat
        until(lambda: done(running, 2), "the repeat")
        assert {kind: pacs.instances(kind) for kind in first} == first
        counted = httpx.get(f"http://127.0.0.1:{metrics}/metrics").text
        assert running.stop() == 0
    (new,) = set(first["SEG"]) - set(before)
    seg = pydicom.dcmread(io.BytesIO(pacs.file(new)))
    assert main(["segment", str(study), "-o", str(tmp_path / "seg.dcm"), "--model", str(bundle), *_FAKE]) == 0
    alone = pydicom.dcmread(tmp_path / "seg.dcm")
    assert alone.SOPInstanceUID == seg.SOPInstanceUID
    np.testing.assert_array_equal(seg.pixel_array, alone.pixel_array)
    assert 'flare_trt_runs_total{outcome="segmented"} 2.0' in counted  # since its start after kill -9
    assert 'flare_trt_sends_total{outcome="kept"} 2.0' in counted
    assert 'flare_trt_studies{state="done"} 1.0' in counted
    _require_nothing_of_a_patient(running, study, counted)


_FAKE = ("--backend", "fake", "--device", "cpu", "--threads", "1")


def _study_uid(study: Path) -> str:
    return str(pydicom.dcmread(next(study.iterdir())).StudyInstanceUID)


def _require_nothing_of_a_patient(running: WorkerProcess, study: Path, counted: str) -> None:
    header = pydicom.dcmread(next(study.iterdir()))
    uids = [header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID]
    names = " ".join(str(path) for path in running.queue.rglob("*"))
    states = b"".join(file.read_bytes() for file in running.queue.glob("queue.sqlite*")).decode("latin-1")
    said = (
        counted
        + running.log.read_text()
        + running.command("list").stdout
        + running.command("list", "--json").stdout
        + names
        + states
    )
    assert [word for word in [*PLANTED, *map(str, uids)] if word in said] == []


@pytest.mark.nightly
def test_what_is_refused_waits_for_a_person(pacs: Orthanc, bundle: Path, tmp_path: Path) -> None:
    study = tmp_path / "two"
    look = Look(spacing_mm=(3.0, 2.1, 2.0))
    write_series(study / "a", small_ct((9, 33, 29), 1), look)
    other = Look(spacing_mm=(5.0, 2.1, 2.0), study_uid=look.study_uid, frame_of_reference=look.frame_of_reference)
    write_series(study / "b", small_ct((7, 33, 29), 2), other)
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted(study.rglob("im*"))):
        shutil.copy(file, flat / f"{number:03}")
    words = ("--send-to", pacs.address, "--quiet", "0", "--results", "seg")
    with worker(tmp_path / "queue", bundle, *words) as running:
        assert send(running.port, flat).returncode == 0
        until(lambda: running.states() == ["refused"], "the refusal")
        (listed,) = running.listed()
        assert "images: got 2 CT series, expected one; choose it with --series UID:" in listed["problem"]
        assert "number 4, CT, 9 slices, spacing 3 x 2.1 x 2 mm" in listed["problem"]
        assert look.series_uid not in listed["problem"]
        assert listed["images"] == 16
        running.stop()
        running.options = (*words, "--pick", "thinnest")
        running.start()
        assert running.states() == ["refused"]
        assert running.command("retry", "1").returncode == 0
        until(lambda: done(running), "the result")
        assert running.command("drop", "1").returncode == 0
        assert (running.studies(), list((running.queue / "studies").iterdir())) == ([], [])
        assert "job 1: is not in the queue" in running.command("drop", "1").stderr


def test_a_watched_archive_gets_results_of_what_is_new(pacs: Orthanc, bundle: Path, tmp_path: Path) -> None:
    if not DICOMWEB.exists():
        pytest.skip("Orthanc's DICOMweb is not installed (apt-get install orthanc-dicomweb)")
    before = {kind: len(pacs.instances(kind)) for kind in ("SEG", "SR", "RTSTRUCT")}
    with worker(tmp_path / "queue", bundle, "--watch", pacs.web, "--quiet", "0") as running:
        until(lambda: running.has_looked(), "the first look")
        pacs.take(write_study(tmp_path / "ct"))
        until(lambda: done(running), "the result")
    assert {kind: len(pacs.instances(kind)) - 1 for kind in before} == before
    assert [study.source for study in running.studies()] == ["DICOMweb"]


@pytest.mark.nightly
def test_a_pacs_that_does_not_answer_gets_its_results_later(bundle: Path, tmp_path: Path) -> None:
    study, later = write_study(tmp_path / "ct"), Orthanc(tmp_path / "orthanc", free_port())
    with worker(tmp_path / "queue", bundle, "--send-to", later.address, "--quiet", "0", "--results", "seg") as running:
        assert send(running.port, study).returncode == 0
        until(lambda: any(one.problem for one in running.studies()), "the problem")
        (study_now,) = running.studies()
        assert (study_now.state, study_now.problem) == ("sending", f"{later.address} does not answer")
        later.start()
        try:
            assert running.command("retry", "1").returncode == 0  # else in ten seconds
            until(lambda: done(running), "the result")
            assert len(later.instances("SEG")) == 1
        finally:
            later.stop()


@pytest.mark.nightly
def test_a_full_disk_loses_nothing(pacs: Orthanc, bundle: Path, tmp_path: Path) -> None:
    study, before = write_study(tmp_path / "ct"), len(pacs.instances("SEG"))
    with worker(tmp_path / "queue", bundle, "--send-to", pacs.address, "--quiet", "0", "--results", "seg") as running:
        hard = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (1000, hard))  # no file can grow: EFBIG where a full disk has ENOSPC
        refused = send(running.port, study)
        assert "0xa700" in (refused.stdout + refused.stderr).lower() or refused.returncode != 0
        until(lambda: "was not kept" in running.log.read_text(), "the warning")
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert send(running.port, study).returncode == 0
        until(lambda: done(running), "the result")
    assert len(pacs.instances("SEG")) == before + 1


@pytest.mark.nightly
def test_one_worker_a_queue_and_its_health(pacs: Orthanc, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queue = tmp_path / "queue"
    words = ["pacs", "run", str(queue), "--send-to", pacs.address, "--model", str(bundle), "--port", "0", *_FAKE]
    assert main(["pacs", "health", str(queue)]) == 1
    with worker(queue, bundle, "--send-to", pacs.address) as running:
        until(lambda: running.command("health").returncode == 0, "its heartbeat")
        assert main(words) == 1
        assert "another worker runs on this queue" in capsys.readouterr().err
        assert running.stop() == 0
    (queue / "alive").touch()
    long_ago_s = time.time() - 1000
    os.utime(queue / "alive", (long_ago_s, long_ago_s))
    assert main(["pacs", "health", str(queue)]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "got neither --send-to nor --watch"),
        (("--watch", "ORTHANC@127.0.0.1:4242"), "expected the address of a DICOMweb service, http:// or https://"),
        (("--send-to", "ORTHANC"), "--send-to ORTHANC: expected AET@HOST:PORT"),
        (("--send-to", "A@h:1", "--host", "0.0.0.0"), "other machines could reach the worker"),  # noqa: S104  # is refused
        (("--send-to", "A@h:1", "--aet", "TWO WORDS"), "AE title 'TWO WORDS'"),
        (("--send-to", "A@h:1", "--tls-cert", "c.pem"), "got one of --tls-cert and --tls-key"),
    ],
)
def test_refused_before_a_network_is_loaded(
    tmp_path: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pacs", "run", str(tmp_path / "queue"), "--model", str(tmp_path / "none"), *words]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "queue").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--results", "png"],
        ["--quiet", "soon"],
        ["--port", "70000"],
        ["--metrics", "here"],
        ["--match", "StudyDate"],
        ["--pick", "best"],
    ],
)
def test_wrong_words_are_usage_errors(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["pacs", "run", str(tmp_path), "--send-to", "A@h:1", *words])
    assert ended.value.code == 2


def test_no_queue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pacs", "list", str(tmp_path)]) == 1
    assert "holds no queue, expected the folder" in capsys.readouterr().err


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pynetdicom" else object())
    assert main(["pacs", "run", str(tmp_path), "--send-to", "A@h:1"]) == 1
    assert "not installed: pynetdicom; pip install 'flare-trt[pacs]'" in capsys.readouterr().err
