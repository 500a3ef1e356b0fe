"""DICOM-SEGs as highdicom writes them: labels at their places, names by number, and overlaps refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from tests.engine.scans.dicom.series_files import AXIAL, OBLIQUE, Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.seg_reader import read_segmentation

SHAPE = (5, 9, 7)


def written(folder: Path, masks: NDArray[Any], look: Look) -> tuple[Path, Grid]:
    """Two segments of `masks`, binary, on a series; the file and the series' grid."""
    series = write_series(folder / "ct", small_ct(SHAPE), look)
    images = sorted((pydicom.dcmread(file) for file in series.iterdir()), key=lambda image: int(image.InstanceNumber))
    segments = [
        highdicom.seg.SegmentDescription(number, name, codes.SCT.Organ, codes.SCT.Liver, "MANUAL")
        for number, name in ((1, "left part"), (2, "right part"))
    ]
    made = highdicom.seg.Segmentation(
        images, masks, "BINARY", segments, "1.2.3.1", 100, "1.2.3.2", 1, "tests", "tests", "1", "1", content_label="PARTS"
    )
    made.save_as(folder / "seg.dcm")
    return folder / "seg.dcm", DicomReader(series).grid


def placed(volume: Volume, grid: Grid) -> NDArray[np.uint8]:
    """Each labelled voxel on the series' grid, through millimetres; highdicom may run through the planes the other way."""
    index_xyz = np.argwhere(volume.array)[:, ::-1]
    own = np.array(volume.grid.direction) * volume.grid.spacing_mm[::-1]
    points_mm = index_xyz @ own.T + volume.grid.origin_mm
    series = np.array(grid.direction) * grid.spacing_mm[::-1]
    found = np.linalg.solve(series, (points_mm - grid.origin_mm).T).T
    np.testing.assert_allclose(found, np.rint(found), atol=1e-4)
    x, y, z = np.rint(found).astype(int).T
    labels = np.zeros(grid.shape_zyx, np.uint8)
    labels[z, y, x] = volume.array[volume.array > 0]
    return labels


@pytest.mark.parametrize("cosines", [AXIAL, OBLIQUE])
def test_labels_and_their_places(tmp_path: Path, cosines: tuple[float, ...]) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 2:5, 1:3], labels[3, 6:, 4:] = 1, 2  # nothing on the first and the last plane, so they are not in the file
    path, grid = written(tmp_path, labels, Look(cosines=cosines))
    volume, names = read_segmentation(path)
    assert names == {1: "left part", 2: "right part"}
    assert (volume.array.dtype, volume.array.shape) == (np.uint8, (3, 9, 7))
    np.testing.assert_allclose(volume.grid.spacing_mm, (2.5, 0.8, 0.7), atol=1e-5)
    np.testing.assert_array_equal(placed(volume, grid), labels)


def test_segments_that_overlap_are_refused(tmp_path: Path) -> None:
    masks = np.zeros((*SHAPE, 2), np.uint8)
    masks[1, 2:5, 2:5, 0] = masks[1, 4:6, 4:6, 1] = 1
    path, _ = written(tmp_path, masks, Look())
    with pytest.raises(InputError, match=r"seg\.dcm: the segments overlap, or their planes make no regular grid"):
        read_segmentation(path)
