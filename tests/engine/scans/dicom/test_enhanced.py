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
from tests.engine.scans.dicom.enhanced_files import Parts, write_enhanced
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


@pytest.mark.parametrize(
    "parts",
    [Parts(), Parts(("PlaneOrientationSequence",)), Parts(("PixelMeasuresSequence",)), Parts(files=2), Parts(files=3)],
    ids=str,
)
def test_values_per_frame_and_several_files(tmp_path: Path, parts: Parts) -> None:
    """By position, and each frame's reference names its own file."""
    reader, labels = DicomReader(write_enhanced(tmp_path / "ct", HU, parts, Look(cosines=OBLIQUE))), blobs(HU.shape)
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec())
    seg = highdicom.seg.segread(tmp_path / "seg.dcm")
    by_hand = np.zeros_like(labels)
    for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        (source,) = groups.DerivationImageSequence[0].SourceImageSequence
        file = pydicom.dcmread(tmp_path / "ct" / f"part{file_of(tmp_path / 'ct', source.ReferencedSOPInstanceUID)}")
        place = (
            file.PerFrameFunctionalGroupsSequence[source.ReferencedFrameNumber - 1].PlanePositionSequence[0].ImagePositionPatient
        )
        np.testing.assert_allclose(groups.PlanePositionSequence[0].ImagePositionPatient, place)
        z = [np.allclose(plane.position_mm, place) for plane in reader.planes].index(True)
        by_hand[z][frame > 0] = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    np.testing.assert_array_equal(by_hand, labels)
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == parts.files


def file_of(folder: Path, sop_uid: str) -> int:
    uids = [pydicom.dcmread(file).SOPInstanceUID for file in sorted(folder.iterdir())]
    return uids.index(sop_uid) + 1
