"""Headers whose slope is unset: readers differ in what they make of the intercept."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its usual name)
from tests.engine.scans.nifti_files import AXIAL, Edit, write_raw

from flare_trt.engine.scans.image_files import read_ct
from flare_trt.engine.scans.nifti import NiftiReader

VOXELS = np.arange(60, dtype="<i2").reshape(5, 4, 3)


def test_an_intercept_without_a_slope_triggers_a_warning(tmp_path: Path) -> None:
    """ITK adds the intercept, nibabel does not: 1024 HU lie between them."""

    def scaled(slope: float, intercept: float) -> Edit:
        def edit(header: object) -> None:
            header["scl_slope"], header["scl_inter"] = slope, intercept  # type: ignore[index]  # a nibabel header

        return edit

    path = write_raw(tmp_path / "ct.nii", VOXELS, AXIAL, scaled(0, -1024))
    (warning,) = NiftiReader(path).warnings
    assert "slope 0 with an intercept of -1024" in warning
    by_itk = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    by_nibabel = np.asarray(nibabel.load(path).dataobj).transpose(2, 1, 0)
    assert np.all(by_nibabel - by_itk == 1024)
    np.testing.assert_array_equal(read_ct(path).array, by_itk)
    assert NiftiReader(write_raw(tmp_path / "ct.nii", VOXELS, AXIAL, scaled(np.nan, 5))).warnings
    for intercept in (np.inf, np.nan):
        endless = write_raw(tmp_path / "endless.nii", VOXELS, AXIAL, scaled(1, intercept))
        with pytest.raises(nibabel.spatialimages.HeaderDataError, match="invalid intercept"):
            np.asarray(nibabel.load(endless).dataobj)
        np.testing.assert_array_equal(read_ct(endless).array, sitk.GetArrayFromImage(sitk.ReadImage(str(endless))))
        assert f"an intercept of {intercept:g}: 0 is taken" in NiftiReader(endless).warnings[0]
    for slope, intercept in ((1, -1024), (0, 0), (0, np.nan)):
        assert NiftiReader(write_raw(tmp_path / "ct.nii", VOXELS, AXIAL, scaled(slope, intercept))).warnings == ()
