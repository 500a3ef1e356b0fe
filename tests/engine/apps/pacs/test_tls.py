"""TLS in both directions, with certificates that openssl makes."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.engine.apps.pacs.clinic import program, until, write_study

pynetdicom = pytest.importorskip("pynetdicom")

from flare_trt.engine.apps.pacs.anonymous import silenced  # noqa: E402
from flare_trt.engine.apps.pacs.metrics import Metrics  # noqa: E402
from flare_trt.engine.apps.pacs.peers import Archive, Door  # noqa: E402
from flare_trt.engine.apps.pacs.receiver import Receiver  # noqa: E402
from flare_trt.engine.apps.pacs.sender import ArchiveAwayError, dicom_send  # noqa: E402
from flare_trt.engine.apps.pacs.study_queue import StudyQueue  # noqa: E402
from flare_trt.engine.apps.pacs.tls import TlsFiles  # noqa: E402
from flare_trt.engine.base.errors import ServiceError  # noqa: E402


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca) and a certificate of its own for each of worker and stranger (which signs itself)."""
    folder = tmp_path_factory.mktemp("pems")
    openssl = program("openssl", "openssl")

    def make(name: str, *words: str) -> None:
        new = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
        ]
        files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"]
        subprocess.run([openssl, *new, *files, *words], check=True, capture_output=True)

    make("ca")
    make("worker", "-addext", "subjectAltName=IP:127.0.0.1", "-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"))
    make("stranger", "-addext", "subjectAltName=IP:127.0.0.1")
    return folder


def files(pems: Path, name: str = "worker") -> TlsFiles:
    return TlsFiles(pems / f"{name}.pem", pems / f"{name}.key", pems / "ca.pem", pems / "ca.pem")


@pytest.fixture
def study(tmp_path: Path) -> list[Path]:
    return sorted(write_study(tmp_path / "ct", slices=2).iterdir())


def listening(queue: StudyQueue, tls: TlsFiles) -> Receiver:
    receiver = Receiver(queue, Door(port=0), tls.inward(), 1, Metrics(queue))
    receiver.start()
    return receiver


def test_a_sender_with_a_certificate_is_let_in_and_others_are_not(pems: Path, tmp_path: Path, study: list[Path]) -> None:
    queue = StudyQueue(tmp_path / "queue")
    with silenced():
        receiver = listening(queue, files(pems))
        archive = Archive("FLARE", "127.0.0.1", receiver.port)
        try:
            for tls in (None, files(pems, "stranger").outward(), ssl.create_default_context()):
                with pytest.raises(ArchiveAwayError):
                    dicom_send(archive, "SCANNER", tls)(study)
            assert queue.studies() == []
            dicom_send(archive, "SCANNER", files(pems).outward())(study)
            until(lambda: queue.settle(0.0) == [1])
        finally:
            receiver.stop()


def test_a_client_that_says_nothing_keeps_nobody_out(pems: Path, tmp_path: Path, study: list[Path]) -> None:
    queue = StudyQueue(tmp_path / "queue")
    with silenced():
        receiver = listening(queue, files(pems))
        try:
            with (
                socket.create_connection(("127.0.0.1", receiver.port)),
                socket.create_connection(("127.0.0.1", receiver.port)) as odd,
            ):
                odd.sendall(b"\x16")  # the first byte of a TLS record, and no more
                dicom_send(Archive("FLARE", "127.0.0.1", receiver.port), "SCANNER", files(pems).outward())(study)
            assert len(queue.studies()) == 1
        finally:
            receiver.stop()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda pems: TlsFiles(pems / "worker.pem"), "got one of --tls-cert and --tls-key"),
        (lambda pems: TlsFiles(senders=pems / "ca.pem"), "--tls-ca: expected --tls-cert and --tls-key with it"),
        (lambda pems: TlsFiles(pems / "worker.pem", pems / "stranger.key").inward(), "expected PEM files that match"),
        (lambda pems: TlsFiles(pems / "none.pem", pems / "none.key").inward(), "expected PEM files that match"),
        (lambda pems: TlsFiles(archive=pems / "none.pem").outward(), "expected a PEM file of certificates"),
    ],
)
def test_files_that_do_not_fit(pems: Path, make: Any, words: str) -> None:
    with pytest.raises(ServiceError, match=words):
        make(pems)


def test_the_archive_s_name_is_checked(pems: Path, tmp_path: Path, study: list[Path]) -> None:
    with silenced():
        receiver = listening(StudyQueue(tmp_path / "queue"), files(pems))
        try:
            with pytest.raises(ArchiveAwayError):
                dicom_send(Archive("FLARE", "localhost", receiver.port), "SCANNER", files(pems).outward())(study)
        finally:
            receiver.stop()
    assert pydicom.dcmread(study[0]).Modality == "CT"
