"""Orientations that are rounded: the nearest right-angled axes up to 0.001, with a warning, and a refusal beyond."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.scans.dicom.series_files import OBLIQUE, Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.scan_reader import whole_ct

HU = small_ct((6, 11, 9))


def changed(amount: float, every: int) -> Any:
    """The first component of the row off by so much, in every other slice or in all."""

    def change(dataset: Any, z: int) -> None:
        cosines = np.array(OBLIQUE)
        cosines[3:] += amount * np.array(OBLIQUE[:3]) * (z % every == 0)
        dataset.ImageOrientationPatient = [f"{value:.8f}" for value in cosines]

    return change


@pytest.mark.parametrize(
    ("every", "said"), [(1, "row and column are off from 90 degrees by 0.0008"), (2, "the slices' orientations differ by up to")]
)
def test_near_right_angles_are_mended_with_a_warning(tmp_path: Path, every: int, said: str) -> None:
    reader = DicomReader(write_series(tmp_path / "ct", HU, Look(cosines=OBLIQUE, change=changed(8e-4, every))))
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    assert len(reader.warnings) == 1
    assert said in reader.warnings[0]
    assert "the nearest right-angled axes are used" in reader.warnings[0]
    direction = np.array(reader.grid.direction)
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(direction[:, :2].T.ravel(), OBLIQUE, atol=8e-4)
    np.testing.assert_allclose([plane.cosines for plane in reader.planes], [direction[:, :2].T.ravel()] * len(HU), atol=1e-9)
    assert max(len(str(cosine)) for cosine in reader.planes[0].cosines) <= 16


def test_rounding_of_headers_is_read_without_a_word(tmp_path: Path) -> None:
    reader = DicomReader(write_series(tmp_path / "ct", HU, Look(cosines=OBLIQUE, change=changed(5e-5, 2))))
    assert reader.warnings == ()


@pytest.mark.parametrize(
    ("every", "message"), [(1, r"no perpendicular unit vectors \(off by 0\.003, allowed 0\.001\)"), (2, "have another orientation")]
)
def test_beyond_that_they_are_refused(tmp_path: Path, every: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DicomReader(write_series(tmp_path / "ct", HU, Look(cosines=OBLIQUE, change=changed(3e-3, every))))
