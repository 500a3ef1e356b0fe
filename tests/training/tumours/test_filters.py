"""The filters against SciPy's, on boxes of odd sizes; where SciPy goes farther than they have to, up to there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from flare_trt.training.tumours.filters import closed, dilated, distance_mm, eroded, gaussian, mean_along_z, opened, sampled

SHAPE, SPACING_MM = (13, 22, 19), (2.5, 1.6, 1.3)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 50, SHAPE).astype(np.float32)


def blobs(seed: int = 0) -> np.ndarray:
    return gaussian(noise(seed), (1.0, 1.5, 1.5)) > 4


@pytest.mark.parametrize("sigma", [(0.72, 1.1, 1.1), (0.3, 0.0, 2.0), (5.0, 8.0, 8.0)])
@pytest.mark.parametrize(("wrap", "mode", "truncate"), [(False, "nearest", 2.5), (True, "wrap", 3.0)])
def test_a_gaussian_is_scipy_s(sigma: tuple[float, ...], wrap: bool, mode: str, truncate: float) -> None:
    expected = ndimage.gaussian_filter(noise(), sigma, mode=mode, truncate=truncate)
    np.testing.assert_allclose(gaussian(noise(), sigma, truncate, wrap), expected, atol=2e-4)


@pytest.mark.parametrize("slices", [2, 3, 4])
def test_a_mean_over_slices_is_scipy_s(slices: int) -> None:
    expected = ndimage.uniform_filter1d(noise(), slices, axis=0, mode="nearest")
    np.testing.assert_allclose(mean_along_z(noise(), slices), expected, atol=1e-4)


def test_samples_are_scipy_s_within_the_array_and_beyond() -> None:
    arrays = np.stack([noise(1), noise(2)])
    places = [grid + np.random.default_rng(axis).normal(0, 3, SHAPE) for axis, grid in enumerate(np.indices(SHAPE, np.float32))]
    for array, found in zip(arrays, sampled(arrays, places), strict=True):
        np.testing.assert_allclose(found, ndimage.map_coordinates(array, places, order=1, mode="nearest"), atol=2e-3)
    nearest = sampled(arrays, places, nearest=True)[0]
    clipped = [np.rint(np.clip(place, 0, size - 1)).astype(int) for place, size in zip(places, SHAPE, strict=True)]
    assert np.mean(nearest == arrays[0][tuple(clipped)]) > 0.999  # halves may be rounded either way


@pytest.mark.parametrize("most_mm", [1.0, 8.0, 15.0, 60.0])
def test_distances_are_scipy_s_up_to_the_farthest(most_mm: float) -> None:
    mask = blobs()
    expected = np.minimum(ndimage.distance_transform_edt(~mask, SPACING_MM), most_mm)
    np.testing.assert_allclose(distance_mm(mask, SPACING_MM, most_mm), expected, atol=1e-4)
    assert np.all(distance_mm(np.zeros(SHAPE, bool), SPACING_MM, most_mm) == np.float32(most_mm))


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (dilated, ndimage.binary_dilation),
        (eroded, ndimage.binary_erosion),
        (opened, ndimage.binary_opening),
        (closed, ndimage.binary_closing),
    ],
)
def test_masks_grow_and_shrink_as_scipy_s(ours, theirs, times: int) -> None:
    for mask in (blobs(), ~blobs(3)):
        np.testing.assert_array_equal(ours(mask, times), theirs(mask, iterations=times))
