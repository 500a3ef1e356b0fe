"""Values of headers as they stand in the file: odd ones are errors that name the element and repeat nothing but numbers."""

from __future__ import annotations

import io
import struct
from typing import Any

import pydicom
import pytest
from pydicom.datadict import tag_for_keyword

from flare_trt.engine.scans.dicom.header import HeaderError, code_of, decimal, decimals, is_uid, text_of, uid_of, whole
from flare_trt.engine.scans.dicom.library import quiet


def header(**values: bytes) -> Any:
    """A data set in implicit VR that holds these bytes."""
    data = b""
    for tag, value in sorted((tag_for_keyword(name) or 0, value) for name, value in values.items()):
        padded = value + b" " * (len(value) % 2)
        data += struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(padded)) + padded
    return pydicom.dcmread(io.BytesIO(data), force=True)


def test_text_is_what_the_file_holds() -> None:
    one = header(ImageType=b"ORIGINAL\\PRIMARY\\AXIAL", Modality=b"CT\0", KVP=b"")
    assert [text_of(one, name) for name in ("ImageType", "Modality", "KVP", "Rows")] == ["ORIGINAL\\PRIMARY\\AXIAL", "CT", "", ""]
    parsed = pydicom.Dataset()
    parsed.ImageType, parsed.SeriesNumber = ["A", "B"], 12
    assert (text_of(parsed, "ImageType"), text_of(parsed, "SeriesNumber")) == ("A\\B", "12")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (b"0.7\\.85", (0.7, 0.85)),
        (b" 1e-1 \\+2. ", (0.1, 2.0)),
        (b"-3\\4E+1", (-3.0, 40.0)),
    ],
)
def test_decimal_strings(stored: bytes, expected: tuple[float, ...]) -> None:
    assert decimals(header(PixelSpacing=stored), "PixelSpacing", 2) == expected


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"0,7\\0,8", r'PixelSpacing holds "0,7\0,8", expected 2 numbers with a decimal point; correct the header'),
        (b"0.7\\1_0", "PixelSpacing holds no number, expected 2 numbers"),  # Python would take it for 10
        (b"nan\\1", "PixelSpacing holds no number"),
        (b"NOMEN\\OMEN", "PixelSpacing holds no number"),
        (b"0.7", "PixelSpacing holds 1 numbers or none that is finite, expected 2"),
        (b"1\\2\\3", "PixelSpacing holds 3 numbers"),
        (b"1\\1e999", "PixelSpacing holds 2 numbers or none that is finite"),
    ],
)
def test_what_are_no_decimal_strings(stored: bytes, message: str) -> None:
    with pytest.raises(HeaderError) as caught:
        decimals(header(PixelSpacing=stored), "PixelSpacing", 2)
    assert message in str(caught.value)
    assert "OMEN" not in str(caught.value)


def test_one_decimal_may_be_missing_and_may_be_a_double() -> None:
    one = pydicom.Dataset()
    one.TableSpeed = 12.5  # VR FD
    assert (decimal(one, "TableSpeed"), decimal(one, "RescaleSlope")) == (12.5, None)
    with pytest.raises(HeaderError, match=r'RescaleSlope holds "1,5", expected a number with a decimal point'):
        decimal(header(RescaleSlope=b"1,5"), "RescaleSlope")


def test_whole_numbers() -> None:
    one = header(Rows=struct.pack("<H", 513), SeriesNumber=b"abc ")
    assert whole(one, "Rows") == 513
    for name in ("Columns", "SeriesNumber"):
        with quiet(), pytest.raises(HeaderError, match=f"{name} is missing or no whole number; correct the header"):
            whole(one, name)


def test_uids_and_their_stand_ins() -> None:
    longest, too_long = b"1." * 31 + b"12", b"1." * 32 + b"1"
    found = [uid_of(header(StudyInstanceUID=value), "StudyInstanceUID") for value in (longest, too_long, b"NOMEN", b"OMEN", b"")]
    assert (found[0], found[4]) == (longest.decode(), "")
    assert [is_uid(text) for text in found] == [True, False, False, False, False]
    assert len(set(found)) == 5
    assert not any("OMEN" in text for text in found)


def test_codes() -> None:
    values = (b"CT", b"HU_MOD", b"", b"CT;DROP", b"A" * 17)
    assert [code_of(header(Modality=value), "Modality") for value in values] == ["CT", "HU_MOD", "", "unknown", "unknown"]
