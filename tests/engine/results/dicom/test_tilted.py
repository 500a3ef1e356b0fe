"""DICOM outputs of a series whose tilt was corrected lie on the original slices: compared by position, by the images' headers."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from tests.engine.results.dicom.label_maps import flare_spec
from tests.engine.results.dicom.outside import disagreements, errors_of
from tests.engine.results.dicom.test_labelmap import UNKNOWN_KIND
from tests.engine.results.dicom.test_positions import image_places
from tests.engine.results.dicom.test_structure_set import skimage_fill
from tests.engine.scans.dicom.test_tilt import grid_places, organ, tilted_series

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.measurement_report import Measured, write_measurement_report
from flare_trt.engine.results.dicom.segmentation import is_segmentation_of, write_segmentation
from flare_trt.engine.results.dicom.stable import Making
from flare_trt.engine.results.dicom.structure_set import write_structure_set
from flare_trt.engine.results.lesions import measure_tumour
from flare_trt.engine.results.measures import measure_organs
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.scan_reader import whole_ct

#: Values of FLARE's labels.
LIVER, TUMOUR = 1, 14


@pytest.fixture(params=[19.0, -19.0])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> DicomReader:
    return DicomReader(tilted_series(tmp_path, request.param)[0], correct_tilt=True)


def labels_of(reader: DicomReader) -> Volume:
    places = grid_places(reader.grid)
    labels = np.where(organ(places), LIVER, 0).astype(np.uint8)
    labels[organ((places - (-4, 3, -366)) * 3 + (-4, 3, -366))] = TUMOUR
    return Volume(labels, reader.grid)


def images(reader: DicomReader) -> dict[str, pydicom.Dataset]:
    headers = (pydicom.dcmread(file, stop_before_pixels=True) for file in reader.path.iterdir())
    return {str(header.SOPInstanceUID): header for header in headers}


@pytest.mark.parametrize("seg_type", ["binary", "labelmap"])
def test_frames_lie_on_the_slices_and_mark_what_is_there(reader: DicomReader, tmp_path: Path, seg_type: str) -> None:
    path, spec, making = tmp_path / "seg.dcm", flare_spec(), Making(seg_type=seg_type)  # type: ignore[arg-type]  # one of the two
    write_segmentation(path, labels_of(reader), reader, spec, making)
    assert is_segmentation_of(path, reader)
    assert set(errors_of(path)) <= (UNKNOWN_KIND if seg_type == "labelmap" else set())
    seg, by_uid, found, wanted = highdicom.seg.segread(path), images(reader), 0, 0
    for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        image = by_uid[str(groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)]
        assert groups.PlanePositionSequence[0].ImagePositionPatient == image.ImagePositionPatient
        identified = groups.get("SegmentIdentificationSequence")
        if identified and identified[0].ReferencedSegmentNumber != LIVER:
            continue
        here = organ(image_places(image, frame.shape))
        tumour = organ((image_places(image, frame.shape) - (-4, 3, -366)) * 3 + (-4, 3, -366))
        found += int((frame == LIVER).sum())
        wanted += int(((frame == LIVER) & here & ~tumour).sum())
    assert found > 1000
    assert wanted / found > 0.92


def test_contours_lie_on_the_slices(reader: DicomReader, tmp_path: Path) -> None:
    write_structure_set(tmp_path / "rt.dcm", labels_of(reader), reader, flare_spec())
    assert errors_of(tmp_path / "rt.dcm") == []
    rt, by_uid = pydicom.dcmread(tmp_path / "rt.dcm"), images(reader)
    (roi,) = (one for one in rt.ROIContourSequence if one.ReferencedROINumber == LIVER)
    for contour in roi.ContourSequence:
        image = by_uid[str(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)]
        points = np.array(contour.ContourData, float).reshape(-1, 3) - np.array(image.ImagePositionPatient, float)
        row, column = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        np.testing.assert_allclose(points @ np.cross(row, column), 0, atol=1e-3)
        pixels_yx = points @ np.stack([column, row]).T / np.array(image.PixelSpacing, float)
        filled = skimage_fill((image.Rows, image.Columns), pixels_yx)
        there = organ(image_places(image, filled.shape))
        assert (filled & ~there).sum() <= 0.25 * filled.sum() + 6


def test_the_report_names_slices_that_the_lesion_is_on(reader: DicomReader, tmp_path: Path) -> None:
    ct, labels, spec = whole_ct(reader), labels_of(reader), flare_spec()
    organs = measure_organs(ct, labels, spec.label_names)
    (tumour,) = (measure_tumour(ct, labels, one, organs) for one in organs if one.value == TUMOUR)
    write_segmentation(tmp_path / "seg.dcm", labels, reader, spec)
    measured = Measured(labels, organs, [tumour])
    write_measurement_report(tmp_path / "sr.dcm", tmp_path / "seg.dcm", measured, reader, spec, Making())
    assert errors_of(tmp_path / "sr.dcm") == []
    assert disagreements([*reader.path.iterdir(), tmp_path / "seg.dcm", tmp_path / "sr.dcm"]) == []
    (group,) = highdicom.sr.srread(tmp_path / "sr.dcm").content.get_planar_roi_measurement_groups()
    image = images(reader)[str(group.referenced_segmentation_frame.source_image_for_segmentation.referenced_sop_instance_uid)]
    distances = np.linalg.norm(image_places(image, (image.Rows, image.Columns)) - (-4, 3, -366), axis=-1)
    assert distances.min() < 2.5  # the slice goes through the lesion's middle
