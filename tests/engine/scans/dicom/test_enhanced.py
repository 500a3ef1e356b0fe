"""Enhanced multi-frame CT, as highdicom converts a classic series: the same voxels, grid and labels."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.results.dicom.test_segmentation import by_dcmqi
from tests.engine.scans.dicom.series_files import OBLIQUE, Look, small_ct, write_series

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.segmentation import write_segmentation
from flare_trt.engine.results.dicom.structure_set import write_structure_set
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.scan_reader import whole_ct

HU = small_ct((6, 17, 19))


@pytest.fixture
def enhanced(tmp_path: Path) -> Path:
    folder = write_series(tmp_path / "classic", HU, Look(cosines=OBLIQUE))
    slices = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
    whole = highdicom.legacy.LegacyConvertedEnhancedCTImage(slices, generate_uid(), 8, generate_uid(), 1)
    (tmp_path / "enhanced").mkdir()
    whole.save_as(tmp_path / "enhanced" / "a")
    return tmp_path / "enhanced"


def test_as_the_classic_series(enhanced: Path, tmp_path: Path) -> None:
    reader, classic = DicomReader(enhanced), DicomReader(tmp_path / "classic")
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    assert reader.grid.same_place(classic.grid, tolerance_mm=1e-4)
    assert reader.warnings == ()


def test_outputs_refer_to_its_frames(enhanced: Path, tmp_path: Path) -> None:
    reader, labels = DicomReader(enhanced), blobs(HU.shape)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec())
    array, grid, _ = by_dcmqi(tmp_path / "seg.dcm", tmp_path / "dcmqi")
    np.testing.assert_array_equal(array, labels[np.flatnonzero(labels.any((1, 2)))[0] :])
    assert grid.spacing_mm == pytest.approx(reader.grid.spacing_mm)
    write_structure_set(tmp_path / "rt.dcm", Volume(labels, reader.grid), reader, flare_spec())
    structures = pydicom.dcmread(tmp_path / "rt.dcm")
    images = [c.ContourImageSequence[0] for c in structures.ROIContourSequence[0].ContourSequence]
    assert {image.ReferencedSOPInstanceUID for image in images} == {reader.planes[0].sop_uid}
    found = set(np.flatnonzero((labels == 1).any((1, 2))))
    assert {image.ReferencedFrameNumber for image in images} == {reader.planes[z].frame + 1 for z in found}
