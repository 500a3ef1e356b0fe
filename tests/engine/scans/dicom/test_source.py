"""What outputs take from their source: one moment, and the planes as images of their own without the patient's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.engine.scans.dicom.series_files import IDENTITY, Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import require_references, source_images, source_moment

NO_DATES = {name: value for name, value in IDENTITY.items() if not name.endswith(("Date", "Time"))}


def reader(folder: Path, **look: Any) -> DicomReader:
    return DicomReader(write_series(folder, small_ct((3, 5, 7)), Look(**look)))


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({"StudyDate": "20170619", "StudyTime": "112233.445"}, ("20170619", "112233.445")),
        ({"StudyDate": "20170619", "AcquisitionDate": "20170620", "AcquisitionTime": "0102"}, ("20170620", "000000")),
        ({"ContentDate": "20170621", "SeriesDate": "20170620", "SeriesTime": "010203"}, ("20170621", "000000")),
        ({"ContentTime": "010203", "SeriesDate": "20170620", "SeriesTime": "040506"}, ("20170620", "040506")),
        ({}, ("19000101", "000000")),
    ],
)
def test_the_first_moment_that_there_is(tmp_path: Path, dates: dict[str, str], expected: tuple[str, str]) -> None:
    assert source_moment(reader(tmp_path, identity={**NO_DATES, **dates})) == expected


def test_planes_as_images_of_their_own(tmp_path: Path) -> None:
    def change(header: Any, z: int) -> None:
        header.LossyImageCompression, header.LossyImageCompressionRatio = "01", 12.5
        if z == 1:
            del header.SliceThickness
        else:
            header.SliceThickness = 4

    found = reader(tmp_path, change=change, series_uid="1.2.3", study_uid="1.2.4", frame_of_reference="1.2.5")
    images = source_images(found)
    assert [float(image.ImagePositionPatient[2]) for image in images] == [-400, -397.5, -395]
    assert [image.SOPInstanceUID for image in images] == ["2.25.1", "2.25.2", "2.25.3"]
    assert [image.InstanceNumber for image in images] == [1, 2, 3]
    assert [float(image.SliceThickness) for image in images] == [4, 2.5, 4]
    one = images[1]
    assert (one.SeriesInstanceUID, one.StudyInstanceUID, one.FrameOfReferenceUID) == ("1.2.3", "1.2.4", "1.2.5")
    assert (one.Rows, one.Columns, list(one.PixelSpacing), one.SpacingBetweenSlices) == (5, 7, [0.8, 0.7], 2.5)
    assert (one.LossyImageCompression, one.LossyImageCompressionRatio) == ("01", 12.5)
    assert not any("PLANTED" in str(element.value) for image in images for element in image)
    assert (one.PatientName, one.PatientID, one.StudyDate) == ("", "", "")


def test_what_ties_an_output_to_its_source_is_needed(tmp_path: Path) -> None:
    require_references(reader(tmp_path / "a"))
    with pytest.raises(InputError, match="the series has no FrameOfReferenceUID, expected UIDs for DICOM outputs"):
        require_references(reader(tmp_path / "b", change=lambda header, z: delattr(header, "FrameOfReferenceUID")))
