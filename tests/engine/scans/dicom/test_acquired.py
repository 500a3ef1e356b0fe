"""The moment of an acquisition in seconds, as the standard's dates and times spell it (PS3.5, section 6.2)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pydicom
import pytest

from flare_trt.engine.scans.dicom.acquired import acquired_of
from flare_trt.engine.scans.dicom.library import quiet


def header(**values: Any) -> pydicom.Dataset:
    found = pydicom.Dataset()
    with quiet():
        for name, value in values.items():
            setattr(found, name, value)
    return found


def seconds(together: str) -> float | None:
    one = header(AcquisitionDateTime=together)
    return acquired_of(one, one).acquired_s


def test_seconds_between_two_moments_are_those_of_the_calendar() -> None:
    first, second = seconds("20240228235958.250000"), seconds("20240301000001.5")  # over the 29th of February
    assert first is not None
    assert second is not None
    assert second - first == (datetime(2024, 3, 1, 0, 0, 1, 500000) - datetime(2024, 2, 28, 23, 59, 58, 250000)).total_seconds()


@pytest.mark.parametrize(
    ("time", "expected"),
    [("01", 3600), ("0102", 3720), ("010203", 3723), ("010203.5", 3723.5), ("010203.5+0200", 3723.5), ("010203-0530", 3723)],
)
def test_short_times_and_zones(time: str, expected: float) -> None:
    midnight, moment = seconds("2023112900"), seconds(f"20231129{time}")
    assert midnight is not None
    assert moment is not None
    assert moment - midnight == expected


def test_a_time_without_a_date_counts_from_midnight() -> None:
    one = header(AcquisitionTime="01:02:03", ContentTime="000130.25")  # colons, as ACR-NEMA wrote them
    found = acquired_of(one, one)
    assert (found.acquired_s, found.content_s) == (3723, 90.25)


def test_what_is_no_moment_is_none() -> None:
    assert [seconds(text) for text in ("20230230120000", "2023", "20231129")] == [None, None, None]
    assert acquired_of(header(), header()).acquired_s is None


def test_the_values_of_a_frame_come_before_those_of_the_file() -> None:
    whole = header(AcquisitionNumber="3", KVP="120", ImageType=["ORIGINAL", "PRIMARY"], AcquisitionDateTime="20231129010203")
    frame = header(KVP="80", FrameAcquisitionNumber=7, FrameAcquisitionDateTime="20231129010213")
    found = acquired_of(whole, frame)
    assert found.number == "7"
    assert found.traits == ("", "", "", "80", "ORIGINAL\\PRIMARY", "")
    alone = acquired_of(whole, header())
    assert found.acquired_s is not None
    assert alone.acquired_s is not None
    assert (alone.number, found.acquired_s - alone.acquired_s) == ("3", 10)
