"""Polygons give their mask back by any rule that tests pixel centres, and the mask's area exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from flare_trt.engine.results.dicom.contours import mask_polygons

Polygons = list[NDArray[np.float64]]


def even_odd(polygons: Polygons, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """By scikit-image."""
    from skimage.draw import polygon2mask

    mask = np.zeros(shape, bool)
    for polygon in polygons:
        mask ^= polygon2mask(shape, polygon[:, ::-1])
    return mask


def non_zero(polygons: Polygons, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """By the winding number of each pixel's centre: crossings of the ray to the right, by their direction."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    winding = np.zeros(shape, int)
    for polygon in polygons:
        for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            between = (np.minimum(ay, by) < y) & (y < np.maximum(ay, by))
            winding += between * (ax > x) * int(np.sign(by - ay))
            assert ax == bx or ay == by
    return winding != 0


def area(polygon: NDArray[np.float64]) -> float:
    x, y = polygon.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def masks() -> list[NDArray[np.bool_]]:
    from scipy import ndimage

    rng = np.random.default_rng(11)
    speckled = [rng.random(rng.integers(1, 22, 2)) < share for share in np.linspace(0.1, 0.95, 60)]
    smooth = [ndimage.gaussian_filter(rng.normal(size=rng.integers(5, 40, 2)), 1.3) > level for level in np.linspace(-0.2, 0.2, 40)]
    return speckled + smooth


@pytest.mark.parametrize("rule", [even_odd, non_zero])
def test_masks_come_back(rule: Callable[[Polygons, tuple[int, int]], NDArray[np.bool_]]) -> None:
    for mask in masks():
        np.testing.assert_array_equal(rule(mask_polygons(mask), mask.shape), mask)


def test_area_and_number_of_pieces() -> None:
    from scipy import ndimage

    for mask in masks():
        polygons = mask_polygons(mask)
        assert sum(map(area, polygons)) == pytest.approx(mask.sum())
        assert len(polygons) == ndimage.label(mask)[1]
        assert all(area(polygon) > 0 for polygon in polygons)


def test_a_ring_is_one_polygon_with_a_keyhole() -> None:
    ring = np.ones((5, 6), bool)
    ring[2, 2:4] = False
    (polygon,) = mask_polygons(ring)
    assert area(polygon) == ring.sum()
    assert len(polygon) == 10  # four corners each, and the channel's end on the outer edge, there and back


def test_a_square() -> None:
    (polygon,) = mask_polygons(np.ones((2, 3), bool))
    assert sorted(map(tuple, polygon.tolist())) == [(-0.5, -0.5), (-0.5, 1.5), (2.5, -0.5), (2.5, 1.5)]
    assert mask_polygons(np.zeros((4, 5), bool)) == []
