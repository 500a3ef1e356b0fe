"""Shapes as level sets on small boxes of voxels: deformed ellipsoids, plates, tubes, and smooth random fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.distil.warp import Vector
from flare_trt.training.tumours.filters import Floats, gaussian

Place = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Placed:
    """A signed distance in mm (positive inside, only near the surface exact) on a box of the scan's voxels."""

    inside_mm: Floats
    place: Place


def random_field(shape: tuple[int, ...], sigma_voxels: NDArray[np.float64], rng: np.random.Generator) -> Floats:
    """Gaussian noise of unit deviation, smooth over about `sigma_voxels` (z, y, x)."""
    field = gaussian(rng.standard_normal(shape, np.float32), sigma_voxels.tolist(), truncate=3.0, wrap=True)
    field /= field.std() + np.float32(1e-6)
    return field


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A uniformly random rotation, 3 x 3."""
    w, x, y, z = (quaternion := rng.standard_normal(4)) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def box_around(
    centre: NDArray[np.int64], reach_mm: float, shape: tuple[int, ...], spacing_mm: Vector
) -> tuple[slice, slice, slice]:
    """The box of voxels that reaches `reach_mm` about a voxel, cut to the array."""
    half = np.ceil(reach_mm / np.array(spacing_mm)).astype(int) + 1
    z, y, x = (slice(max(0, int(c - h)), min(n, int(c + h + 1))) for c, h, n in zip(centre, half, shape, strict=True))
    return z, y, x


def offsets_mm(place: tuple[slice, ...], centre: NDArray[np.int64], spacing_mm: Vector) -> Floats:
    """Offsets of a box's voxels from a voxel: float32 (z, y, x, 3) in mm."""
    axes = [(np.arange(part.start, part.stop) - at) * mm for part, at, mm in zip(place, centre, spacing_mm, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).astype(np.float32)


def ellipsoid(
    offsets: Floats, semi_axes_mm: NDArray[np.float64], roughness: float, spacing_mm: Vector, rng: np.random.Generator
) -> Floats:
    """Signed distance (mm, positive inside) of a rotated ellipsoid whose surface is deformed by smooth noise."""
    turned = (offsets @ random_rotation(rng).astype(np.float32)) / semi_axes_mm.astype(np.float32)
    radius = np.sqrt((turned**2).sum(-1))
    smallest = float(semi_axes_mm.min())
    level = 1 - radius
    if roughness:
        wide, fine = 2 * smallest * rng.uniform(0.15, 0.3), 2 * smallest * 0.08
        noise = random_field(radius.shape, np.maximum(0.6, wide / np.array(spacing_mm)), rng)
        noise += 0.4 * random_field(radius.shape, np.maximum(0.6, fine / np.array(spacing_mm)), rng)
        level += roughness * noise * np.minimum(1, 2 * radius)
    result: Floats = level * np.float32(np.prod(semi_axes_mm) ** (1 / 3))
    return result


def tube(offsets: Floats, points_mm: NDArray[np.float64], radius_mm: float) -> Floats:
    """Signed distance (mm, positive inside) of a tube about a polyline of (n, 3) points."""
    nearest = np.full(offsets.shape[:-1], np.inf, np.float32)
    for start, stop in zip(points_mm[:-1].astype(np.float32), points_mm[1:].astype(np.float32), strict=True):
        along = stop - start
        t = np.clip(((offsets - start) @ along) / max(float(along @ along), 1e-6), 0, 1)
        np.minimum(nearest, np.linalg.norm(offsets - start - t[..., None] * along, axis=-1), out=nearest)
    return np.float32(radius_mm) - nearest


def blend(distance_mm: Floats, width_mm: float) -> Floats:
    """Share 0..1 of what is inside, across a border of `width_mm`."""
    result: Floats = 1 / (1 + np.exp(-np.clip(4 * distance_mm / np.float32(width_mm), -20, 20)))
    return result
