"""Arithmetic of boxes of voxels."""

from __future__ import annotations

import numpy as np

from flare_trt.kernels import Box


def range_of(box: Box, axis: int) -> tuple[int, int]:
    """Start and stop on one axis."""
    return box.start_zyx[axis], box.stop_zyx[axis]


def along(box: Box, axis: int, low: int, high: int) -> Box:
    """The box with another range on one axis."""
    ranges = [(low, high) if a == axis else range_of(box, a) for a in range(3)]
    (z0, z1), (y0, y1), (x0, x1) = ranges
    return Box((z0, y0, x0), (z1, y1, x1))


def hull(one: Box, other: Box) -> Box:
    """The least box that holds both."""
    (z0, y0, x0), (z1, y1, x1) = (
        pick(one_side, other_side).tolist()
        for pick, one_side, other_side in ((np.minimum, one.start_zyx, other.start_zyx), (np.maximum, one.stop_zyx, other.stop_zyx))
    )
    return Box((z0, y0, x0), (z1, y1, x1))


def common(one: Box, other: Box) -> Box:
    """What both hold."""
    (z0, y0, x0), (z1, y1, x1) = (
        pick(one_side, other_side).tolist()
        for pick, one_side, other_side in ((np.maximum, one.start_zyx, other.start_zyx), (np.minimum, one.stop_zyx, other.stop_zyx))
    )
    return Box((z0, y0, x0), (z1, y1, x1))
