"""`flare-trt list`: the table, JSON, and what is no study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series
from tests.engine.scans.dicom.test_facts import named

from flare_trt.engine.apps.cli import main

HU = small_ct((5, 11, 9))


def test_a_study_as_a_table_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_series(tmp_path / "a", HU, named("1.2.1", 2, SeriesDescription="Thorax \x07 1.0", ConvolutionKernel="B30f"))
    write_series(tmp_path / "b", HU, named("1.2.2", 3, Modality="PT"))
    assert main(["list", str(tmp_path)]) == 0
    head, soft, other, _, problem = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["no.", "series", "description"]
    assert "Thorax ? 1.0" in soft
    assert all(word in soft for word in ("1.2.1", "B30f", "axial", "original", "2.5 x 0.8 x 0.7"))
    assert "PT" in other
    assert problem == "1.2.2 cannot be segmented: 5 images of modality PT"
    assert main(["list", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["uid"], one["kernel"], not one["problem"]) for one in found] == [
        ("1.2.1", "B30f", True),
        ("1.2.2", None, False),
    ]


def test_what_is_no_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_series(tmp_path / "mr", HU, named("1.2.2", 3, Modality="MR"))
    assert main(["list", str(tmp_path / "mr")]) == 1  # listed, but there is nothing to segment
    assert "of modality MR" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    file = next(write_series(tmp_path / "ct", HU, Look()).iterdir())
    for path, words in ((tmp_path / "empty", "no DICOM series"), (file, "name the folder"), (tmp_path / "none", "no such file")):
        assert main(["list", str(path)]) == 1
        assert words in capsys.readouterr().err
