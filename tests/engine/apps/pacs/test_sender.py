"""Sending by C-STORE, to archives of pynetdicom that answer as told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.engine.apps.pacs.clinic import free_port, write_study

pynetdicom = pytest.importorskip("pynetdicom")

from flare_trt.engine.apps.pacs.peers import Archive  # noqa: E402
from flare_trt.engine.apps.pacs.sender import ArchiveAwayError, ArchiveRefusalError, dicom_send  # noqa: E402

CT = "1.2.840.10008.5.1.4.1.1.2"


@contextmanager
def archive(status: int, sop_class: str = CT, title: str = "PACS") -> Iterator[tuple[Archive, list[str]]]:
    """An archive that answers so, and the instance UIDs that it was sent."""
    sent: list[str] = []

    def store(event: Any) -> int:
        sent.append(str(event.request.AffectedSOPInstanceUID))
        return status

    entity = pynetdicom.AE(ae_title="PACS")
    entity.require_called_aet = True
    entity.add_supported_context(sop_class)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(pynetdicom.evt.EVT_C_STORE, store)])
    try:
        yield Archive(title, "127.0.0.1", server.server_address[1]), sent
    finally:
        server.shutdown()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return sorted(write_study(tmp_path / "ct", slices=3).iterdir())


@pytest.mark.parametrize("status", [0x0000, 0xB000])
def test_all_is_sent(files: list[Path], status: int) -> None:
    with archive(status) as (to, sent):
        dicom_send(to, "FLARE", None)(files)
    assert len(set(sent)) == 3


def test_no_room_is_for_later(files: list[Path]) -> None:
    with archive(0xA700) as (to, sent), pytest.raises(ArchiveAwayError, match=r"has no room for a CT \(status A700\)"):
        dicom_send(to, "FLARE", None)(files)
    assert len(sent) == 1


def test_a_refusal_is_for_good(files: list[Path]) -> None:
    with archive(0xC001) as (to, _), pytest.raises(ArchiveRefusalError, match=r"refuses a CT \(status C001\); its log says why"):
        dicom_send(to, "FLARE", None)(files)


def test_a_kind_of_object_that_is_not_taken(files: list[Path]) -> None:
    words = r"PACS@127\.0\.0\.1:\d+ does not take CT \(CT Image Storage, Explicit VR Little Endian\); see --results"
    with archive(0, "1.2.840.10008.5.1.4.1.1.88.33") as (to, _), pytest.raises(ArchiveRefusalError, match=words):
        dicom_send(to, "FLARE", None)(files)
    with archive(0, "1.2.840.10008.5.1.4.1.1.2.1") as (to, sent):
        enhanced = pydicom.dcmread(files[0])
        enhanced.SOPClassUID = enhanced.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
        enhanced.save_as(files[0])
        with pytest.raises(ArchiveRefusalError, match=words):  # the first one is taken, the second not
            dicom_send(to, "FLARE", None)(files)
        assert len(sent) == 1


def test_nobody_answers_and_a_wrong_title(files: list[Path]) -> None:
    with pytest.raises(ArchiveAwayError, match="does not answer"):
        dicom_send(Archive("PACS", "127.0.0.1", free_port()), "FLARE", None)(files)
    with archive(0, title="OTHER") as (to, _), pytest.raises(ArchiveAwayError, match="rejects the worker: check both AE titles"):
        dicom_send(to, "FLARE", None)(files)
    with pytest.raises(ArchiveAwayError):
        dicom_send(Archive("PACS", "no-such-host.invalid", 104), "FLARE", None)(files)
