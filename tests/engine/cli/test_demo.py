"""`flare-trt demo` with the example data, with a phantom, and where there is no model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tests.engine.tiny_bundle import write_tiny_bundle
from tests.shared_data import SHARED, shared_file

from flare_trt.engine.cli import demo, main
from flare_trt.engine.nifti import read_ct, read_labels


@pytest.fixture
def no_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the example data."""
    monkeypatch.setenv("FLARE_TRT_SHARED", str(tmp_path / "nowhere"))


@pytest.mark.usefixtures("no_shared")
def test_a_phantom_where_there_is_no_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_PHANTOM_SHAPE_ZYX", (21, 31, 33))
    monkeypatch.setattr(demo, "_PHANTOM_SPACING_MM", (5.0, 3.0, 3.0))
    out = tmp_path / "out"
    assert main(["demo", "--model", str(write_tiny_bundle(tmp_path / "tiny")), "--output", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "a synthetic phantom is segmented" in printed
    assert all(word in printed for word in ("liver", "network", "not a medical device"))
    files = ["phantom.nii.gz", "phantom_labels.nii.gz", "phantom_preview.png", "phantom_report.json"]
    assert sorted(path.name for path in out.iterdir()) == files
    assert read_labels(out / files[1]).grid == read_ct(out / files[0]).grid
    assert json.loads((out / files[3]).read_text())["run"]["model"] == "tiny"
    with Image.open(out / files[2]) as picture:
        assert picture.height == 480


@pytest.mark.usefixtures("no_shared")
def test_no_model_says_how_to_name_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo, "_MODELS", tmp_path)
    assert main(["demo", "--output", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert "brings no default model" in message
    assert "flare-trt demo CT --model BUNDLE" in message


@pytest.mark.slow
def test_the_teacher_on_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Right organs at the right place: overlap with the reference labels."""
    shared_file("teacher_flare25", "exported_model.onnx")
    reference = read_labels(shared_file("ts_example", "seg_flare13.nii.gz")).array
    monkeypatch.setenv("FLARE_TRT_SHARED", str(SHARED.parent))
    shutil.copy(demo._MODELS / "teacher_flare25.json", tmp_path)  # and no default model beside it
    monkeypatch.setattr(demo, "_MODELS", tmp_path)
    assert main(["demo", "--output", str(tmp_path / "out")]) == 0
    labels = read_labels(tmp_path / "out" / "ct_labels.nii.gz").array
    for value in (1, 2, 3, 5, 13):
        ours, theirs = labels == value, reference == value
        assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.85, value
    assert "13 of 13 structures" in capsys.readouterr().out
