"""Slices of a tilted gantry, resampled onto an upright grid, and labels on that grid taken back onto the slices.

A tilted gantry scans planes that are not at right angles to the way of the table, so they make a sheared stack, which no grid
describes. The upright grid has right angles, holds the whole stack, and lies along the way of the table or along the slices,
whichever is nearer to the patient's axes. Voxels are as large as the slices' pixels, and one step of the table long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Grid, Shape
from flare_trt.engine.base.volume import ScanArray
from flare_trt.engine.scans.dicom.stack import Stack, tilt_degrees

#: HU where the stack has no slice: air.
AIR_HU = -1000.0
#: Parts of a voxel that are rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Tilt:
    """`grid` is the upright one. Voxel `index` (z, y, x) of it lies at `matrix @ index + shift` of the slices, of `slices_zyx`."""

    grid: Grid
    slices_zyx: Shape
    degrees: float
    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]

    @staticmethod
    def of(stack: Stack) -> Tilt:
        """The correction of a sheared stack."""
        slices = _index_to_lps(stack)
        axes, spacing_mm = _upright_axes(stack)
        places = slices @ np.array(list(product(*((0, size - 1) for size in stack.grid.shape_zyx)))).T
        along = (
            axes[:, ::-1].T @ places / np.array(spacing_mm)[:, None]
        )  # (z, y, x) of each corner, in voxels from the first plane's
        first = np.floor(along.min(axis=1) + _ROUNDING)
        nz, ny, nx = (int(size) for size in np.ceil(along.max(axis=1) - _ROUNDING) - first + 1)
        origin_mm = np.array(stack.grid.origin_mm) + axes[:, ::-1] @ (first * spacing_mm)
        direction = tuple(tuple(float(value) for value in row) for row in axes)
        grid = Grid((nz, ny, nx), spacing_mm, tuple(map(float, origin_mm)), direction)  # type: ignore[arg-type]  # three axes, known
        matrix = np.round(np.linalg.inv(slices) @ axes[:, ::-1] * spacing_mm, 12)  # so that whole steps are whole
        return Tilt(grid, stack.grid.shape_zyx, tilt_degrees(stack.shear), matrix, matrix @ first)

    def upright(self, slices: ScanArray, depth: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (z, up to `depth` planes of HU) of the upright grid, linearly interpolated; AIR_HU where no slice is."""
        nz, ny, nx = self.grid.shape_zyx
        for start in range(0, nz, depth):
            shape = (min(depth, nz - start), ny, nx)
            yield start, self._slab(slices, np.array((start, 0, 0)), shape)

    def _slab(self, slices: ScanArray, first: NDArray[np.int_], shape: Shape) -> NDArray[np.float32]:
        from scipy import ndimage

        corners = np.array(list(product(*((0, size - 1) for size in shape)))).T + first[:, None]
        reach = self.matrix[0] @ corners + self.shift[0]
        low, high = max(0, int(np.floor(reach.min()))), min(self.slices_zyx[0], int(np.ceil(reach.max())) + 2)
        if low >= high:
            return np.full(shape, AIR_HU, np.float32)
        part = slices[slice(low, high), slice(None), slice(None)].astype(np.float32)
        offset = self.matrix @ first + self.shift - (low, 0, 0)
        moved = ndimage.affine_transform(
            part, self.matrix, offset, shape, np.float32, order=1, mode="grid-constant", cval=AIR_HU, prefilter=False
        )
        return np.asarray(moved, np.float32)

    def onto_slices(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Labels on the upright grid as they lie on the slices: of each pixel that of the nearest voxel."""
        from scipy import ndimage

        back = np.linalg.inv(self.matrix)
        moved = ndimage.affine_transform(labels, back, -back @ self.shift, self.slices_zyx, np.uint8, order=0, prefilter=False)
        return np.asarray(moved, np.uint8)

    def slice_at(self, index_zyx: tuple[float, float, float]) -> int:
        """The slice that a voxel of the upright grid lies on, or the nearest one."""
        z = float(self.matrix[0] @ np.array(index_zyx) + self.shift[0])
        return min(max(round(z), 0), self.slices_zyx[0] - 1)


def _index_to_lps(stack: Stack) -> NDArray[np.float64]:
    """Steps in LPS mm, as columns, of the slices' indices (z, y, x)."""
    row, column, normal = np.asarray(stack.grid.direction).T
    z_mm, y_mm, x_mm = stack.grid.spacing_mm
    along_x, along_y = stack.shear
    return np.stack([z_mm * (normal + along_x * row + along_y * column), y_mm * column, x_mm * row], axis=1)


def _upright_axes(stack: Stack) -> tuple[NDArray[np.float64], tuple[float, float, float]]:
    """Unit vectors of x, y and z as columns, and the spacing (z, y, x): along the table's way, or along the slices."""
    step, _, _ = _index_to_lps(stack).T
    slices = np.asarray(stack.grid.direction)
    z = step / np.linalg.norm(step)
    x = slices[:, 0] - (slices[:, 0] @ z) * z
    x /= np.linalg.norm(x)
    table = np.stack([x, np.cross(z, x), z], axis=1)
    z_mm, y_mm, x_mm = stack.grid.spacing_mm
    if np.abs(table).max(axis=0).sum() < np.abs(slices).max(axis=0).sum():
        return slices, (z_mm, y_mm, x_mm)
    return table, (float(np.linalg.norm(step)), y_mm, x_mm)
