"""RTSTRUCT: contours that a rasteriser of its own turns back into the labels, and what the file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.scans.dicom.series_files import AXIAL, CORONAL, OBLIQUE, SAGITTAL, Look, small_ct, write_series

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import FLARE_LABELS
from flare_trt.engine.results.dicom.structure_set import write_structure_set
from flare_trt.engine.scans.dicom.reader import DicomReader

SHAPE = (7, 31, 27)


@pytest.fixture(params=[AXIAL, CORONAL, SAGITTAL, OBLIQUE])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> DicomReader:
    return DicomReader(write_series(tmp_path / "ct", small_ct(SHAPE), Look(cosines=request.param)))


Fill = Callable[[tuple[int, int], NDArray[np.float64]], NDArray[np.bool_]]


def skimage_fill(shape: tuple[int, int], polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The pixels whose centres lie inside a polygon of (row, column) points."""
    from skimage.draw import polygon2mask

    return polygon2mask(shape, polygon)


def scan_lines(shape: tuple[int, int], polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The same for large polygons, where scikit-image takes minutes: along each row, every edge that it crosses toggles."""
    toggles = np.zeros((shape[0], shape[1] + 1), bool)
    for (ay, ax), (by, bx) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        rows = np.arange(np.ceil(min(ay, by)), np.ceil(max(ay, by)), dtype=int)
        if len(rows):
            toggles[rows, np.ceil(ax + (rows - ay) * (bx - ax) / (by - ay)).astype(int)] ^= True
    return np.logical_xor.accumulate(toggles, axis=1)[:, :-1]


def rasterised(structures: Any, source: Path, shape: tuple[int, int, int], fill: Fill) -> NDArray[np.uint8]:
    """Each contour through the header of the image that it refers to, filled, even-odd."""
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in source.iterdir()]
    image_of = {header.SOPInstanceUID: header for header in headers}
    normal = np.cross(*np.array(headers[0].ImageOrientationPatient, float).reshape(2, 3))
    ordered = sorted(headers, key=lambda header: float(normal @ np.array(header.ImagePositionPatient, float)))
    z_of = {header.SOPInstanceUID: z for z, header in enumerate(ordered)}
    labels = np.zeros(shape, np.uint8)
    for roi in structures.ROIContourSequence:
        mask = np.zeros(shape, bool)
        for contour in roi.get("ContourSequence", ()):
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            assert len(points) == contour.NumberOfContourPoints
            image = image_of[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
            offsets = points - np.array(image.ImagePositionPatient, float)
            row, column = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
            assert np.abs(offsets @ normal).max() < 1e-3  # on the image's own plane
            indices = np.stack([offsets @ column / image.PixelSpacing[0], offsets @ row / image.PixelSpacing[1]], axis=1)
            low, high = np.floor(indices.min(0)).astype(int) + 1, np.ceil(indices.max(0)).astype(int)
            box = mask[z_of[image.SOPInstanceUID], low[0] : high[0], low[1] : high[1]]
            box ^= fill(box.shape, indices - low)
        labels[mask] = roi.ReferencedROINumber
    return labels


def test_contours_give_the_labels_back(reader: DicomReader, tmp_path: Path) -> None:
    labels = blobs(SHAPE)
    write_structure_set(tmp_path / "rt.dcm", Volume(labels, reader.grid), reader, flare_spec())
    structures = pydicom.dcmread(tmp_path / "rt.dcm")
    for fill in (skimage_fill, scan_lines):
        np.testing.assert_array_equal(rasterised(structures, tmp_path / "ct", SHAPE, fill), labels)


def test_what_it_says(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", small_ct(SHAPE))
    reader = DicomReader(folder)
    write_structure_set(tmp_path / "rt.dcm", Volume(blobs(SHAPE), reader.grid), reader, flare_spec())
    structures, source = pydicom.dcmread(tmp_path / "rt.dcm"), pydicom.dcmread(next(folder.iterdir()))
    assert structures.Modality == "RTSTRUCT"
    assert structures.SOPClassUID.name == "RT Structure Set Storage"
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyID"):
        assert structures[name].value == source[name].value, name
    (frame,) = structures.ReferencedFrameOfReferenceSequence
    (series,) = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence
    assert frame.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in series.ContourImageSequence} == {plane.sop_uid for plane in reader.planes}
    assert [(roi.ROINumber, roi.ROIName) for roi in structures.StructureSetROISequence] == [(c.value, c.name) for c in FLARE_LABELS]
    contoured = {roi.ReferencedROINumber for roi in structures.ROIContourSequence if "ContourSequence" in roi}
    assert contoured == {1, 2, 7, 13, 14}
    spleen = structures.RTROIObservationsSequence[2]
    assert spleen.RTROIIdentificationCodeSequence[0].CodeValue == "78961009"
    kinds = [one.RTROIInterpretedType for one in structures.RTROIObservationsSequence]
    assert kinds == ["ORGAN"] * 13 + [""]
    assert "RESEARCH" in structures.StructureSetLabel
    assert structures.ROIContourSequence[0].ROIDisplayColor == [0xB5, 0x52, 0x3B]


def test_points_take_at_most_16_characters(tmp_path: Path) -> None:
    reader = DicomReader(write_series(tmp_path / "ct", small_ct(SHAPE), Look(origin_mm=(-1234.56789, 1e3 / 3, -2000.123456))))
    write_structure_set(tmp_path / "rt.dcm", Volume(blobs(SHAPE), reader.grid), reader, flare_spec())
    contours = pydicom.dcmread(tmp_path / "rt.dcm").ROIContourSequence[0].ContourSequence
    texts = [text for contour in contours for text in contour.get_item("ContourData").value.decode().split("\\")]
    assert max(len(text.strip()) for text in texts) <= 16
    assert all(len(contour.get_item("ContourData").value) % 2 == 0 for contour in contours)
