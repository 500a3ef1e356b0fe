"""`flare-trt segment` on DICOM: a series in, NIfTI, DICOM-SEG, RTSTRUCT, report and preview out, and no patient but in DICOM."""

from __future__ import annotations

import csv
import gzip
import json
import logging
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from tests.engine.scans.dicom.series_files import IDENTITY, SAGITTAL, Look, small_ct, write_series
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.apps.cli import main
from flare_trt.engine.scans.dicom import reader
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.engine.scans.scan_reader import whole_ct

HU = small_ct((19, 27, 25))
LOOK = Look(spacing_mm=(3.0, 2.1, 2.0))
#: Pieces of the identity that must not be found; those of under five characters would be found by chance.
PLANTED = [word for value in IDENTITY.values() for word in {value, value.split("^")[-1]} if len(word) > 4]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def segment(bundle: Path) -> Callable[..., int]:
    return lambda *words: main(["segment", *map(str, words), "--model", str(bundle), "--device", "cpu"])


def test_every_output_lies_on_the_series(segment: Callable[..., int], tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", HU, LOOK)
    out = tmp_path / "out"
    assert segment(series, "-o", out / "labels.nii.gz", "--rtstruct", out / "rt.dcm") == 0
    assert segment(series, "-o", out / "seg.dcm") == 0
    labels, ct = read_labels(out / "labels.nii.gz"), whole_ct(DicomReader(series))
    assert labels.grid.same_place(ct.grid)
    write_ct(tmp_path / "ct.nii.gz", ct)
    assert segment(tmp_path / "ct.nii.gz", "-o", out / "from_nifti.nii.gz") == 0
    np.testing.assert_array_equal(labels.array, read_labels(out / "from_nifti.nii.gz").array)
    seg = pydicom.dcmread(out / "seg.dcm")
    assert set(np.unique(labels.array)) == {0, 1, 2, 3}
    for value in (1, 2, 3):
        frames = [
            frame
            for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True)
            if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == value
        ]
        assert np.sum(frames) == (labels.array == value).sum()
    assert len(pydicom.dcmread(out / "rt.dcm").StructureSetROISequence) == 3


