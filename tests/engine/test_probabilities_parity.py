"""`segment --probabilities` against nnUNetPredictor's: same numbers, same axes, in files that nnUNetv2_ensemble takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.apps.cli import main
from flare_trt.engine.scans.image_files import read_labels
from tests.engine.test_format_parity import write_scan
from tests.golden.variants import golden_folder

pytest.importorskip("nnunetv2")
sitk = pytest.importorskip("SimpleITK")
pytestmark = pytest.mark.peer

#: Model -> how the scan lies in its file. The first turns axes, the second turns scans, the third has regions.
CASES = {"transposed": "LPS", "residual": "RAI", "regions": "SPL"}


def saved(model: Path, scan: Path, folder: Path, *words: str) -> tuple[Path, Path]:
    """Labels and probabilities of a scan by a bundle of the model."""
    bundle, labels, npz = folder / "bundle", folder / "labels.nii.gz", folder / "case.npz"
    if not bundle.exists():
        assert main(["export", "nnunet", str(model), "-o", str(bundle), "--check", "quick"]) == 0
    options = ["--model", str(bundle), "--device", "cpu", "--probabilities", str(npz), *words]
    assert main(["segment", str(scan), "-o", str(labels), *options]) == 0
    return labels, npz


@pytest.mark.parametrize("name", CASES)
def test_probabilities_equal_nnunets(name: str, tmp_path: Path) -> None:
    from tests.golden.nnunet_peer import probabilities_with_nnunet

    model, scan = golden_folder(name, tmp_path), write_scan(tmp_path / "scan.nii.gz", CASES[name])
    labels, npz = saved(model, scan, tmp_path)
    with np.load(npz) as file:
        assert file.files == ["probabilities"]
        ours = file["probabilities"]
    theirs = probabilities_with_nnunet(model, scan)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    # Logits are rounded to float16: where two engines round apart, one step at 8 to 16 moves a probability by 0.002.
    difference = np.abs(ours - theirs)
    assert (difference > 1e-3).mean() <= 1e-5
    assert difference.max() <= 4e-3
    assert theirs.max() > 0.9
    _labels_come_out_of_nnunets_ensemble(model, npz, labels)
    budget = saved(model, scan, tmp_path, "--max-memory", "700MB")[1]
    with np.load(budget) as file:
        np.testing.assert_allclose(file["probabilities"], ours, atol=1e-4)


def _labels_come_out_of_nnunets_ensemble(model: Path, npz: Path, labels: Path) -> None:
    """The ensemble of one: what nnU-Net writes of our two files are our labels, at their place."""
    from nnunetv2.ensembling.ensemble import merge_files
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(str(model / "plans.json"))
    dataset = __import__("json").loads((model / "dataset.json").read_text())
    merged = str(npz.with_name("merged"))
    merge_files([str(npz)], merged, ".nii.gz", plans.image_reader_writer_class(), plans.get_label_manager(dataset))
    found, ours = read_labels(Path(f"{merged}.nii.gz")), read_labels(labels)
    assert (found.array != ours.array).mean() <= 1e-4
    assert found.grid.same_place(ours.grid)
