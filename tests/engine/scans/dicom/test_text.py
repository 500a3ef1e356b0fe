"""Text of a header in one character set, against what pydicom wrote; the outputs that hold it have tests of their own."""

from __future__ import annotations

import io
from typing import Any

import pydicom
import pytest

from flare_trt.engine.scans.dicom.library import quiet
from flare_trt.engine.scans.dicom.text import in_ascii, in_one_set


def read_again(header: Any) -> Any:
    """Through a file, so that all values are raw bytes."""
    stream = io.BytesIO()
    header.save_as(stream, implicit_vr=False, little_endian=True)
    return pydicom.dcmread(io.BytesIO(stream.getvalue()), force=True)


def header(charset: str | list[str], name: str) -> Any:
    one = pydicom.Dataset()
    one.SpecificCharacterSet, one.PatientName, one.PatientSex = charset, name, "F"
    return one


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Größe^Ä"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_every_set_becomes_utf_8(charset: str | list[str], name: str) -> None:
    with quiet():
        copy, utf8 = in_one_set(read_again(header(charset, name)))
        again = read_again(copy)
    assert utf8
    assert (again.SpecificCharacterSet, str(again.PatientName), again.PatientSex) == ("ISO_IR 192", name, "F")


def test_an_item_with_a_set_of_its_own() -> None:
    one, item = header("ISO_IR 100", "Größe"), pydicom.Dataset()
    item.SpecificCharacterSet, item.PatientID = "ISO_IR 144", "Иван"
    one.OtherPatientIDsSequence = [item]
    with quiet():
        copy, utf8 = in_one_set(read_again(one))
        again = read_again(copy)
    assert (utf8, str(again.PatientName), again.OtherPatientIDsSequence[0].PatientID) == (True, "Größe", "Иван")
    assert "SpecificCharacterSet" not in again.OtherPatientIDsSequence[0]


def test_bytes_that_are_not_of_their_set_stay_as_they_are() -> None:
    one = read_again(header("ISO_IR 100", "Größe"))
    del one.SpecificCharacterSet  # so ASCII, which has no such letters
    stored = one.get_item("PatientName").value
    with quiet():
        copy, utf8 = in_one_set(one)
        again = read_again(copy)
    assert (utf8, "SpecificCharacterSet" in again) == (False, False)
    assert again.get_item("PatientName").value.rstrip() == stored.rstrip() == "Größe".encode("latin-1")


def test_ascii_only() -> None:
    assert [in_ascii(text, "label 3") for text in ("liver", "riñón", "Größe", "肝")] == ["liver", "rinon", "label 3", "label 3"]
