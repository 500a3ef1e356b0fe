"""Which way nibabel takes a scan's axes to run, against nibabel itself."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.engine.scans.nifti_files import Forms, affine, random_rotation, write_raw

from flare_trt.engine.scans.nifti import NiftiReader

VOXELS = np.arange(60, dtype="<i2").reshape(3, 4, 5)
SPACING_XYZ = (0.7, 0.8, 2.5)


def by_nibabel(path: Path) -> str:
    return "".join(reversed(nibabel.aff2axcodes(nibabel.load(path).affine)))


@pytest.mark.parametrize("codes", [(0, 1), (2, 0), (1, 1), (2, 1), (3, 4), (0, 0)])
def test_orientations_equal_nibabels(codes: tuple[int, int], tmp_path: Path) -> None:
    sform_code, qform_code = codes
    random = np.random.default_rng(sum(codes))
    differ = 0
    for _ in range(20):
        forms = [affine(random_rotation(random), SPACING_XYZ, (90.5, -120.25, 300.0)) for _ in range(2)]
        path = write_raw(tmp_path / "ct.nii", VOXELS, Forms(forms[0], sform_code, forms[1], qform_code))
        grid = NiftiReader(path).grid
        assert (grid.nibabel_orientation or grid.orientation) == by_nibabel(path)
        differ += bool(grid.nibabel_orientation)
    assert (differ > 0) == (codes in ((2, 1), (3, 4), (0, 0))), "ITK goes by the qform, or by an axis of its own"
