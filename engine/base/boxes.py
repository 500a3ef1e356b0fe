"""Arithmetic of boxes of voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flare_trt.engine.base.grid import Shape
from flare_trt.kernels import Box

Pick = Callable[[Sequence[int]], int]


def range_of(box: Box, axis: int) -> tuple[int, int]:
    """Start and stop on one axis."""
    return box.start_zyx[axis], box.stop_zyx[axis]


def along(box: Box, axis: int, low: int, high: int) -> Box:
    """The box with another range on one axis."""
    ranges = [(low, high) if a == axis else range_of(box, a) for a in range(3)]
    (z0, z1), (y0, y1), (x0, x1) = ranges
    return Box((z0, y0, x0), (z1, y1, x1))


def hull(*boxes: Box) -> Box:
    """The least box that holds all of them."""
    return _between([box.start_zyx for box in boxes], min, [box.stop_zyx for box in boxes], max)


def common(*boxes: Box) -> Box:
    """What all of them hold."""
    return _between([box.start_zyx for box in boxes], max, [box.stop_zyx for box in boxes], min)


def _between(starts: Sequence[Shape], low: Pick, stops: Sequence[Shape], high: Pick) -> Box:
    (z0, y0, x0), (z1, y1, x1) = map(low, zip(*starts, strict=True)), map(high, zip(*stops, strict=True))
    return Box((z0, y0, x0), (z1, y1, x1))
