from __future__ import annotations

import numpy as np
import pytest

from flare_trt.training.fit.any_plans import COARSE_SHARE, COARSE_VOXELS, Sampling
from flare_trt.training.fit.datasets import OneDataset, find_datasets
from flare_trt.training.prepare.raw_dataset import DatasetNames

PATCH = np.array([96, 160, 128])


def coarse_of(spacing_mm: tuple[float, ...], shape: tuple[int, ...]) -> Sampling:
    fine = Sampling(np.array(spacing_mm), np.array(shape, float))
    return fine.coarser(PATCH, COARSE_SHARE, float(np.prod(shape)) * COARSE_VOXELS)


def test_a_patch_holds_a_quarter_of_a_large_scan() -> None:
    found = coarse_of((0.8, 0.79, 0.79), (500, 440, 440))
    assert PATCH.prod() / found.median_shape.prod() == pytest.approx(0.25, rel=0.1)
    assert found.spacing_mm == pytest.approx(np.array([0.8, 0.79, 0.79]) * found.spacing_mm[0] / 0.8), "all axes alike"


def test_a_small_scan_has_a_third_of_the_voxels() -> None:
    found = coarse_of((1.0, 1.1, 1.2), (90, 81, 77))
    assert found.median_shape.prod() == pytest.approx(90 * 81 * 77 / 3, rel=0.1)


def test_slices_are_made_coarser_in_their_plane_first() -> None:
    found = coarse_of((5.0, 0.7, 0.7), (90, 512, 512))
    assert found.spacing_mm[0] == 5.0
    assert found.spacing_mm[1] == found.spacing_mm[2] == pytest.approx(0.7 * 3**0.5, rel=0.03)


def test_an_id_is_a_pair_of_ours_or_one_dataset(tmp_path) -> None:
    raw, preprocessed = tmp_path / "raw", tmp_path / "preprocessed"
    (raw / "Dataset501_FLAREFine").mkdir(parents=True)
    (preprocessed / "Dataset007_Gland").mkdir(parents=True)
    assert find_datasets(501, raw, preprocessed) == DatasetNames(501)
    assert find_datasets(7, raw, preprocessed) == OneDataset(7, "Dataset007_Gland")
    assert OneDataset(7, "Dataset007_Gland").coarse == OneDataset(7, "Dataset007_Gland").fine == "Dataset007_Gland"
