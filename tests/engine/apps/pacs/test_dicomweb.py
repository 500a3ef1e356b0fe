"""DICOMweb with a real Orthanc: what is new is fetched whole, results are stored, an outage is waited for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.apps.pacs.clinic import DICOMWEB, Orthanc, free_port, orthanc, write_study
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

pytest.importorskip("dicomweb_client")

from flare_trt.engine.apps.pacs.anonymous import silenced
from flare_trt.engine.apps.pacs.dicomweb import Watcher, Web, web_send
from flare_trt.engine.apps.pacs.intake import Delivery, image_count
from flare_trt.engine.apps.pacs.seen_studies import SeenStudies
from flare_trt.engine.apps.pacs.sender import ArchiveAwayError, ArchiveRefusalError
from flare_trt.engine.apps.pacs.study_queue import StudyQueue
from flare_trt.engine.base.errors import ServiceError
from flare_trt.engine.scans.dicom.reader import DicomReader


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Orthanc]:
    if not DICOMWEB.exists():
        pytest.skip("Orthanc's DICOMweb is not installed (apt-get install orthanc-dicomweb)")
    with orthanc(tmp_path / "orthanc", free_port()) as running, silenced():
        yield running


@pytest.fixture
def queue(tmp_path: Path) -> StudyQueue:
    return StudyQueue(tmp_path / "queue")


def watcher(pacs: Orthanc, queue: StudyQueue, **options: object) -> Watcher:
    def deliver() -> Delivery:
        return Delivery(queue, "DICOMweb", 1)

    return Watcher(Web(pacs.web), SeenStudies(queue), deliver, quiet_s=0.0, **options)  # type: ignore[arg-type]


def test_a_new_study_is_fetched_whole_and_once(pacs: Orthanc, queue: StudyQueue, tmp_path: Path) -> None:
    old, new = write_study(tmp_path / "old", 1), write_study(tmp_path / "new", 2)
    pacs.take(old)
    first = watcher(pacs, queue)
    first.look()
    pacs.take(new)
    for _ in range(3):
        first.look()
        watcher(pacs, queue).look()  # as after a start
    (study,) = queue.studies()
    assert (study.source, image_count(study), queue.settle(0.0)) == ("DICOMweb", 12, [study.job])
    kept, sent = DicomReader(study.images), DicomReader(new)
    assert [plane.sop_uid for plane in kept.planes] == [plane.sop_uid for plane in sent.planes]
    assert all((a == b).all() for (_, a), (_, b) in zip(kept.slabs(), sent.slabs(), strict=True))


def test_the_backlog_by_an_attribute(pacs: Orthanc, queue: StudyQueue, tmp_path: Path) -> None:
    for name, date in (("a", "20170619"), ("b", "20240101")):
        look = Look(spacing_mm=(3.0, 2.1, 2.0), identity={"StudyDate": date, "PatientID": name})
        pacs.take(write_series(tmp_path / name, small_ct((5, 33, 29)), look))
    watcher(pacs, queue, backlog=True, match={"StudyDate": "20240101-"}).look()
    assert [image_count(study) for study in queue.studies()] == [5]
    watcher(pacs, queue, backlog=True).look()
    assert [image_count(study) for study in queue.studies()] == [5, 5]


def test_a_study_that_still_comes_in_is_waited_for(pacs: Orthanc, queue: StudyQueue, tmp_path: Path) -> None:
    whole, part = write_study(tmp_path / "whole"), tmp_path / "part"
    part.mkdir()
    for number, file in enumerate(sorted(whole.iterdir())):
        if number % 2:
            file.rename(part / file.name)
    waiting = watcher(pacs, queue, backlog=True)
    waiting.quiet_s = 1000.0
    pacs.take(part)
    waiting.look()
    assert queue.studies() == []
    pacs.take(whole)
    waiting.quiet_s = 0.0
    waiting.look()  # other images than at the last look: quiet begins anew
    waiting.look()
    assert [image_count(study) for study in queue.studies()] == [12]


def test_results_that_come_back_change_nothing(pacs: Orthanc, queue: StudyQueue, tmp_path: Path) -> None:
    study = write_study(tmp_path / "ct")
    again = watcher(pacs, queue, backlog=True)
    pacs.take(study)
    again.look()
    queue.drop(1)  # it would come again
    look = Look(study_uid=DicomReader(study).series.study_uid, change=lambda image, z: setattr(image, "Modality", "MR"))
    web_send(Web(pacs.web))(sorted(write_series(tmp_path / "mr", small_ct((3, 9, 7)), look).iterdir()))
    for _ in range(3):
        again.look()
    assert queue.studies() == []


def test_an_outage_is_told_once_and_waited_for(
    pacs: Orthanc, queue: StudyQueue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flare_trt")
    study, away = write_study(tmp_path / "ct"), watcher(pacs, queue, backlog=True)
    pacs.take(study)
    pacs.stop()
    for _ in range(3):
        away.look()
    with pytest.raises(ArchiveAwayError, match=r"dicom-web does not answer \(ConnectionError\)"):
        web_send(Web(pacs.web))(sorted(study.iterdir()))
    pacs.start()
    away.look()
    said = [record.message for record in caplog.records]
    assert said[:2] == [
        f"{pacs.web} does not answer (ConnectionError); asked again every few seconds",
        "job 1: 12 images from DICOMweb",
    ]
    assert said[2:] == [f"{pacs.web} answers again"]


def test_what_is_no_result_and_no_address(pacs: Orthanc, tmp_path: Path) -> None:
    (tmp_path / "no.dcm").write_bytes(b"no DICOM")
    with pytest.raises((ArchiveRefusalError, ArchiveAwayError)):
        web_send(Web(pacs.web))([tmp_path / "no.dcm"])
    with pytest.raises(ArchiveRefusalError, match="HTTP status 404"):
        web_send(Web(pacs.web.replace("dicom-web", "elsewhere")))([tmp_path / "no.dcm"])
    with pytest.raises(ServiceError, match="expected a DICOMweb address"):
        Web("ftp://127.0.0.1/x").client()
    with pytest.raises(ServiceError, match="login file"):
        Web(pacs.web, login=tmp_path / "none").session()


def test_the_login_is_sent(tmp_path: Path) -> None:
    (tmp_path / "user").write_text("jane:secret\n")
    (tmp_path / "token").write_text("0123456789abcdef\n")
    assert Web("http://h/x", login=tmp_path / "user").session().auth == ("jane", "secret")
    assert Web("http://h/x", login=tmp_path / "token").session().headers["Authorization"] == "Bearer 0123456789abcdef"
