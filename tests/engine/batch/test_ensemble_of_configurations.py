"""A 2d and a 3d configuration of one dataset: `segment --ensemble` against nnUNetv2_ensemble, mirrored and not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.test_nnunet_parity import hold_to_promise
from tests.engine.test_other_intensities import mr_scan
from tests.golden.made import Made

from flare_trt.engine.apps.cli import main
from flare_trt.engine.scans.image_files import read_labels

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

MR = (("MR", "ZScoreNormalization", True),)
SLICES = Made(MR, spacing_mm=(1.5, 1.6), patch=(40, 32))
VOLUMES = Made(MR, spacing_mm=(2.6, 1.8, 1.7), patch=(16, 32, 24), seed=1)


@pytest.mark.parametrize(("mirror", "orientation"), [(False, "LPS"), pytest.param(True, "RAS", marks=pytest.mark.nightly)])
def test_labels_equal_nnunets_ensemble_of_2d_and_3d(mirror: bool, orientation: str, tmp_path: Path) -> None:
    from tests.golden.nnunet_peer import ensemble_with_nnunet, save_with_nnunet

    scan = mr_scan(tmp_path / "case_0000.nii.gz", orientation, shape=(13, 45, 39))
    bundles, folders = list[str](), list[Path]()
    for name, made in (("2d", SLICES), ("3d", VOLUMES)):
        model = made.write(tmp_path / f"model_{name}")
        bundles.append(str(tmp_path / f"bundle_{name}"))
        assert main(["export", "nnunet", str(model), "-o", bundles[-1], "--check", "quick"]) == 0
        folders.append(save_with_nnunet(model, [scan], tmp_path / name, mirror))
    theirs = ensemble_with_nnunet(folders, tmp_path / "theirs")
    out, npz = tmp_path / "labels.nii.gz", tmp_path / "case.npz"
    words = ["--probabilities", str(npz), *(["--mirror"] if mirror else [])]
    assert main(["segment", str(scan), "-o", str(out), "--ensemble", *bundles, "--device", "cpu", *words]) == 0
    hold_to_promise(read_labels(out).array, theirs, least_classes=3)
    with np.load(npz) as ours:
        parts = [np.load(folder / "case.npz")["probabilities"] for folder in folders]
        difference = np.abs(ours["probabilities"] - (parts[0] + parts[1]) / 2)
    assert (difference > 1e-3).mean() <= 1e-5
    labels = [read_labels(folder / "case.nii.gz").array for folder in folders]
    assert min((alone != theirs).mean() for alone in labels) > 0.01, "one configuration alone gives the same"


def test_mirrored_probabilities_equal_nnunets(tmp_path: Path) -> None:
    from tests.golden.nnunet_peer import probabilities_with_nnunet

    model = replace(VOLUMES, transpose=(1, 0, 2)).write(tmp_path / "model")
    scan, npz, bundle = mr_scan(tmp_path / "mr.nii.gz", "PIR", shape=(13, 45, 39)), tmp_path / "case.npz", str(tmp_path / "bundle")
    assert main(["export", "nnunet", str(model), "-o", bundle, "--check", "quick"]) == 0
    words = ["--model", bundle, "--probabilities", str(npz), "--mirror", "--device", "cpu"]
    assert main(["segment", str(scan), "-o", str(tmp_path / "labels.nii.gz"), *words]) == 0
    theirs = probabilities_with_nnunet(model, scan, mirroring=True)
    with np.load(npz) as file:
        difference = np.abs(file["probabilities"] - theirs)
    assert (difference > 1e-3).mean() <= 1e-5
    assert difference.max() <= 4e-3
    assert (np.abs(theirs - probabilities_with_nnunet(model, scan)) > 0.05).any(), "mirroring changed nothing"
