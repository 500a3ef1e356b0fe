"""SR (TID 1500) read back by highdicom and dcmqi, checked by dicom3tools: the numbers, and what they are tied to."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.results.dicom.outside import disagreements, errors_of, tool
from tests.engine.scans.dicom.series_files import AXIAL, IDENTITY, SAGITTAL, Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.dicom.measurement_report import Measured, require_coded, write_measurement_report
from flare_trt.engine.results.dicom.segmentation import write_segmentation
from flare_trt.engine.results.dicom.stable import Making
from flare_trt.engine.results.dicom.structure_set import write_structure_set
from flare_trt.engine.results.lesions import measure_tumour
from flare_trt.engine.results.measures import measure_organs
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.scan_reader import whole_ct

SHAPE = (7, 31, 27)
#: dciodvfy of Debian 12 does not know the labelmap's SOP class as that of a segmentation.
OLDER_THAN_LABELMAPS = (
    "Error - Shall not be present for Referenced SOP Class that is not segmentation - attribute <ReferencedSegmentNumber>"
)


def measured(reader: DicomReader) -> Measured:
    ct, labels = whole_ct(reader), Volume(blobs(SHAPE), reader.grid)
    organs = measure_organs(ct, labels, flare_spec().label_names)
    return Measured(labels, organs, [measure_tumour(ct, labels, organ, organs) for organ in organs if organ.name == "tumour"])


def write_all(folder: Path, reader: DicomReader, making: Making) -> Measured:
    """Segmentation, contours and report of one series, in `folder`."""
    folder.mkdir(exist_ok=True)
    found, spec = measured(reader), flare_spec()
    write_segmentation(folder / "seg.dcm", found.labels, reader, spec, making)
    write_structure_set(folder / "rt.dcm", found.labels, reader, spec, making)
    write_measurement_report(folder / "sr.dcm", folder / "seg.dcm", found, reader, spec, making)
    return found


@pytest.fixture(params=[AXIAL, SAGITTAL])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> DicomReader:
    return DicomReader(write_series(tmp_path / "ct", small_ct(SHAPE), Look(cosines=request.param)))


def numbers(group: Any) -> dict[str, float]:
    return {one.derivation.meaning if one.derivation else one.name.meaning: one.value for one in group.get_measurements()}


def test_highdicom_reads_the_organs_back(reader: DicomReader, tmp_path: Path) -> None:
    found = write_all(tmp_path / "out", reader, Making("mode=exact"))
    report, seg = highdicom.sr.srread(tmp_path / "out" / "sr.dcm"), pydicom.dcmread(tmp_path / "out" / "seg.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()
    seen = [organ for organ in found.organs if organ.voxels]
    assert [group.tracking_identifier for group in groups] == [organ.name for organ in seen]
    for group, organ in zip(groups, seen, strict=True):
        assert numbers(group) == {
            "Volume": organ.volume_ml,
            "Mean": organ.mean_hu,
            "Standard Deviation": organ.std_hu,
            "Median": organ.median_hu,
            "10th Percentile Value of population": organ.p10_hu,
            "90th Percentile Value of population": organ.p90_hu,
        }
        (segment,) = [item for item in seg.SegmentSequence if item.TrackingUID == group.tracking_uid]
        assert segment.SegmentLabel == organ.name
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
    kidney = next(group for group in groups if group.tracking_identifier == "left kidney")
    assert (kidney.finding_type.value, kidney.finding_sites[0].laterality.meaning) == ("64033007", "Left")


def test_lesions_lie_on_frames_that_show_them(reader: DicomReader, tmp_path: Path) -> None:
    found = write_all(tmp_path / "out", reader, Making())
    report, seg = highdicom.sr.srread(tmp_path / "out" / "sr.dcm"), highdicom.seg.segread(tmp_path / "out" / "seg.dcm")
    groups = report.content.get_planar_roi_measurement_groups()
    lesions = found.tumours[0].lesions
    assert len(groups) == len(lesions) > 1
    z_of = {plane.sop_uid: z for z, plane in enumerate(reader.planes)}
    for group, lesion in zip(groups, lesions, strict=True):
        assert numbers(group)["Long Axis"] == lesion.longest_axial_mm
        assert numbers(group)["Volume"] == lesion.volume_ml
        reference, image = (item.ReferencedSOPSequence[0] for item in group.referenced_segmentation_frame)
        frame = int(reference.ReferencedFrameNumber)
        assert "ReferencedSegmentNumber" not in reference
        assert seg.PerFrameFunctionalGroupsSequence[frame - 1].SegmentIdentificationSequence[0].ReferencedSegmentNumber == 14
        z = z_of[image.ReferencedSOPInstanceUID]
        assert lesion.start_zyx[0] <= z < lesion.stop_zyx[0]
        pixels = seg.pixel_array[frame - 1]
        np.testing.assert_array_equal(pixels > 0, found.labels.array[z] == 14)


def test_checkers_find_no_error(reader: DicomReader, tmp_path: Path) -> None:
    write_all(tmp_path / "out", reader, Making("mode=exact"))
    written = sorted((tmp_path / "out").iterdir())
    assert {path.name: errors_of(path) for path in written} == {path.name: [] for path in written}
    assert disagreements([*(tmp_path / "ct").iterdir(), *written]) == []


def test_dcmqi_reads_the_volumes(reader: DicomReader, tmp_path: Path) -> None:
    found = write_all(tmp_path / "out", reader, Making())
    assert volumes_by_dcmqi(tmp_path) == volumes(found)


def volumes(found: Measured) -> dict[str, float]:
    """Of each organ, and of each lesion under its number."""
    lesions = {f"tumour {number}": lesion.volume_ml for number, lesion in enumerate(found.tumours[0].lesions, 1)}
    return {organ.name: organ.volume_ml for organ in found.organs if organ.voxels} | lesions


def volumes_by_dcmqi(folder: Path) -> dict[str, float]:
    words = ["--inputDICOM", folder / "out" / "sr.dcm", "--outputMetadata", folder / "sr.json"]
    subprocess.run([tool("tid1500reader"), *words], capture_output=True, check=True)
    groups = json.loads((folder / "sr.json").read_text())["Measurements"]
    return {
        group["TrackingIdentifier"]: float(item["value"])
        for group in groups
        for item in group["measurementItems"]
        if item["quantity"]["CodeMeaning"] == "Volume"
    }


def test_the_patient_is_the_source_s(reader: DicomReader, tmp_path: Path) -> None:
    write_all(tmp_path / "out", reader, Making())
    report = pydicom.dcmread(tmp_path / "out" / "sr.dcm")
    for name in ("PatientName", "PatientID", "StudyDate", "AccessionNumber"):
        assert str(report[name].value) == IDENTITY[name]
    assert report.StudyInstanceUID == reader.series.study_uid
    assert (report.CompletionFlag, report.VerificationFlag, report.Modality) == ("COMPLETE", "UNVERIFIED", "SR")


def test_a_model_without_coded_organs_is_refused() -> None:
    spec = flare_spec()
    ribs = replace(spec, labels=(LabelSpec(1, "rib 3", "#102030"),), fine=replace(spec.fine, channel_values=(0, 1)))
    with pytest.raises(InputError, match=r"no structure of the model has a SNOMED CT code here \(rib 3\)"):
        require_coded(ribs)
    require_coded(replace(ribs, labels=(*ribs.labels, LabelSpec(2, "Kidney_Left", "#102030"))))


@pytest.mark.parametrize(("looked", "word"), [(True, "Not found"), (False, "Not looked for: no abdomen was found")])
def test_nothing_found_is_said_of_each_organ(reader: DicomReader, tmp_path: Path, looked: bool, word: str) -> None:
    spec, labels = flare_spec(), Volume(np.zeros(SHAPE, np.uint8), reader.grid)
    organs = measure_organs(whole_ct(reader), labels, spec.label_names)
    write_segmentation(tmp_path / "seg.dcm", labels, reader, spec)
    write_measurement_report(
        tmp_path / "sr.dcm", tmp_path / "seg.dcm", Measured(labels, organs, (), looked), reader, spec, Making()
    )
    content = highdicom.sr.srread(tmp_path / "sr.dcm").content
    assert content.get_volumetric_roi_measurement_groups() == []
    groups = content.get_image_measurement_groups()
    assert [group.tracking_identifier for group in groups] == [organ.name for organ in organs]
    assert {group.get_qualitative_evaluations()[-1].value.meaning for group in groups} == {word}
    assert errors_of(tmp_path / "sr.dcm") == []


def test_a_report_of_a_labelmap(reader: DicomReader, tmp_path: Path) -> None:
    """Organs and lesions are tied to segments of the labelmap, whose frames hold them all, and lesions to their image."""
    found, out = write_all(tmp_path / "out", reader, Making(seg_type="labelmap")), tmp_path / "out"
    report, seg = highdicom.sr.srread(out / "sr.dcm"), highdicom.seg.segread(out / "seg.dcm")
    numbered = {segment.SegmentLabel: segment.SegmentNumber for segment in seg.SegmentSequence}
    organs = report.content.get_volumetric_roi_measurement_groups()
    for group, organ in zip(organs, [organ for organ in found.organs if organ.voxels], strict=True):
        assert numbers(group)["Volume"] == organ.volume_ml
        reference = group.referenced_segment[0].ReferencedSOPSequence[0]
        assert (reference.ReferencedSOPInstanceUID, reference.ReferencedSegmentNumber) == (seg.SOPInstanceUID, numbered[organ.name])
    z_of = {plane.sop_uid: z for z, plane in enumerate(reader.planes)}
    lesions = report.content.get_planar_roi_measurement_groups()
    for group, lesion in zip(lesions, found.tumours[0].lesions, strict=True):
        reference, image = (item.ReferencedSOPSequence[0] for item in group.referenced_segmentation_frame)
        assert (reference.ReferencedSegmentNumber, "ReferencedFrameNumber" in reference) == (numbered["tumour"], False)
        assert lesion.start_zyx[0] <= z_of[image.ReferencedSOPInstanceUID] < lesion.stop_zyx[0]
    assert set(errors_of(out / "sr.dcm")) <= {OLDER_THAN_LABELMAPS}
    assert disagreements([*(tmp_path / "ct").iterdir(), *out.iterdir()]) == []


def test_dcmqi_reads_a_report_of_a_labelmap(reader: DicomReader, tmp_path: Path) -> None:
    found = write_all(tmp_path / "out", reader, Making(seg_type="labelmap"))
    assert volumes_by_dcmqi(tmp_path) == volumes(found)
