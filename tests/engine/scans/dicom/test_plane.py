"""One image plane: which files are CT images, what the stored bits can hold, and what each refusal says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from tests.engine.scans.dicom.series_files import Look, slice_dataset

from flare_trt.engine.scans.dicom.library import quiet
from flare_trt.engine.scans.dicom.plane import Plane, Unusable, is_ct, planes_of

CT, MR, ENHANCED, LEGACY = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "4", "2.1", "2.2"))


def header(**values: Any) -> Dataset:
    """The header of a slice of 5 x 7 (y, x) with other values; None takes an element away."""
    found = slice_dataset(np.zeros((5, 7)), 2, Look(series_uid="1.2", study_uid="1.3", frame_of_reference="1.4"))
    found.file_meta = FileMetaDataset()
    with quiet():
        for name, value in values.items():
            if value is None:
                delattr(found, name)
            else:
                setattr(found, name, value)
    return found


def only(**values: Any) -> Any:
    (found,) = planes_of(header(**values), 3)
    return found


def test_a_plane_is_what_its_header_says() -> None:
    plane = only(RescaleSlope="1.5", SliceThickness="5")
    assert isinstance(plane, Plane)
    assert (plane.file, plane.frame, plane.shape_yx, plane.spacing_yx_mm) == (3, 0, (5, 7), (0.8, 0.7))
    assert plane.position_mm == (-31.5, 12.25, -395.0)  # the third of planes 2.5 mm apart from -400
    assert (plane.slope, plane.intercept, plane.rescaled, plane.thickness_mm) == (1.5, -1024, True, 5)
    assert (plane.multi_frame, plane.lossy, plane.modified) == (False, False, False)


@pytest.mark.parametrize(
    ("bits", "signed", "expected"),
    [(12, 0, (0, 4095)), (12, 1, (-2048, 2047)), (16, 1, (-32768, 32767)), (1, 1, (-1, 0)), (8, 0, (0, 255))],
)
def test_what_stored_bits_hold(bits: int, signed: int, expected: tuple[int, int]) -> None:
    assert only(BitsStored=bits, HighBit=bits - 1, PixelRepresentation=signed).stored_range == expected


@pytest.mark.parametrize(
    ("sop_class", "modality", "expected"),
    [
        (CT, "CT", True),
        (CT, "ct", True),
        (CT, None, True),
        (None, "CT", True),
        (ENHANCED, "CT", True),
        (LEGACY, "CT", True),
        (CT, "MR", False),
        (MR, "CT", False),
        (None, None, False),
    ],
)
def test_which_files_are_ct_images(sop_class: str | None, modality: str | None, expected: bool) -> None:
    assert is_ct(header(SOPClassUID=sop_class, Modality=modality)) is expected


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"SOPClassUID": MR}, "that are no CT images (MR Image Storage)"),
        ({"SOPClassUID": "1.2.3"}, "that are no CT images (another SOP class)"),
        ({"SOPClassUID": MR, "Modality": "MR"}, "of modality MR"),
        ({"SamplesPerPixel": 3}, "in colour"),
        ({"NumberOfFrames": 2}, "of several frames without the functional groups of an enhanced CT"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "that are localizers"),
        ({"PixelSpacing": None}, "without position, orientation or pixel spacing"),
        ({"RescaleType": "OD"}, "whose values are not in HU (RescaleType OD)"),
    ],
)
def test_images_that_are_left_out(values: dict[str, Any], why: str) -> None:
    assert only(**values) == why


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"RescaleSlope": 0}, "RescaleSlope is 0"),
        ({"BitsStored": 17}, "got 16 bits allocated, 17 stored and high bit 11"),
        ({"HighBit": 15}, "got 16 bits allocated, 12 stored and high bit 15"),
        ({"Rows": None}, "Rows is missing or no whole number"),
        ({"ImagePositionPatient": [1, 2]}, "ImagePositionPatient holds 2 numbers"),
    ],
)
def test_images_that_cannot_be_used(values: dict[str, Any], message: str) -> None:
    found = only(**values)
    assert isinstance(found, Unusable)
    assert (found.file, message in found.told) == (3, True)


def test_an_enhanced_file_needs_an_item_a_frame() -> None:
    first, second = planes_of(header(SOPClassUID=ENHANCED, NumberOfFrames=2, PerFrameFunctionalGroupsSequence=[Dataset()]), 0)
    assert first == "without position, orientation or pixel spacing"
    assert isinstance(second, Unusable)
    assert "PerFrameFunctionalGroupsSequence has 1 items, expected one a frame" in second.told
