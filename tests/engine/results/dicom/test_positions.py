"""Labels in the patient: SEG and RTSTRUCT put each voxel where the images have it, however the patient lay and the images run.

TotalSegmentator 2.18.0 mirrors the DICOM output of prone scans; position, and not the order of rows, is compared here.
"""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from tests.engine.results.dicom.label_maps import flare_spec
from tests.engine.results.dicom.test_structure_set import skimage_fill
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.segmentation import write_segmentation
from flare_trt.engine.results.dicom.structure_set import write_structure_set
from flare_trt.engine.scans.dicom.reader import DicomReader

#: Name -> direction of the row and of the column (LPS), and a shape (z, y, x) with three sizes.
POSITIONS = {
    "head first supine": ((1, 0, 0, 0, 1, 0), (9, 21, 17)),
    "head first prone": ((-1, 0, 0, 0, -1, 0), (9, 21, 17)),
    "feet first supine": ((-1, 0, 0, 0, 1, 0), (9, 17, 21)),
    "feet first prone": ((1, 0, 0, 0, -1, 0), (9, 17, 21)),
    "coronal": ((1, 0, 0, 0, 0, -1), (11, 15, 23)),
    "sagittal": ((0, 1, 0, 0, 0, -1), (7, 25, 13)),
}


def places(reader: DicomReader) -> NDArray[np.float64]:
    """LPS in mm of each voxel (z, y, x, 3), by the headers of the source images and nothing of ours but their order."""
    headers = {}
    for file in reader.path.iterdir():
        header = pydicom.dcmread(file, stop_before_pixels=True)
        headers[str(header.SOPInstanceUID)] = header
    planes = [image_places(headers[plane.sop_uid], reader.grid.shape_zyx[1:]) for plane in reader.planes]
    return np.array(planes)


def image_places(header: pydicom.Dataset, shape_yx: tuple[int, ...]) -> NDArray[np.float64]:
    """PS3.3, C.7.6.2.1.1, equation C.7.6.2.1-1."""
    row, column = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = map(float, header.PixelSpacing)
    y, x = np.indices(shape_yx)[..., None]
    return np.array(header.ImagePositionPatient, float) + y * between_rows * column + x * between_columns * row


def two_organs(places_mm: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Labels by the place alone: class 1 on the patient's left and in front, class 2 below."""
    x, y, z = np.moveaxis(places_mm - places_mm.reshape(-1, 3).mean(0), -1, 0)
    labels = ((x > 1) & (y < -0.5)).astype(np.uint8)
    labels[(z < -3) & (x < 1)] = 2
    return labels


@pytest.fixture(params=POSITIONS)
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> DicomReader:
    cosines, shape_zyx = POSITIONS[request.param]
    look = Look(cosines=tuple(map(float, cosines)), spacing_mm=(2.5, 0.9, 0.6))
    return DicomReader(write_series(tmp_path / "ct", small_ct(shape_zyx), look))


def as_set(places_mm: NDArray[np.float64]) -> set[tuple[float, ...]]:
    return {tuple(point) for point in np.round(places_mm.reshape(-1, 3), 2).tolist()}


def test_the_grid_is_where_the_images_are(reader: DicomReader) -> None:
    nz, ny, nx = reader.grid.shape_zyx
    z, y, x = np.indices((nz, ny, nx))
    sz, sy, sx = reader.grid.spacing_mm
    ours = np.stack([x * sx, y * sy, z * sz], -1) @ np.array(reader.grid.direction).T + reader.grid.origin_mm
    np.testing.assert_allclose(ours, places(reader), atol=1e-3)


def test_a_seg_by_position(reader: DicomReader, tmp_path: Path) -> None:
    """Read by highdicom as a volume of its own geometry."""
    places_mm = places(reader)
    labels = two_organs(places_mm)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec())
    volume = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    for value in (1, 2):
        found = volume.map_indices_to_reference(np.argwhere(volume.array == value))
        assert as_set(found) == as_set(places_mm[labels == value])


def test_an_rtstruct_by_position(reader: DicomReader, tmp_path: Path) -> None:
    """Points are in the patient's coordinates: filled on the images' planes they cover the voxels of the labels, and no other."""
    places_mm = places(reader)
    labels = two_organs(places_mm)
    write_structure_set(tmp_path / "rt.dcm", Volume(labels, reader.grid), reader, flare_spec())
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in reader.path.iterdir()]
    for roi in pydicom.dcmread(tmp_path / "rt.dcm").ROIContourSequence[:2]:
        found: set[tuple[float, ...]] = set()
        for contour in roi.ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            (header,) = [one for one in headers if abs(height(one, points)) < 0.01]
            offsets = points - np.array(header.ImagePositionPatient, float)
            row, column = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
            indices = np.stack([offsets @ column / header.PixelSpacing[0], offsets @ row / header.PixelSpacing[1]], axis=1)
            mask = skimage_fill(labels.shape[1:], indices)
            found ^= as_set(image_places(header, labels.shape[1:])[mask])
        assert found == as_set(places_mm[labels == roi.ReferencedROINumber])


def height(header: pydicom.Dataset, points: NDArray[np.float64]) -> float:
    normal = np.cross(*np.array(header.ImageOrientationPatient, float).reshape(2, 3))
    return float(np.abs((points - np.array(header.ImagePositionPatient, float)) @ normal).max())
