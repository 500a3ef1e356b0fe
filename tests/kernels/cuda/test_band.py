"""The banded matrix of one axis against SciPy's spline filter and interpolation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from flare_trt.kernels import Span
from flare_trt.kernels.cuda.band import band_of, taps_of_order


def applied(values: np.ndarray, span: Span, order: int) -> np.ndarray:
    band = band_of(span, order)
    assert band.first.dtype == np.int32
    assert band.weights.dtype == np.float32
    assert len(band.weights) == taps_of_order(order)
    index = np.clip(band.first + np.arange(len(band.weights))[:, None], 0, len(values) - 1)
    return (band.weights.astype(np.float64) * values[index]).sum(axis=0)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("target", [4, 29, 71])
def test_equals_scipy_zoom(order: int, target: int) -> None:
    values = np.random.default_rng(target).standard_normal(43)
    expected = ndimage.zoom(values, target / 43, order=order, mode="nearest", grid_mode=True)
    assert np.abs(applied(values, Span.whole(43, target), order) - expected).max() < 1e-6


def test_nearest_takes_the_sample_under_the_target() -> None:
    band = band_of(Span.whole(10, 4), 0)
    assert band.first.tolist() == [1, 3, 6, 8]
    assert band.weights.tolist() == [[1, 1, 1, 1]]


def test_a_kept_axis_is_copied_from_where_the_targets_start() -> None:
    band = band_of(Span(30, 30, 12, 15, source_start=10), 3)
    assert band.first.tolist() == [2, 3, 4]
    assert band.weights.shape == (1, 3)


def test_weights_of_a_target_sum_to_one() -> None:
    assert np.abs(band_of(Span.whole(43, 71), 3).weights.sum(axis=0) - 1).max() < 1e-6
