"""Where a phantom is painted: HU and labels on a grid of body coordinates, and the few shapes that organs are made of.

Body coordinates are mm of an average adult, (z, y, x): z up from the first lumbar vertebra, y to the back, x to the left.
Points and half axes are given in them; the canvas stretches them to the patient's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]
Slices = tuple[slice, slice, slice]
Axes = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Region:
    """A mask on a box of the canvas."""

    place: Slices
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Canvas:
    """float32 HU and uint8 labels (z, y, x), and the body coordinates of each axis."""

    hu: NDArray[np.float32]
    labels: NDArray[np.uint8]
    axes: Axes

    @staticmethod
    def blank(axes: Axes, hu: float) -> Canvas:
        """A canvas filled with one HU value and label 0."""
        shape = tuple(axis.size for axis in axes)
        return Canvas(np.full(shape, hu, np.float32), np.zeros(shape, np.uint8), axes)

    def place(self, low: Point, high: Point) -> Slices:
        """The voxels whose coordinates lie in [low, high]."""
        z, y, x = (slice(*(int(i) for i in np.searchsorted(axis, (a, b)))) for axis, a, b in zip(self.axes, low, high, strict=True))
        return z, y, x

    def coordinates(self, place: Slices) -> Axes:
        """Open (broadcastable) coordinates of a box."""
        z, y, x = (axis[part] for axis, part in zip(self.axes, place, strict=True))
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def paint(self, region: Region, hu: float, label: int = 0) -> None:
        """Give the region's voxels a HU value and a label."""
        self.hu[region.place][region.mask] = hu
        self.labels[region.place][region.mask] = label

    def ellipsoid(self, centre: Point, half_axes: Point, bumps: float = 0.0) -> Region:
        """Voxels of an ellipsoid; `bumps` waves its surface by about that share of its radius."""
        reach = 1 + bumps
        low, high = (tuple(c + sign * reach * h for c, h in zip(centre, half_axes, strict=True)) for sign in (-1, 1))
        place = self.place(low, high)  # type: ignore[arg-type]  # three axes each
        z, y, x = self.coordinates(place)
        u, v, w = (z - centre[0]) / half_axes[0], (y - centre[1]) / half_axes[1], (x - centre[2]) / half_axes[2]
        radius = u * u + v * v + w * w
        if bumps:
            radius = radius + 2 * bumps * np.sin(2.7 * u + centre[2]) * np.sin(2.3 * v + centre[0]) * np.cos(2.9 * w + centre[1])
        return Region(place, radius <= 1)

    def tubes(self, points: NDArray[np.float64], radii: NDArray[np.float64]) -> list[Region]:
        """One capsule between each two neighbouring points (n, 3), with radii (n) that change linearly in between."""
        regions = []
        for start, stop, first, last in zip(points, points[1:], radii, radii[1:], strict=False):
            reach = max(first, last)
            low, high = np.minimum(start, stop) - reach, np.maximum(start, stop) + reach
            place = self.place(tuple(low), tuple(high))
            z, y, x = self.coordinates(place)
            way = (stop - start).astype(np.float32)
            offset = [axis - np.float32(at) for axis, at in zip((z, y, x), start, strict=True)]
            share = np.clip(sum(o * w for o, w in zip(offset, way, strict=True)) / float(way @ way), 0, 1)
            distance = sum((o - share * w) ** 2 for o, w in zip(offset, way, strict=True))
            regions.append(Region(place, distance <= (first + share * (last - first)) ** 2))
        return regions


def smooth_curve(points: NDArray[np.float64], pieces: int = 4) -> NDArray[np.float64]:
    """A Catmull-Rom curve through points (n, k), `pieces` segments between each two: ((n - 1) * pieces + 1, k)."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    curve = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        t = (np.arange(pieces) / pieces)[:, None]
        curve.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*curve, points[-1:]])
