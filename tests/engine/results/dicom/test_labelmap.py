"""A DICOM-SEG as a labelmap, read back by dcmqi and highdicom; the same labels as the binary one's, in a smaller file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.results.dicom.outside import errors_of
from tests.engine.results.dicom.test_segmentation import by_dcmqi
from tests.engine.scans.dicom.series_files import AXIAL, OBLIQUE, SAGITTAL, Look, small_ct, write_series

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.dicom.segmentation import is_segmentation_of, write_segmentation
from flare_trt.engine.results.dicom.stable import Making
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.label_source import read_named_labels

SHAPE = (9, 31, 27)
LABELMAP = Making(seg_type="labelmap")
#: dciodvfy of Debian 12 is older than the labelmap.
UNKNOWN_KIND = {
    "Error - Information Object Not found",
    "Error - SegmentNumber not monotonically increasing from one by one - have SegmentSequence item number 1 (from one) with "
    "SegmentNumber of 0",
}


@pytest.fixture(params=[AXIAL, SAGITTAL, OBLIQUE])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> DicomReader:
    return DicomReader(write_series(tmp_path / "ct", small_ct(SHAPE), Look(cosines=request.param)))


def test_readers_give_the_labels_back(reader: DicomReader, tmp_path: Path) -> None:
    labels = Volume(blobs(SHAPE), reader.grid)
    write_segmentation(tmp_path / "seg.dcm", labels, reader, flare_spec(), LABELMAP)
    found = read_named_labels(tmp_path / "seg.dcm", None, reader.grid)
    np.testing.assert_array_equal(found.volume.array, labels.array)
    assert found.names[13] == "left kidney"
    array, grid, _ = by_dcmqi(tmp_path / "seg.dcm", tmp_path / "dcmqi")
    np.testing.assert_array_equal(array, labels.array)
    assert grid.same_place(reader.grid, tolerance_mm=1e-3)


def test_300_labels(reader: DicomReader, tmp_path: Path) -> None:
    spec = replace(flare_spec(), labels=tuple(LabelSpec(value, f"part {value}", "#808080") for value in range(1, 301)))
    labels = np.array([0, 300, 256, 255, *range(4, 20)], np.uint16)[blobs(SHAPE)]
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, spec, LABELMAP)
    assert pydicom.dcmread(tmp_path / "seg.dcm").BitsAllocated == 16
    found = read_named_labels(tmp_path / "seg.dcm", None, reader.grid)
    np.testing.assert_array_equal(found.volume.array, labels)
    assert found.names[300] == "part 300"
    np.testing.assert_array_equal(by_dcmqi(tmp_path / "seg.dcm", tmp_path / "dcmqi")[0], labels)


def test_what_it_is(reader: DicomReader, tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    write_segmentation(path, Volume(blobs(SHAPE), reader.grid), reader, flare_spec(), LABELMAP)
    seg = pydicom.dcmread(path)
    assert (seg.SegmentationType, seg.SOPClassUID, seg.NumberOfFrames) == ("LABELMAP", "1.2.840.10008.5.1.4.1.1.66.7", SHAPE[0])
    assert set(errors_of(path)) <= UNKNOWN_KIND
    assert is_segmentation_of(path, reader)
    whole = path.read_bytes()
    path.write_bytes(whole[:-400])
    assert not is_segmentation_of(path, reader)


def test_it_is_smaller(tmp_path: Path) -> None:
    shape = (9, 131, 127)
    reader = DicomReader(write_series(tmp_path / "ct", small_ct(shape)))
    labels = np.kron(blobs((9, 33, 32)), np.ones((1, 4, 4), np.uint8))[:, : shape[1], : shape[2]]
    sizes = {}
    for making in (Making(), LABELMAP):
        write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec(), making)
        sizes[making.seg_type] = (tmp_path / "seg.dcm").stat().st_size
    assert sizes["labelmap"] < sizes["binary"] / 2


def test_nothing_found(reader: DicomReader, tmp_path: Path) -> None:
    labels = Volume(np.zeros(SHAPE, np.uint8), reader.grid)
    (warning,) = write_segmentation(tmp_path / "seg.dcm", labels, reader, flare_spec(), LABELMAP)
    assert "nothing was found" in warning
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert seg.NumberOfFrames == 1
    assert not seg.pixel_array.any()
