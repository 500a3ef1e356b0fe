"""MR and other images than CT against the real nnUNetPredictor: each of nnU-Net's normalisations, masked and not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.scans.image_files import open_image, read_ct
from flare_trt.engine.scans.scan_reader import spooled_ct
from flare_trt.engine.segmenter import Segmenter
from tests.engine.test_nnunet_parity import EXACT, hold_to_promise
from tests.golden.made import Made, head_mask, organ_image, write_scan

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

SHAPE, SPACING_MM = (29, 47, 41), (2.3, 1.3, 1.2)


def mr_scan(path: Path, orientation: str = "LPS", dtype: type = np.int16, shape: tuple[int, int, int] = SHAPE) -> Path:
    """A head in a border of zeros, with holes in it."""
    image = np.where(head_mask(shape), np.maximum(300 + 90 * organ_image(shape), 1), 0)
    return write_scan(path, image.astype(dtype), SPACING_MM, orientation)


def exported(folder: Path) -> Path:
    from flare_trt.export.nnunet import About, TrainedModel, export_nnunet

    export_nnunet(TrainedModel(folder), None, About("CC0-1.0"), folder.with_name("bundle"), lambda line: None, "quick")
    return folder.with_name("bundle")


def hold_together(model: Made, scan: Path, tmp_path: Path, mirror: bool = False) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    folder = model.write(tmp_path / "model")
    theirs = predict_with_nnunet(folder, scan, mirroring=mirror)
    with Segmenter.open(exported(folder), replace(EXACT, mirror=mirror)) as segmenter:
        ours = segmenter.segment(read_ct(scan)).labels.array
        hold_to_promise(ours, theirs)
        assert (np.bincount(theirs.ravel()) > 500).sum() >= 3, "too few contested voxels to mean anything"
        if not mirror:
            assert np.array_equal(segmenter.segment(spooled_ct(open_image(scan))).labels.array, ours)


@pytest.mark.parametrize(
    ("scheme", "mask", "orientation"),
    [
        ("ZScoreNormalization", True, "LPS"),
        ("ZScoreNormalization", True, "RSA"),
        ("ZScoreNormalization", False, "PIR"),
        ("NoNormalization", False, "LPS"),
        ("NoNormalization", True, "ASL"),
        ("RescaleTo01Normalization", False, "LPS"),
        ("CTNormalization", True, "LPS"),
    ],
)
def test_labels_equal_nnunets(scheme: str, mask: bool, orientation: str, tmp_path: Path) -> None:
    hold_together(Made((("MR", scheme, mask),)), mr_scan(tmp_path / "mr.nii.gz", orientation), tmp_path)


def test_mirrored_and_reoriented(tmp_path: Path) -> None:
    model = Made((("MR", "ZScoreNormalization", True),), reader="NibabelIOWithReorient", transpose=(1, 0, 2))
    hold_together(model, mr_scan(tmp_path / "mr.nii.gz", "PIR", dtype=np.float32), tmp_path, mirror=True)


def test_an_anisotropic_scan_without_a_border(tmp_path: Path) -> None:
    """Slices are resampled one at a time, each clamped to its own range, and no voxel lies outside of the mask."""
    image = (300 + 90 * organ_image((15, 47, 41))).astype(np.int16)
    scan = write_scan(tmp_path / "mr.nii.gz", image, (5.0, 1.3, 1.2))
    hold_together(Made((("MR", "ZScoreNormalization", True),), spacing_mm=(4.0, 1.1, 1.2)), scan, tmp_path)


def test_rgb(tmp_path: Path) -> None:
    from flare_trt.engine.base.errors import InputError

    image = np.clip(120 + 40 * organ_image(SHAPE), 0, 255).astype(np.uint8)
    scan, model = write_scan(tmp_path / "grey.nii.gz", image, SPACING_MM), Made((("R", "RGBTo01Normalization", False),))
    hold_together(model, scan, tmp_path)
    with (
        Segmenter.open(tmp_path / "bundle", EXACT) as segmenter,
        pytest.raises(InputError, match=r"R: got values from .* expected 0 to 255"),
    ):
        segmenter.segment(read_ct(mr_scan(tmp_path / "mr.nii.gz")))
