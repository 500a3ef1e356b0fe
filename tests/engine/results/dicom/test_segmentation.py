"""DICOM-SEG read back by dcmqi (DCMTK) and, frame by frame, by plain pydicom: it lies on the source to the voxel."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.scans.dicom.series_files import AXIAL, CORONAL, IDENTITY, OBLIQUE, SAGITTAL, Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.organs import STRUCTURES
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import FLARE_LABELS, LabelSpec
from flare_trt.engine.results.dicom.segmentation import is_segmentation_of, write_segmentation
from flare_trt.engine.scans.dicom.reader import DicomReader

SHAPE = (7, 31, 27)


@pytest.fixture(params=[AXIAL, CORONAL, SAGITTAL, OBLIQUE])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> DicomReader:
    return DicomReader(write_series(tmp_path / "ct", small_ct(SHAPE), Look(cosines=request.param)))


@pytest.fixture
def axial(tmp_path: Path) -> DicomReader:
    return DicomReader(write_series(tmp_path / "ct", small_ct(SHAPE)))


def by_hand(seg: Any, reader: DicomReader) -> NDArray[np.uint16]:
    """Frames laid on the source by the image that each refers to; positions and orientation are checked on the way."""
    z_of = {plane.sop_uid: z for z, plane in enumerate(reader.planes)}
    labels = np.zeros(reader.grid.shape_zyx, np.uint16)
    orientation = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    np.testing.assert_allclose(orientation, reader.planes[0].cosines)
    for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        (source,) = groups.DerivationImageSequence[0].SourceImageSequence
        z = z_of[source.ReferencedSOPInstanceUID]
        np.testing.assert_allclose(groups.PlanePositionSequence[0].ImagePositionPatient, reader.planes[z].position_mm)
        labels[z][frame > 0] = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    return labels


def by_dcmqi(seg: Path, folder: Path) -> tuple[NDArray[Any], Grid, Any]:
    """The label map, its grid and the segments' descriptions by dcmqi's segimage2itkimage."""
    import SimpleITK

    pytest.importorskip("dcmqi")
    tool = Path(sys.executable).with_name("segimage2itkimage")
    folder.mkdir()
    words = ["--inputDICOM", seg, "--outputDirectory", folder, "--outputType", "nrrd", "--mergeSegments"]
    done = subprocess.run([tool, *words], capture_output=True, text=True, check=True)
    assert "W: " not in done.stderr + done.stdout
    image = SimpleITK.ReadImage(str(folder / "1.nrrd"))
    rows = tuple(tuple(row) for row in np.array(image.GetDirection()).reshape(3, 3))
    array = SimpleITK.GetArrayFromImage(image)
    grid = Grid(array.shape, image.GetSpacing()[::-1], image.GetOrigin(), rows)
    return array, grid, json.loads((folder / "meta.json").read_text())


def test_two_readers_give_the_labels_back(reader: DicomReader, tmp_path: Path) -> None:
    labels = blobs(SHAPE)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec())
    np.testing.assert_array_equal(by_hand(pydicom.dcmread(tmp_path / "seg.dcm"), reader), labels)
    array, grid, meta = by_dcmqi(tmp_path / "seg.dcm", tmp_path / "dcmqi")
    np.testing.assert_array_equal(array, labels)
    assert grid.same_place(reader.grid, tolerance_mm=1e-3)
    described = {item["labelID"]: item for group in meta["segmentAttributes"] for item in group}
    assert described[13]["SegmentedPropertyTypeCodeSequence"]["CodeValue"] == "64033007"
    assert described[13]["SegmentedPropertyTypeModifierCodeSequence"]["CodeMeaning"] == "Left"
    assert described[14]["SegmentedPropertyCategoryCodeSequence"]["CodeMeaning"] == "Morphologically Abnormal Structure"


def test_synonyms_leave_with_the_codes_of_their_organs(axial: DicomReader, tmp_path: Path) -> None:
    """`kidney_right` and `oesophagus` once left as LABEL-n; read back by pydicom against its own code tables."""
    names = [name.replace(" ", "_") for row in STRUCTURES for name in row.synonyms]
    spec = replace(flare_spec(), labels=tuple(LabelSpec(value, name, "#808080") for value, name in enumerate(names, 1)))
    write_segmentation(tmp_path / "seg.dcm", Volume(np.zeros(SHAPE, np.uint8), axial.grid), axial, spec)
    kinds = {
        item.SegmentLabel: item.SegmentedPropertyTypeCodeSequence[0]
        for item in pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence
    }
    assert {kind.CodingSchemeDesignator for kind in kinds.values()} == {"SCT"}
    sct = codes.SCT
    assert (kinds["kidney_right"].CodeValue, kinds["oesophagus"].CodeValue) == (sct.Kidney.value, sct.Esophagus.value)
    (side,) = kinds["kidney_right"].SegmentedPropertyTypeModifierCodeSequence
    assert (side.CodeValue, kinds["tumor"].CodeValue) == (sct.Right.value, sct.Neoplasm.value)


def test_what_it_says_of_itself_and_its_source(axial: DicomReader, tmp_path: Path) -> None:
    write_segmentation(tmp_path / "seg.dcm", Volume(blobs(SHAPE), axial.grid), axial, flare_spec())
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    source = pydicom.dcmread(next((tmp_path / "ct").iterdir()))
    for name in (
        "StudyInstanceUID",
        "FrameOfReferenceUID",
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "AccessionNumber",
        "StudyDate",
    ):
        assert seg[name].value == source[name].value, name
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    assert (seg.Modality, seg.SegmentationType, seg.BitsAllocated) == ("SEG", "BINARY", 1)
    assert [item.SegmentNumber for item in seg.SegmentSequence] == list(range(1, 15))
    assert [item.SegmentLabel for item in seg.SegmentSequence] == [label.name for label in FLARE_LABELS]
    for item in seg.SegmentSequence:
        assert item.SegmentAlgorithmType == "AUTOMATIC"
        (algorithm,) = item.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmSource) == ("fake model", "flare-trt")
        assert len(item.RecommendedDisplayCIELabValue) == 3
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == {
        plane.sop_uid for plane in axial.planes
    }
    assert is_segmentation_of(tmp_path / "seg.dcm", axial)


def test_300_labels(axial: DicomReader, tmp_path: Path) -> None:
    """Each is a segment of its own; a labelmap's pixels then have 16 bits."""
    spec = replace(flare_spec(), labels=tuple(LabelSpec(value, f"part {value}", "#808080") for value in range(1, 301)))
    labels = np.zeros(SHAPE, np.uint16)
    labels[2, 3:5, 4:9], labels[4, 1:9, 2:7], labels[5, 20:, 20:] = 300, 255, 256
    volume = Volume(labels, axial.grid)
    write_segmentation(tmp_path / "seg.dcm", volume, axial, spec)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert len(seg.SegmentSequence) == 300
    np.testing.assert_array_equal(by_hand(seg, axial), labels)


