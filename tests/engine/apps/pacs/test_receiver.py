"""The C-STORE SCP, asked by pynetdicom as a sender: who comes in, what is kept, what is answered."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.engine.apps.pacs.clinic import until, write_study

pynetdicom = pytest.importorskip("pynetdicom")

from flare_trt.engine.apps.pacs.anonymous import silenced  # noqa: E402
from flare_trt.engine.apps.pacs.intake import image_count  # noqa: E402
from flare_trt.engine.apps.pacs.metrics import Metrics  # noqa: E402
from flare_trt.engine.apps.pacs.peers import Door, Sender  # noqa: E402
from flare_trt.engine.apps.pacs.receiver import DISCARDED, NO_ROOM, NOT_UNDERSTOOD, STORED, Receiver  # noqa: E402
from flare_trt.engine.apps.pacs.study_queue import BROKEN_OFF, StudyQueue  # noqa: E402
from flare_trt.engine.base.errors import ServiceError  # noqa: E402
from flare_trt.engine.scans.dicom.reader import DicomReader  # noqa: E402

PLAIN, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
CT, SECONDARY = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"


@contextmanager
def listening(queue: StudyQueue, door: Door | None = None, least_free_mb: int = 1) -> Iterator[Receiver]:
    with silenced():
        receiver = Receiver(queue, door or Door(port=0), None, least_free_mb, Metrics(queue))
        receiver.start()
        try:
            yield receiver
        finally:
            receiver.stop()


def associate(receiver: Receiver, caller: str = "SCANNER", called: str = "FLARE", syntax: str = PLAIN) -> Any:
    entity = pynetdicom.AE(ae_title=caller)
    for sop_class in (CT, SECONDARY, "1.2.840.10008.1.1"):
        entity.add_requested_context(sop_class, [syntax])
    return entity.associate("127.0.0.1", receiver.port, ae_title=called)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study") / "ct")


@pytest.fixture
def images(study: Path) -> list[Any]:
    return [pydicom.dcmread(file) for file in sorted(study.iterdir())]


@pytest.fixture
def queue(tmp_path: Path) -> StudyQueue:
    return StudyQueue(tmp_path / "queue")


def test_what_is_sent_lies_in_the_queue_as_it_was(queue: StudyQueue, images: list[Any], study: Path) -> None:
    with listening(queue) as receiver:
        association = associate(receiver)
        assert association.send_c_echo().Status == 0
        assert {association.send_c_store(image).Status for image in images} == {STORED}
        assert queue.settle(0.0) == []  # the association is open
        association.release()
        until(lambda: queue.settle(0.0) == [1])
    (job,) = queue.studies()
    assert (job.state, job.source, image_count(job)) == ("waiting", "SCANNER", len(images))
    kept, sent = DicomReader(job.images), DicomReader(study)
    assert [plane.sop_uid for plane in kept.planes] == [plane.sop_uid for plane in sent.planes]
    assert all((a == b).all() for (_, a), (_, b) in zip(kept.slabs(), sent.slabs(), strict=True))


@pytest.mark.parametrize(("caller", "called"), [("STRANGER", "FLARE"), ("SCANNER", "OTHER")])
def test_an_unknown_title_is_rejected(queue: StudyQueue, caller: str, called: str, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        listening(queue, Door(port=0, senders=(Sender.parsed("SCANNER@127.0.0.0/8"),))) as receiver,
    ):
        assert associate(receiver).is_established
        association = associate(receiver, caller, called)
        assert association.is_rejected
        assert not association.is_established
    if caller == "STRANGER":
        assert "rejected a sender from 127.0.0.1: its AE title and address are not among those of --allow" in caplog.text
        assert "STRANGER" not in caplog.text
    assert queue.studies() == []


def test_a_known_title_from_elsewhere_is_rejected(queue: StudyQueue) -> None:
    with listening(queue, Door(port=0, senders=(Sender.parsed("SCANNER@192.0.2.0/24"),))) as receiver:
        assert associate(receiver).is_rejected


def test_half_a_series_is_kept_and_not_run(queue: StudyQueue, images: list[Any]) -> None:
    with listening(queue) as receiver:
        association = associate(receiver)
        for image in images[:5]:
            association.send_c_store(image)
        association.abort()
        until(lambda: queue.studies()[0].problem == BROKEN_OFF)
        assert queue.settle(0.0) == []
        assert image_count(queue.studies()[0]) == 5
        again = associate(receiver)
        for image in images:
            again.send_c_store(image)
        again.release()
        until(lambda: queue.settle(0.0) == [1])
    assert image_count(queue.studies()[0]) == len(images)


def test_a_sender_whose_line_is_cut(queue: StudyQueue, images: list[Any]) -> None:
    with listening(queue) as receiver:
        association = associate(receiver)
        association.send_c_store(images[0])
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        until(lambda: receiver.reap() or queue.studies()[0].problem == BROKEN_OFF)


def test_no_room(queue: StudyQueue, images: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), listening(queue, least_free_mb=10**12) as receiver:
        association = associate(receiver)
        assert {association.send_c_store(image).Status for image in images[:2]} == {NO_ROOM}
        association.release()
    assert queue.studies() == []  # the sender has them, and knows
    assert caplog.text.count("an image from SCANNER was not kept: got ") == 1
    assert "(--min-free)" in caplog.text


def test_an_image_and_its_names_are_on_the_disk_before_the_answer(
    queue: StudyQueue, images: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, sync = list[Path](), os.fsync

    def noting(descriptor: int) -> None:
        sync(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", noting)
    with listening(queue) as receiver:
        association = associate(receiver)
        for number, image in enumerate(images[:2]):
            synced.clear()
            assert association.send_c_store(image).Status == STORED
            study = queue.studies()[0]
            names = [] if number else [study.folder.parent, study.folder]
            file = synced.pop(len(names))
            assert (file.parent, synced) == (study.images, [*names, study.images])
        association.release()


def test_an_image_that_the_disk_does_not_confirm_is_not_taken(
    queue: StudyQueue, images: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with listening(queue) as receiver:
        association = associate(receiver)
        assert association.send_c_store(images[0]).Status == STORED
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            assert association.send_c_store(images[1]).Status == NO_ROOM
        association.release()
        until(lambda: queue.studies()[0].problem == BROKEN_OFF)
    assert "was not kept" in caplog.text
    assert image_count(queue.studies()[0]) == 1


def test_an_image_that_could_not_be_kept_makes_its_study_incomplete(queue: StudyQueue, images: list[Any]) -> None:
    with listening(queue) as receiver:
        association = associate(receiver)
        assert association.send_c_store(images[0]).Status == STORED
        folder = queue.studies()[0].images
        shutil.rmtree(folder)
        assert association.send_c_store(images[1]).Status == NO_ROOM
        folder.mkdir()
        assert association.send_c_store(images[2]).Status == STORED
        association.release()
        until(lambda: queue.studies()[0].problem == BROKEN_OFF)


def test_other_objects_are_discarded_with_a_warning(queue: StudyQueue, images: list[Any]) -> None:
    images[0].SOPClassUID = images[0].file_meta.MediaStorageSOPClassUID = SECONDARY
    with listening(queue) as receiver:
        association = associate(receiver)
        assert association.send_c_store(images[0]).Status == DISCARDED
        association.release()
    assert queue.studies() == []


def test_a_deflated_image_is_kept_unless_it_unpacks_to_far_too_much(queue: StudyQueue, images: list[Any]) -> None:
    with listening(queue) as receiver:
        association = associate(receiver, syntax=DEFLATED)
        for image in images[:2]:
            image.file_meta.TransferSyntaxUID = DEFLATED
        images[1].add_new(0x00091001, "OB", bytes(100_000_000))
        assert [association.send_c_store(image).Status for image in images[:2]] == [STORED, NOT_UNDERSTOOD]
        association.release()
    assert image_count(queue.studies()[0]) == 1


def test_an_image_without_a_study_is_refused(queue: StudyQueue, images: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    del images[0].StudyInstanceUID
    with caplog.at_level(logging.DEBUG), listening(queue) as receiver:
        association = associate(receiver)
        assert association.send_c_store(images[0]).Status == NOT_UNDERSTOOD
        association.release()
    assert "PLANTED" not in caplog.text
    assert queue.studies() == []


def test_a_port_that_is_taken(queue: StudyQueue) -> None:
    with listening(queue) as receiver, pytest.raises(ServiceError, match="Address already in use; choose another"):
        Receiver(queue, Door(port=receiver.port), None, 1, Metrics(queue))
