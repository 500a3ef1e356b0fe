"""What is one image and what is one patient: copies by place and values, and never two patients in one scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import require_references
from flare_trt.engine.scans.scan_reader import whole_ct

HU = small_ct((8, 11, 9))


@pytest.mark.parametrize("every", [1, 2, 3])
def test_slices_that_share_a_uid_are_all_read(tmp_path: Path, every: int) -> None:
    """As anonymisers leave them. A DICOM output could not say which of them it means."""

    def share(dataset: Any, z: int) -> None:
        dataset.SOPInstanceUID = f"1.2.3.{z // every if every > 1 else 0}"

    reader = DicomReader(write_series(tmp_path / "ct", HU, Look(change=share)))
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    shared = len(HU) - len({z // every if every > 1 else 0 for z in range(len(HU))})
    assert reader.warnings[0].startswith(f"{shared} slices share their SOPInstanceUID")
    with pytest.raises(InputError, match="several images share one SOPInstanceUID"):
        require_references(reader)


@pytest.mark.parametrize("new_uid", [False, True])
def test_a_copy_is_at_the_same_place_with_the_same_values(tmp_path: Path, new_uid: bool) -> None:
    folder = write_series(tmp_path / "ct", HU)
    for number, file in enumerate(sorted(folder.iterdir())[:3]):
        dataset = pydicom.dcmread(file)
        if new_uid:
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.save_as(folder / f"copy{number}")
    reader = DicomReader(folder)
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    assert reader.warnings == ("3 second copies of images were left out of the series",)


def test_another_image_at_the_same_place_is_no_copy(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", HU)
    dataset = pydicom.dcmread(sorted(folder.iterdir())[3])
    dataset.PixelData = dataset.PixelData[::-1]
    dataset.save_as(folder / "other")
    with pytest.raises(InputError, match="1 slices at the place of another one"):
        DicomReader(folder)


@pytest.mark.parametrize(
    ("name", "other", "what"),
    [
        ("PatientID", "ANOTHER", "patients"),
        ("PatientName", "ELSE^SOMEBODY", "patients"),
        ("PatientBirthDate", "19000101", "patients"),
        ("StudyInstanceUID", "1.2.3.4", "studies"),
    ],
)
def test_two_in_one_series_are_refused(tmp_path: Path, name: str, other: str, what: str) -> None:
    def half(dataset: Any, z: int) -> None:
        if z > 3:
            setattr(dataset, name, other)

    folder = write_series(tmp_path / "ct", HU, Look(change=half))
    with pytest.raises(InputError, match=f"got images of 2 {what} in one series, expected one") as caught:
        DicomReader(folder)
    assert other not in str(caught.value)


def test_one_patient_written_in_several_ways(tmp_path: Path) -> None:
    """Padding, empty parts, case, a value that is missing, and the character set of each file make no other patient."""
    names = {0: "Buc^Jérôme", 1: "BUC^Jérôme^^", 2: "Buc^Jérôme ", 3: ""}
    sets = {0: "ISO_IR 100", 1: "ISO_IR 192", 2: "ISO_IR 100", 3: "ISO_IR 100"}

    def vary(dataset: Any, z: int) -> None:
        dataset.SpecificCharacterSet, dataset.PatientName = sets[z % 4], names[z % 4]
        dataset.PatientID = "" if z == 5 else "P1"

    reader = DicomReader(write_series(tmp_path / "ct", HU, Look(change=vary)))
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    assert reader.warnings == ()
