"""2d configurations against the real nnUNetPredictor: the same engine with a patch of one slice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.scans.image_files import read_ct
from flare_trt.engine.segmenter import Segmenter
from tests.engine.test_nnunet_parity import EXACT, hold_to_promise
from tests.engine.test_other_intensities import exported, mr_scan
from tests.golden.made import Made, organ_image, write_scan

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

MR = (("MR", "ZScoreNormalization", True),)
CT = (("CT", "CTNormalization", False),)
PLAIN = Made(MR, spacing_mm=(1.5, 1.6), patch=(40, 32))


def ct_scan(path: Path, orientation: str, spacing_mm: tuple[float, float, float]) -> Path:
    image = (40 + 120 * organ_image((9, 47, 41))).astype(np.int16)
    return write_scan(path, image, spacing_mm, orientation)


def hold_together(model: Made, scan: Path, tmp_path: Path, options: object = EXACT) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    folder = model.write(tmp_path / "model")
    theirs = predict_with_nnunet(folder, scan, mirroring=options.mirror)  # type: ignore[attr-defined]
    with Segmenter.open(exported(folder), options) as segmenter:  # type: ignore[arg-type]
        hold_to_promise(segmenter.segment(read_ct(scan)).labels.array, theirs)
        assert segmenter.spec.fine.slices
        assert segmenter.spec.fine.patch_zyx == (1, *model.patch)
    assert (np.bincount(theirs.ravel()) > 300).sum() >= 3, "too few contested voxels to mean anything"


def test_plain_mirrored(tmp_path: Path) -> None:
    scan = mr_scan(tmp_path / "mr.nii.gz", shape=(9, 47, 39))
    hold_together(replace(PLAIN, spacing_mm=(1.9, 1.8)), scan, tmp_path, replace(EXACT, mirror=True))


def test_residual_of_thick_slices(tmp_path: Path) -> None:
    """Each slice is resampled by itself, and clamped to its own range."""
    model = replace(PLAIN, channels=CT, residual=True, seed=1)
    hold_together(model, ct_scan(tmp_path / "ct.nii.gz", "LPS", (5.0, 1.3, 1.2)), tmp_path)


def test_slices_along_another_axis_under_a_budget(tmp_path: Path) -> None:
    """Slices of no network are thinner than they are wide here, so that the volume is resampled at once."""
    model = replace(PLAIN, channels=CT, transpose=(2, 0, 1), reader="NibabelIOWithReorient", seed=2)
    scan = ct_scan(tmp_path / "ct.nii.gz", "RAS", (1.9, 1.3, 1.2))
    hold_together(model, scan, tmp_path, replace(EXACT, max_memory_mb=400))


def test_batch_norm_dropout_and_another_activation(tmp_path: Path) -> None:
    layers = {
        "norm_op": "torch.nn.modules.batchnorm.BatchNorm2d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": "torch.nn.modules.dropout.Dropout2d",
        "dropout_op_kwargs": {"p": 0.3},
        "nonlin": "torch.nn.GELU",
        "nonlin_kwargs": {},
    }
    model = replace(PLAIN, channels=CT, layers=tuple(layers.items()), seed=3)
    hold_together(model, ct_scan(tmp_path / "ct.nii.gz", "LPI", (3.0, 1.3, 1.2)), tmp_path)
