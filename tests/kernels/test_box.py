"""Arithmetic of boxes, against the sets of voxels that they hold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from flare_trt.kernels import Box

SHAPE = (7, 9, 11)


def mask(box: Box) -> np.ndarray:
    voxels = np.zeros(SHAPE, bool)
    voxels[box.slices] = True
    return voxels


def boxes(seed: int, count: int = 40) -> list[Box]:
    rng = np.random.default_rng(seed)
    return [Box.spanning(tuple(sorted(rng.choice(size + 1, 2, replace=False).tolist())) for size in SHAPE) for _ in range(count)]


def around(voxels: np.ndarray) -> Box:
    where = np.argwhere(voxels)
    return Box(tuple(where.min(0).tolist()), tuple((where.max(0) + 1).tolist()))


@pytest.mark.parametrize("seed", range(3))
def test_hull_and_common_are_those_of_the_voxels(seed: int) -> None:
    for first, second in pairwise(boxes(seed)):
        assert first.hull(second) == second.hull(first) == around(mask(first) | mask(second))
        both = mask(first) & mask(second)
        common = first.common(second)
        assert common == around(both) if both.any() else min(common.shape_zyx) <= 0
    assert boxes(seed)[0].hull() == boxes(seed)[0]


def test_cutting_moving_and_clipping() -> None:
    box = Box((1, 2, 3), (4, 7, 11))
    assert box.shape_zyx == (3, 5, 8)
    assert box.ranges == ((1, 4), (2, 7), (3, 11))
    assert Box.cut_by(box.slices) == box == Box.spanning(box.ranges)
    assert box.along(1, 0, 9) == Box((1, 0, 3), (4, 9, 11))
    assert box.shifted((1, -2, 3)) == Box((2, 0, 6), (5, 5, 14))
    assert box.shifted((1, -2, 3)).shifted((1, -2, 3), -1) == box
    assert Box((-2, 2, 3), (9, 3, 20)).clipped(SHAPE) == Box((0, 2, 3), (7, 3, 11))
    assert 0 in Box((8, 2, 3), (12, 3, 4)).clipped(SHAPE).shape_zyx
    assert Box.whole(SHAPE).shape_zyx == SHAPE
