"""nnU-Net's torch resampling, none at all and slices mixed along z, and 300 classes, against the real nnUNetPredictor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.segmenter import Segmenter
from tests.engine.test_nnunet_parity import EXACT, hold_to_promise
from tests.engine.test_other_intensities import exported
from tests.golden.made import Made, organ_image, write_scan

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

CT = (("CT", "CTNormalization", False),)
WHATS = ("data", "seg", "probabilities")


def resampled_by(function: str, **kwargs: Any) -> tuple[tuple[str, Any], ...]:
    """Changes of a configuration as nnU-Net's own planners make them (experiment_planners/resampling)."""
    changes: list[tuple[str, Any]] = [(f"resampling_fn_{what}", function) for what in WHATS]
    seg = {"is_seg": True} if kwargs else {}
    return (*changes, *((f"resampling_fn_{what}_kwargs", kwargs | (seg if what == "seg" else {})) for what in WHATS))


TORCH = resampled_by("resample_torch_fornnunet", is_seg=False, force_separate_z=False, memefficient_seg_resampling=False)
TORCH_Z = resampled_by("resample_torch_fornnunet", is_seg=False, force_separate_z=None, memefficient_seg_resampling=False)
NONE = resampled_by("no_resampling_hack")
ORDER_Z = (
    ("resampling_fn_data_kwargs", {"is_seg": False, "order": 3, "order_z": 1, "force_separate_z": None}),
    ("resampling_fn_probabilities_kwargs", {"is_seg": False, "order": 1, "order_z": 1, "force_separate_z": None}),
)
THIN, THICK = ((29, 47, 41), (2.3, 1.3, 1.2)), ((13, 47, 41), (5.1, 1.3, 1.2))


def ct_scan(path: Path, size: Any, orientation: str) -> Path:
    shape, spacing_mm = size
    return write_scan(path, (40 + 120 * organ_image(shape)).astype(np.int16), spacing_mm, orientation)


@pytest.mark.parametrize(
    ("changes", "size", "orientation", "mirror"),
    [
        (TORCH, THIN, "LPS", False),
        (TORCH, THICK, "RAS", True),
        (TORCH_Z, THICK, "PIR", False),
        (NONE, THIN, "RAS", False),
        pytest.param(NONE, THICK, "ASL", True, marks=pytest.mark.nightly),
        (ORDER_Z, THICK, "LPS", False),
        pytest.param(ORDER_Z, THICK, "PIR", True, marks=pytest.mark.nightly),
    ],
)
def test_labels_equal_nnunets(changes: Any, size: Any, orientation: str, mirror: bool, tmp_path: Path) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    model = Made(CT, changes=changes, transpose=(2, 0, 1) if orientation == "PIR" else (0, 1, 2))
    folder, scan = model.write(tmp_path / "model"), ct_scan(tmp_path / "ct.nii.gz", size, orientation)
    theirs = predict_with_nnunet(folder, scan, mirroring=mirror)
    assert (np.bincount(theirs.ravel()) > 300).sum() >= 3, "too few contested voxels to mean anything"
    with Segmenter.open(exported(folder), replace(EXACT, mirror=mirror)) as segmenter:
        hold_to_promise(segmenter.segment(read_ct(scan)).labels.array, theirs)


def test_a_cascade_with_torch_resampling(tmp_path: Path) -> None:
    from tests.engine.test_label_cascade import LOW, our_labels, peer_labels
    from tests.engine.test_label_cascade import ct_scan as bordered

    folder = replace(LOW, seed=5).write_cascade(tmp_path / "results", TORCH)
    exported(folder)
    scan = bordered(tmp_path / "ct.nii.gz", "RAS")
    hold_to_promise(our_labels(folder, scan), peer_labels(folder, scan))


def test_300_classes_in_each_format(tmp_path: Path) -> None:
    """Labels above 255 come out of the network, through the files and back; nnU-Net writes uint16 too."""
    from tests.golden.nnunet_peer import predict_with_nnunet

    folder = Made(CT, classes=301, spacing_mm=(2.3, 1.4, 1.2), patch=(16, 24, 20)).write(tmp_path / "model")
    scan = ct_scan(tmp_path / "ct.nii.gz", ((17, 25, 23), (2.5, 1.3, 1.2)), "RAS")
    theirs = predict_with_nnunet(folder, scan)
    assert theirs.max() > 255
    bundle = exported(folder)
    with Segmenter.open(bundle, EXACT) as segmenter:
        ours = segmenter.segment(read_ct(scan)).labels
    # In one voxel nnU-Net's two best logits are the same float16, and the lower label wins; ours are one step of float16 apart,
    # since the networks' own float32 logits differ by 1e-6 and one of the sums rounds the other way.
    assert np.count_nonzero(ours.array != theirs) <= 1, "of 9,775 voxels: one where two of 301 random classes tie"
    assert ours.array.dtype == np.uint16
    for ending in (".nii.gz", ".nrrd", ".mha"):
        out = tmp_path / f"labels{ending}"
        report = ["--report", str(tmp_path / "report.json"), "--max-memory", "900MB"] if ending == ".nii.gz" else []
        assert main(["segment", str(scan), "-o", str(out), "--model", str(bundle), *report]) == 0
        found: Volume = read_labels(out)
        assert (found.array.dtype, np.array_equal(found.array, ours.array)) == (np.uint16, True)
