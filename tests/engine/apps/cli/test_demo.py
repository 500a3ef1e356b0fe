"""`flare-trt demo`: a synthetic body where no CT is named, a CT that is, and a build without a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.engine.results.dicom.outside import disagreements, errors_of
from tests.engine.tiny_bundle import LABELS, write_tiny_bundle
from tests.shared_data import shared_file

from flare_trt.engine.apps.cli import demo, main
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model import default_model
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.scans.scan_reader import whole_ct


def small_phantom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_PHANTOM_SHAPE_ZYX", (21, 31, 33))
    monkeypatch.setattr(demo, "_PHANTOM_SPACING_MM", (5.0, 3.0, 3.0))


def test_a_synthetic_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small_phantom(monkeypatch)
    out = tmp_path / "out"
    assert main(["demo", "--model", str(write_tiny_bundle(tmp_path / "tiny")), "--output", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "segmenting a synthetic body" in printed
    assert f"model  tiny ({tmp_path / 'tiny'})" in printed
    assert all(word in printed for word in ("liver", "network", "not a medical device"))
    files = ["phantom.nii.gz", "phantom_labels.nii.gz", "phantom_preview.png", "phantom_report.json"]
    assert sorted(path.name for path in out.iterdir()) == files
    assert read_labels(out / files[1]).grid == read_ct(out / files[0]).grid
    assert json.loads((out / files[3]).read_text())["run"]["model"] == "tiny"
    with Image.open(out / files[2]) as picture:
        assert picture.height == 480


def test_a_synthetic_body_in_dicom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small_phantom(monkeypatch)
    words = ["demo", "--dicom", "--model", str(write_tiny_bundle(tmp_path / "tiny")), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    assert "SR      " in capsys.readouterr().out
    files = sorted((tmp_path / "out").glob("*.dcm"))
    assert [path.name for path in files] == ["phantom_rtstruct.dcm", "phantom_seg.dcm", "phantom_sr.dcm"]
    slices = sorted((tmp_path / "out" / "series").iterdir())
    assert len(slices) == 21
    phantom = make_phantom(demo._PHANTOM_SEED, (21, 31, 33), (5.0, 3.0, 3.0))[0]
    reader = DicomReader(tmp_path / "out" / "series")
    assert reader.warnings == ()
    np.testing.assert_array_equal(whole_ct(reader).array, phantom.array)
    assert reader.grid.same_place(phantom.grid)
    before = {path: path.read_bytes() for path in (*files, *slices)}
    assert {path.name: errors_of(path) for path in (*files, *slices[:2])} == {path.name: [] for path in (*files, *slices[:2])}
    assert disagreements([*slices, *files]) == []
    assert main(words) == 0
    assert {path: path.read_bytes() for path in before} == before
    (tmp_path / "out" / "series" / "note.txt").touch()
    assert main(words) == 1
    with pytest.raises(SystemExit):
        main([*words, "--real"])
    assert "not allowed with argument --dicom" in capsys.readouterr().err


def test_planted_lesions_are_counted_by_what_is_found_of_them() -> None:
    truth, labels = np.zeros((5, 9, 20), np.uint8), np.zeros((5, 9, 20), np.uint8)
    truth[1:4, 1:4, 1:11] = truth[2, 6, :10] = truth[4, 8, 19] = 14
    truth[1:4, 5:8, 12:18] = 1
    labels[1:4, 1:4, 8:13] = labels[2, 6, 8:12] = 14  # three tenths of the first, two of the second, none of the third
    grid = Grid(truth.shape, (10.0, 10.0, 5.0))
    said = demo.planted_and_found(Volume(truth, grid), Volume(labels, grid), [14])
    assert said == "lesions 1 of 3 planted ones found (30% or more of each), 10.0 ml of tumour elsewhere\n"
    nothing = Volume(np.zeros_like(truth), grid)
    assert demo.planted_and_found(nothing, nothing, [14]).startswith("lesions 0 of 0 planted ones found")


@pytest.mark.parametrize(
    ("tumours", "name", "counted"), [(3, "lesions", True), (14, "tumour", True), (14, "lung", False), (0, "", False)]
)
def test_lesions_are_planted_for_the_model_s_own_class_of_tumours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tumours: int, name: str, counted: bool
) -> None:
    small_phantom(monkeypatch)
    labels = (*LABELS[:2], replace(LABELS[2], value=tumours, name=name)) if name else LABELS
    values = (0, *(label.value for label in labels))
    model = write_tiny_bundle(tmp_path / "tiny", labels=labels, channel_values=values)
    assert main(["demo", "--model", str(model), "--output", str(tmp_path / "out")]) == 0
    assert ("planted ones found" in capsys.readouterr().out) == counted
    is_planted = (
        read_ct(tmp_path / "out" / "phantom.nii.gz").array != make_phantom(demo._PHANTOM_SEED, (21, 31, 33), (5, 3, 3))[0].array
    )
    assert is_planted.any() == counted


def test_a_build_without_a_model_says_how_to_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(default_model, "DEFAULT_MODEL", tmp_path)
    assert main(["demo", "--output", str(tmp_path / "out")]) == 1
    assert "brings no default model; name one with --model" in capsys.readouterr().err


@pytest.mark.nightly
def test_the_default_model_finds_the_phantom_s_organs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["demo", "--output", str(out)]) == 0
    assert "(the default model)" in capsys.readouterr().out
    labels = read_labels(out / "phantom_labels.nii.gz").array
    truth = make_phantom(demo._PHANTOM_SEED, demo._PHANTOM_SHAPE_ZYX, demo._PHANTOM_SPACING_MM)[1].array
    for name, value in (("liver", 1), ("right kidney", 2), ("spleen", 3), ("left kidney", 13)):
        ours, real = labels == value, truth == value
        assert 2 * (ours & real).sum() / (ours.sum() + real.sum()) > 0.5, name


@pytest.mark.slow
def test_the_default_model_on_a_real_ct(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Right organs at the right place: overlap with the reference labels."""
    scan, reference = shared_file("ts_example", "ct.nii.gz"), read_labels(shared_file("ts_example", "seg_flare13.nii.gz")).array
    assert main(["demo", str(scan), "--output", str(tmp_path / "out")]) == 0
    labels = read_labels(tmp_path / "out" / "ct_labels.nii.gz").array
    for value in (1, 2, 3, 5, 13):
        ours, theirs = labels == value, reference == value
        assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.7, value
    assert "synthetic" not in capsys.readouterr().out
