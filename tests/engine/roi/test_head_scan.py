"""A scan of the head alone: the default model says that there is no abdomen, and labels nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.apps.cli import main
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct


@pytest.mark.parametrize("seed", [900013, 3])
def test_a_head_has_no_abdomen(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, _ = make_phantom(seed, (52, 100, 140), (5.0, 4.0, 4.0), PhantomOptions(centre_mm=480.0))
    scan, labels, report = tmp_path / "head.nii.gz", tmp_path / "labels.nii.gz", tmp_path / "report.json"
    write_ct(scan, head)
    assert main(["segment", str(scan), "-o", str(labels), "--report", str(report), "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "ROI empty: no abdomen found" in printed.err
    assert "0 of 13 structures" in printed.out
    assert not np.any(read_labels(labels).array)
    roi = json.loads(report.read_text())["run"]["roi"]
    assert roi["decision"] == "empty"
