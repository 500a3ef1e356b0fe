"""What a file is by its first bytes, and every readable kind as pydicom reads the plain file it was made from."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import FileMetaDataset
from tests.engine.scans.dicom.series_files import Look, slice_dataset

from flare_trt.engine.scans.dicom.file_set import open_files
from flare_trt.engine.scans.dicom.part10 import Kind, _header_end, kind_of, opened, read_head


def whole_file(syntax: str = uid.ExplicitVRLittleEndian) -> bytes:
    dataset = slice_dataset(np.arange(35).reshape(5, 7), 0, Look(series_uid="1.2", study_uid="1.3", frame_of_reference="1.4"))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def bare(data: bytes) -> bytes:
    """Without preamble, mark and group 2, whose length its first element holds."""
    return data[144 + int.from_bytes(data[140:144], "little") :]


def as_it_is(data: bytes) -> bytes:
    return data


def opened_again(folder: Path, data: bytes) -> pydicom.Dataset:
    (folder / "one").write_bytes(data)
    with opened(open_files(folder), 0) as stream:
        return pydicom.dcmread(stream)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (as_it_is, Kind.MARKED),
        (lambda data: data[132:], Kind.NO_PREAMBLE),
        (lambda data: data[128:], Kind.MARK_FIRST),
        (bare, Kind.BARE),
    ],
)
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_every_readable_kind_is_the_plain_file(tmp_path: Path, change: Callable[[bytes], bytes], kind: Kind, syntax: str) -> None:
    plain = whole_file(syntax)
    data = change(plain)
    assert (kind_of(data), kind.readable) == (kind, True)
    found = opened_again(tmp_path, data)
    assert found == pydicom.dcmread(io.BytesIO(plain))
    assert found.file_meta.TransferSyntaxUID == syntax


def test_a_deflated_data_set_is_inflated_and_a_cut_one_refused(tmp_path: Path) -> None:
    deflated = whole_file(uid.DeflatedExplicitVRLittleEndian)
    found = opened_again(tmp_path, deflated)
    assert found == pydicom.dcmread(io.BytesIO(deflated))
    assert found.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    with pytest.raises(ValueError, match="the deflated data set is cut or too large"):
        opened_again(tmp_path, deflated[:-20])
    with pytest.raises(ValueError, match="the deflated data set is damaged"):
        opened_again(tmp_path, deflated[: (start := _header_end(deflated))] + b"\xff" + deflated[start + 1 :])  # no kind of block


def test_kinds() -> None:
    head = read_head(io.BytesIO(whole_file()))
    assert kind_of(gzip.compress(head)) is Kind.PACKED
    assert kind_of(gzip.compress(gzip.compress(head))) is Kind.OTHER
    assert [kind_of(content) for content in (b"", bytes(600), head[:130])] == [Kind.BLANK] * 3
    odd_length = b"\x08\x00\x05\x00\x03\x00\x00\x00abc\x08\x00" + bytes(9)
    nothing_follows = b"\x08\x00\x05\x00\x04\x00\x00\x00abcd" + bytes(9)
    others = (b"\x08\x00" + bytes(9), b"x", gzip.compress(b"x" * 200), b"\x1f\x8b" + bytes(200), odd_length, nothing_follows)
    assert [kind_of(content) for content in others] == [Kind.OTHER] * 6
    assert not any(kind.readable for kind in (Kind.PACKED, Kind.BLANK, Kind.OTHER))