def test_a_tilted_series_is_segmented_on_request(
    segment: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tilted(dataset: Any, z: int) -> None:
        dataset.ImagePositionPatient = [-31.5, 12.25, -400 + 3.0 * z]

    angle = np.radians(17)
    look = replace(LOOK, cosines=(1.0, 0.0, 0.0, 0.0, float(np.cos(angle)), float(np.sin(angle))), change=tilted)
    series, out = write_series(tmp_path / "ct", HU, look), tmp_path / "out"
    assert segment(series, "-o", out / "labels.nii.gz") != 0
    assert "gantry tilt of 17.0 degrees" in (said := capsys.readouterr().err)
    assert "--correct-tilt" in said
    assert segment(series, "-o", out / "labels.nii.gz", "--correct-tilt", "--report", out / "r.json") == 0
    labels = read_labels(out / "labels.nii.gz")
    assert labels.grid.same_place(DicomReader(series, correct_tilt=True).grid)
    (warning,) = (one for one in json.loads((out / "r.json").read_text())["warnings"] if "tilt" in one)
    assert warning == "a gantry tilt of 17.0 degrees was corrected: the scan was resampled onto an upright grid"
    assert segment(series, "-o", out / "seg.dcm", "--correct-tilt", "--rtstruct", out / "rt.dcm") == 0
    assert pydicom.dcmread(out / "seg.dcm").Rows == HU.shape[1]
    measured = ["measure", str(series), str(out / "labels.nii.gz"), "--correct-tilt", "--labels"]
    (tmp_path / "names.json").write_text('{"1": "a", "2": "b", "3": "c"}')
    assert main([*measured, str(tmp_path / "names.json")]) == 0
    write_ct(tmp_path / "ct.nii.gz", whole_ct(DicomReader(series, correct_tilt=True)))
    assert segment(tmp_path / "ct.nii.gz", "-o", out / "n.nii.gz", "--correct-tilt") != 0
    assert "leave out --series, --pick, --acquisition, --correct-tilt" in capsys.readouterr().err


def test_no_patient_leaves_the_dicom_files(
    segment: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    series, out = write_series(tmp_path / "ct", HU, LOOK), tmp_path / "out"
    files = ["--report", out / "r.json", "--preview", out / "p.png"]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert segment(series, "-o", out / "labels.nii.gz", "--rtstruct", out / "rt.dcm", *files) == 0
        assert segment(series, "-o", out / "seg.dcm") == 0
        assert segment(series, "-o", out / "batch", "--resume") == 0
    said = capfd.readouterr()
    told = said.out + said.err + caplog.text + " ".join(str(warning.message) for warning in warned)
    written = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert sorted(written) == ["batch/ct.nii.gz", "labels.nii.gz", "p.png", "r.json", "rt.dcm", "seg.dcm"]
    for word in PLANTED:
        assert word not in told
        for name, content in written.items():
            raw = gzip.decompress(content) if name.endswith(".gz") else content
            assert name.endswith(".dcm") or word.encode() not in raw, (word, name)
    for name in ("rt.dcm", "seg.dcm"):
        assert IDENTITY["PatientName"].encode() in written[name]


def cut(dataset: Any, z: int) -> None:
    if z == 3:
        dataset.PixelData = dataset.PixelData[:100]


def two_names(dataset: Any, z: int) -> None:
    dataset.SeriesInstanceUID = f"1.2.3.{z % 2}"


def no_study(dataset: Any, z: int) -> None:
    dataset.StudyInstanceUID = ""


def sagittal(dataset: Any, z: int) -> None:
    dataset.ImageOrientationPatient = list(SAGITTAL) if z == 1 else dataset.ImageOrientationPatient


def name_for_a_number(dataset: Any, z: int) -> None:
    with pydicom.config.disable_value_validation():
        dataset.add_new("SeriesNumber", "LO", IDENTITY["PatientName"])


def name_for_a_uid(dataset: Any, z: int) -> None:
    with pydicom.config.disable_value_validation():
        dataset.add_new("SeriesInstanceUID", "LO", IDENTITY["PatientName"])


@pytest.mark.parametrize("change", [cut, two_names, no_study, sagittal, name_for_a_uid])
def test_no_refusal_names_the_patient(
    segment: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str], change: Callable[[Any, int], None]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        series = write_series(tmp_path / "ct", HU, replace(LOOK, change=change))
    capfd.readouterr()
    assert segment(series, "-o", tmp_path / "seg.dcm") == 1
    said = capfd.readouterr()
    assert str(series) in said.err
    assert [word for word in PLANTED if word in said.out + said.err] == []
    assert not (tmp_path / "seg.dcm").exists()


def test_a_number_that_is_none_is_not_shown(segment: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """SeriesNumber is asked for by nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        series = write_series(tmp_path / "ct", HU, replace(LOOK, change=name_for_a_number))
    assert segment(series, "-o", tmp_path / "seg.dcm", "--series", "1.2") == 1
    assert segment(series, "-o", tmp_path / "seg.dcm") == 0
    said = capfd.readouterr()
    assert [word for word in PLANTED if word in said.out + said.err] == []


def test_a_batch_of_series(segment: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = write_series(tmp_path / "scans" / "first", HU, LOOK)
    second = write_series(tmp_path / "scans" / "second", HU, replace(LOOK, series_uid="1.2.3"))
    with zipfile.ZipFile(tmp_path / "scans" / "third.zip", "w") as archive:
        for file in second.iterdir():
            archive.write(file, file.name)
    bad = write_series(tmp_path / "scans" / "bad", HU, replace(LOOK, change=sagittal))
    scans = [first, bad, second, tmp_path / "scans" / "third.zip"]
    words = [*scans, "-o", tmp_path / "out" / "{case}.dcm", "--report", tmp_path / "reports"]
    assert segment(*words) == 1
    assert "3 of 4 scans segmented, 1 failed" in capfd.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["first.dcm", "second.dcm", "third.dcm"]
    assert json.loads((tmp_path / "reports" / "third.json").read_text())["labels"].endswith("third.dcm")
    assert segment(*words, "--resume") == 1
    assert "3 of 4 scans are finished already" in capfd.readouterr().out


def test_a_folder_that_holds_nothing_stops_no_other_scan(
    segment: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty, or one that may not be read (the tests' own user may read all)."""
    first, last = (write_series(tmp_path / name, HU, LOOK) for name in ("first", "last"))
    for name in ("empty", "locked"):
        (tmp_path / name).mkdir()
    scandir, iterdir = os.scandir, Path.iterdir

    def guarded(real: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(path: Any) -> Any:
            if str(path).endswith("locked"):
                raise PermissionError(13, "Permission denied")
            return real(path)

        return call

    monkeypatch.setattr(os, "scandir", guarded(scandir))
    monkeypatch.setattr(Path, "iterdir", guarded(iterdir))
    scans = [first, tmp_path / "empty", tmp_path / "locked", last]
    assert segment(*scans, "-o", tmp_path / "out") == 1
    said = capfd.readouterr()
    assert "2 of 4 scans segmented, 2 failed" in said.out
    assert "holds no .nii.gz, .nii, .nrrd or .mha file and no DICOM" in said.err
    assert "cannot be read: Permission denied" in said.err
    monkeypatch.undo()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["first.nii.gz", "last.nii.gz"]


def test_a_series_is_chosen(segment: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_series(tmp_path / "ct" / "a", HU, LOOK)
    write_series(tmp_path / "ct" / "b", HU, replace(LOOK, series_uid="1.2.3"))
    assert segment(tmp_path / "ct", "-o", tmp_path / "seg.dcm") == 1
    assert "got 2 CT series, expected one; choose it with --series UID:" in capfd.readouterr().err
    assert segment(tmp_path / "ct", "-o", tmp_path / "seg.dcm", "--series", "1.2.3") == 0
    (referenced,) = pydicom.dcmread(tmp_path / "seg.dcm").ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == "1.2.3"


@pytest.mark.parametrize("zipped", [False, True])
def test_the_headers_of_a_scan_are_read_once(
    segment: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    """Planning looks into a scan that comes alone, and hands on what it has opened."""
    opened: list[Path] = []
    once = reader.choose_series
    monkeypatch.setattr(reader, "choose_series", lambda path, uid: opened.append(path) or once(path, uid))
    series = write_series(tmp_path / "ct", HU, LOOK)
    scan = Path(shutil.make_archive(str(series), "zip", series)) if zipped else series
    words = (scan, "-o", tmp_path / "out" / "seg.dcm", "--rtstruct", tmp_path / "out" / "rt.dcm")
    assert segment(*words) == 0
    assert opened == [scan]
    assert segment(*words, "--resume") == 0
    assert opened == [scan] * 2


def test_a_report_of_the_segmentation(segment: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    series, out = write_series(tmp_path / "ct", HU, LOOK), tmp_path / "out"
    for _ in range(2):  # the second run writes the same bytes over the first one's
        assert segment(series, "-o", out / "seg.dcm", "--sr", out / "sr.dcm", "--report", out / "r.json") == 0
        written = [(out / name).read_bytes() for name in ("seg.dcm", "sr.dcm")]
    assert [(out / name).read_bytes() for name in ("seg.dcm", "sr.dcm")] == written
    organs = json.loads((out / "r.json").read_text())["organs"]
    groups = highdicom.sr.srread(out / "sr.dcm").content.get_volumetric_roi_measurement_groups()
    volumes = {group.tracking_identifier: group.get_measurements()[0].value for group in groups}
    assert volumes == {organ["name"]: organ["volume_ml"] for organ in organs if organ["voxels"]}
    assert segment(series, "-o", out / "map.dcm", "--seg-type", "labelmap", "--sr", out / "map_sr.dcm") == 0
    assert pydicom.dcmread(out / "map.dcm").SegmentationType == "LABELMAP"
    assert segment(series, "-o", out / "map.dcm", "--seg-type", "labelmap", "--sr", out / "map_sr.dcm", "--resume") == 0
    assert "1 of 1 scans are finished already" in capfd.readouterr().out


def test_reports_that_cannot_be_are_refused_before_work(
    segment: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    series = write_series(tmp_path / "ct", HU, LOOK)
    for words, message in (
        ((series, "-o", tmp_path / "a.nii.gz", "--sr", tmp_path / "sr.dcm"), "an SR refers to a DICOM-SEG, got a.nii.gz as labels"),
        ((series, "-o", tmp_path / "a.nii.gz", "--seg-type", "labelmap"), "--seg-type is a DICOM-SEG's"),
        ((series, "-o", tmp_path / "a.dcm", "--sr", tmp_path / "a.dcm"), "would be written here"),
    ):
        assert segment(*words) == 1
        assert message in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]


def test_a_damaged_index_of_a_disc_stops_no_other_scan(
    segment: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two of them, which are called alike; and a slice, which is no scan."""
    out, good = tmp_path / "out", write_series(tmp_path / "good", HU, LOOK)
    for disc in ("one", "two"):
        (write_series(tmp_path / disc, HU, LOOK) / "DICOMDIR").write_bytes(b"nothing of the kind")
    slice_ = next(good.iterdir())
    assert segment(tmp_path / "one/DICOMDIR", slice_, good, tmp_path / "two/DICOMDIR", "-o", out, "--csv", tmp_path / "t.csv") == 1
    said = capfd.readouterr()
    assert said.err.count("DICOMDIR failed: ") == 2
    assert said.err.count("the DICOMDIR cannot be read") == 2
    assert "got one DICOM file, expected a series" in said.err
    assert "1 of 4 scans segmented, 3 failed" in said.out
    assert [path.name for path in out.iterdir()] == ["good.nii.gz"]
    with (tmp_path / "t.csv").open(newline="") as file:
        assert {row["case"] for row in csv.DictReader(file)} == {"one", slice_.name, "good", "two"}
    assert segment(tmp_path / "one/DICOMDIR", "-o", out / "one.nii.gz") == 1
    assert "the DICOMDIR cannot be read" in capfd.readouterr().err
