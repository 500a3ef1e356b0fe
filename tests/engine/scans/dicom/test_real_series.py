"""A real series (20 slices, JPEG 2000, UIDs blanked): in as SimpleITK reads it, out as DICOM-SEG and RTSTRUCT and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import generate_uid
from tests.engine.results.dicom.label_maps import flare_spec
from tests.engine.results.dicom.test_segmentation import by_dcmqi, by_hand
from tests.engine.results.dicom.test_structure_set import rasterised, scan_lines
from tests.engine.scans.dicom.test_reader import sitk_ct
from tests.shared_data import shared_file

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.segmentation import write_segmentation
from flare_trt.engine.results.dicom.structure_set import write_structure_set
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import require_references
from flare_trt.engine.scans.scan_reader import whole_ct


@pytest.fixture(scope="module")
def identified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The series with UIDs in place of the blanked ones; its compressed pixels as they are."""
    folder, study, series = tmp_path_factory.mktemp("ct"), generate_uid(), generate_uid()
    for file in sorted(shared_file("ts_example", "dicom").iterdir()):
        dataset = pydicom.dcmread(file)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
        dataset.save_as(folder / file.name)
    return folder


def tissues(hu: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Smooth regions of real shapes: body, fat, bone and a tumour of nothing in particular."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(hu.astype(np.float32), (1, 6, 6))
    labels = np.zeros(hu.shape, np.uint8)
    labels[smooth > -300], labels[smooth > 0], labels[smooth > 120] = 1, 2, 13
    labels[8:12, 240:260, 200:230] = 14
    return labels


def test_voxels_and_grid_are_simpleitks() -> None:
    folder = shared_file("ts_example", "dicom")
    reader = DicomReader(folder)
    ct, (array, grid) = whole_ct(reader), sitk_ct(folder)
    assert ct.array.shape == (20, 512, 512)
    np.testing.assert_array_equal(ct.array, array)
    assert ct.grid.same_place(grid, tolerance_mm=1e-6)
    with pytest.raises(InputError, match="has no StudyInstanceUID and no SeriesInstanceUID"):
        require_references(reader)


def test_outputs_come_back_to_the_voxel(identified: Path, tmp_path: Path) -> None:
    reader = DicomReader(identified)
    labels = tissues(whole_ct(reader).array)
    assert np.unique(labels).tolist() == [0, 1, 2, 13, 14]
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec())
    np.testing.assert_array_equal(by_hand(pydicom.dcmread(tmp_path / "seg.dcm"), reader), labels)
    array, grid, _ = by_dcmqi(tmp_path / "seg.dcm", tmp_path / "dcmqi")
    np.testing.assert_array_equal(array, labels)
    assert grid.same_place(reader.grid, tolerance_mm=1e-3)
    write_structure_set(tmp_path / "rt.dcm", Volume(labels, reader.grid), reader, flare_spec())
    np.testing.assert_array_equal(rasterised(pydicom.dcmread(tmp_path / "rt.dcm"), identified, labels.shape, scan_lines), labels)