def test_values_that_are_not_consecutive(axial: DicomReader, tmp_path: Path) -> None:
    model = flare_spec()
    classes = (LabelSpec(200, "rib 3", "#102030"), LabelSpec(4, "liver", "#ff0000"))
    spec = replace(model, labels=classes, fine=replace(model.fine, channel_values=(0, 4, 200)))
    labels = np.where(blobs(SHAPE) == 1, 200, np.where(blobs(SHAPE) == 2, 4, 0)).astype(np.uint8)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, axial.grid), axial, spec)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    np.testing.assert_array_equal(by_hand(seg, axial), np.where(labels == 200, 2, labels > 0))
    kinds = [item.SegmentedPropertyTypeCodeSequence[0] for item in seg.SegmentSequence]
    assert [(kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning) for kind in kinds] == [
        ("10200004", "SCT", "Liver"),
        ("LABEL-200", "99FLARETRT", "rib 3"),
    ]


def test_nothing_found(axial: DicomReader, tmp_path: Path) -> None:
    """One empty frame and a word, not a frame for each plane and class."""
    (warning,) = write_segmentation(tmp_path / "seg.dcm", Volume(np.zeros(SHAPE, np.uint8), axial.grid), axial, flare_spec())
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (seg.NumberOfFrames, seg.pixel_array.any(), len(seg.SegmentSequence)) == (1, False, 14)
    assert "single empty frame" in warning
    assert is_segmentation_of(tmp_path / "seg.dcm", axial)


def test_references_stand_with_the_frames_and_the_series_alone(axial: DicomReader, tmp_path: Path) -> None:
    write_segmentation(tmp_path / "seg.dcm", Volume(blobs(SHAPE), axial.grid), axial, flare_spec())
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert "SourceImageSequence" not in seg
    assert [item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence] == [
        plane.sop_uid for plane in axial.planes
    ]


def test_highdicom_gives_the_labels_back(reader: DicomReader, tmp_path: Path) -> None:
    import highdicom

    labels = blobs(SHAPE)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec())
    seg = highdicom.seg.segread(tmp_path / "seg.dcm")
    uids = [plane.sop_uid for plane in reader.planes]
    found = seg.get_pixels_by_source_instance(uids, combine_segments=True, assert_missing_frames_are_empty=True)
    np.testing.assert_array_equal(found, labels)


def test_what_is_no_whole_segmentation_of_the_series(axial: DicomReader, tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    write_segmentation(path, Volume(blobs(SHAPE), axial.grid), axial, flare_spec())
    whole = path.read_bytes()
    for damaged in (b"", whole[:200], whole[:-60]):
        path.write_bytes(damaged)
        assert not is_segmentation_of(path, axial)
    path.write_bytes(whole)
    other = DicomReader(write_series(tmp_path / "other", small_ct(SHAPE)))
    assert not is_segmentation_of(path, other)


def test_refusals(axial: DicomReader, tmp_path: Path) -> None:
    shifted = replace(axial.grid, origin_mm=(0.0, 0.0, 0.0))
    with pytest.raises(OutputError, match="grid is not the series'"):
        write_segmentation(tmp_path / "seg.dcm", Volume(blobs(SHAPE), shifted), axial, flare_spec())
    bare = Look(study_uid="", frame_of_reference="", identity=IDENTITY)
    nameless = DicomReader(write_series(tmp_path / "bare", small_ct(SHAPE), bare))
    with pytest.raises(InputError, match="has no StudyInstanceUID and no FrameOfReferenceUID"):
        write_segmentation(tmp_path / "seg.dcm", Volume(blobs(SHAPE), nameless.grid), nameless, flare_spec())
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.filterwarnings("error")
def test_a_patient_with_odd_values_is_copied_as_he_stands(tmp_path: Path) -> None:
    odd = {"PatientName": "Ω^" + "x" * 70, "PatientSex": "UNKNOWN", "PatientBirthDate": "about 1950", "PatientAge": "old"}
    look = Look(identity={"SpecificCharacterSet": "ISO_IR 192", **odd})
    with pydicom.config.disable_value_validation():
        folder = write_series(tmp_path / "ct", small_ct(SHAPE), look)
    reader = DicomReader(folder)
    write_segmentation(tmp_path / "seg.dcm", Volume(blobs(SHAPE), reader.grid), reader, flare_spec())
    with pydicom.config.disable_value_validation():
        seg = pydicom.dcmread(tmp_path / "seg.dcm")
        assert {name: str(seg[name].value) for name in odd} == odd
