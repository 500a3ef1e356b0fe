"""Random affine views of a volume: draw the numbers (`draw_warp`), then sample (`sample`). Never mirrors: organs have sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Vector = tuple[float, float, float]
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class WarpRange:
    """How far a view may stray: rotation about the z, y and x axis in degrees, log2 of the zoom as a whole and of each axis."""

    rotation_deg: Vector = (12.0, 6.0, 6.0)
    zoom_log2: float = 0.25
    stretch_log2: float = 0.12


@dataclass(frozen=True)
class Warp:
    """Rotation and zoom about a centre. `matrix` takes mm of the view to mm of the source, (z, y, x); no shift."""

    matrix: NDArray[np.float64]

    @staticmethod
    def identity() -> Warp:
        """The warp that changes nothing."""
        return Warp(np.eye(3))


def draw_warp(rng: np.random.Generator, limits: WarpRange) -> Warp:
    """A random warp within the limits; its determinant is positive."""
    matrix = np.eye(3)
    for axis, limit in enumerate(limits.rotation_deg):
        angle = np.deg2rad(rng.uniform(-limit, limit))
        first, second = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    zoom = rng.uniform(-limits.zoom_log2, limits.zoom_log2) + rng.uniform(-limits.stretch_log2, limits.stretch_log2, 3)
    return Warp(matrix @ np.diag(np.exp2(-zoom)))


@dataclass(frozen=True)
class Lattice:
    """Where samples are taken: `shape_zyx` points `spacing_mm` apart around `centre_mm` of the source (its voxel 0 is at 0)."""

    shape_zyx: Triple
    spacing_mm: Vector
    centre_mm: Vector


def sample(volume: Tensor, source_mm: Vector, lattice: Lattice, warp: Warp, mode: str = "bilinear") -> Tensor:
    """Trilinear or "nearest" samples of a float32 (c, z, y, x) tensor: (c, *lattice.shape_zyx); 0 outside the source."""
    shape, size = np.array(lattice.shape_zyx), np.array(volume.shape[1:])
    index_of_index = np.diag(1 / np.array(source_mm)) @ warp.matrix @ np.diag(lattice.spacing_mm)
    offset = np.array(lattice.centre_mm) / np.array(source_mm) - index_of_index @ ((shape - 1) / 2)
    # affine_grid counts from -1 to 1 over the centres of the outer voxels (align_corners), axes in (x, y, z)
    half_source, half_target = np.maximum(size - 1, 1) / 2, (shape - 1) / 2
    scaled = np.diag(1 / half_source) @ index_of_index @ np.diag(half_target)
    shift = (index_of_index @ half_target + offset) / half_source - 1
    theta = np.concatenate([scaled[::-1, ::-1], shift[::-1, None]], 1)
    grid = functional.affine_grid(torch.from_numpy(theta.astype(np.float32))[None], [1, 1, *lattice.shape_zyx], align_corners=True)
    return functional.grid_sample(volume[None], grid, mode, align_corners=True)[0]
