"""Where an array lies in the patient: Grid, and the reorientation between two axis orders of one scan.

World coordinates are LPS in mm (DICOM, ITK). Arrays are (z, y, x); `origin_mm` and the columns of `direction` are in the
(x, y, z) order that ITK uses, so that a Grid can be handed to ITK as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.kernels import Box

Vector = tuple[float, float, float]
Shape = tuple[int, int, int]
T = TypeVar("T")

#: How far axes may be from unit vectors at right angles, as the largest entry of A'A - 1: headers are rounded. 0.001 shifts the far
#: corner of 400 mm by 0.4 mm at the most.
MOST_SKEW = 1e-3
#: Letter of the world direction towards which an axis runs, by (LPS axis, sign).
_LETTERS = {(0, 1): "L", (0, -1): "R", (1, 1): "P", (1, -1): "A", (2, 1): "S", (2, -1): "I"}
OPPOSITE = dict(zip("SIPALR", "ISAPRL", strict=True))
#: Where a world direction lies in triples (head-foot, front-back, left-right).
WORLD_AXIS = {"S": 0, "I": 0, "P": 1, "A": 1, "L": 2, "R": 2}


@dataclass(frozen=True)
class Grid:
    """A regular grid of voxels. `direction[i][j]` is the LPS component i of the unit vector of index axis j in (x, y, z).

    `nibabel_orientation` is where nibabel takes the array's axes to run, as letters of `orientation`; "" where that is the same.
    """

    shape_zyx: Shape
    spacing_mm: Vector  # (z, y, x)
    origin_mm: Vector = (0.0, 0.0, 0.0)  # (x, y, z), centre of voxel (0, 0, 0)
    direction: tuple[Vector, Vector, Vector] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    nibabel_orientation: str = ""

    def __post_init__(self) -> None:
        if len(self.shape_zyx) != 3 or min(self.shape_zyx) < 1:
            raise InputError(f"grid: got shape {self.shape_zyx}, expected three positive sizes")
        if not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise InputError(f"grid: got spacing {self.spacing_mm} mm, expected three positive numbers; correct the header")
        if not np.isfinite(self.origin_mm).all():
            raise InputError(f"grid: got origin {self.origin_mm} mm, expected finite numbers; correct the header")
        matrix = np.asarray(self.direction, float)
        error = float(np.abs(matrix.T @ matrix - np.eye(3)).max()) if np.isfinite(matrix).all() else np.inf
        if error > MOST_SKEW:
            raise InputError(
                f"grid: the axes are not orthogonal unit vectors (off by {error:.3g}, allowed {MOST_SKEW:g}): a sheared or "
                "singular affine; resample the scan to a rectangular grid first"
            )

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def orientation(self) -> str:
        """Nearest world direction of each array axis in (z, y, x) order, e.g. "SPL" for a standard axial CT."""
        return "".join(_LETTERS[pair] for pair in reversed(_axis_directions(self.direction)))

    @property
    def told(self) -> str:
        """Shape, voxel and orientation in words."""
        return f"{' x '.join(map(str, self.shape_zyx))} voxels of {_sizes(self)} mm, {self.orientation}"

    @property
    def ras_affine(self) -> NDArray[np.float64]:
        """From index (x, y, z, 1) to RAS mm, as NIfTI holds it."""
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(self.direction) * np.asarray(self.spacing_mm[::-1])
        affine[:3, 3] = self.origin_mm
        return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)

    @property
    def voxels(self) -> int:
        """How many there are."""
        return math.prod(self.shape_zyx)

    @property
    def extent_mm(self) -> Vector:
        """What the voxels cover along each array axis (z, y, x)."""
        z, y, x = (size * mm for size, mm in zip(self.shape_zyx, self.spacing_mm, strict=True))
        return z, y, x

    @property
    def whole(self) -> Box:
        """The box of all voxels."""
        return Box.whole(self.shape_zyx)

    def axis_along(self, letter: str) -> int:
        """The array axis that runs in this world direction (S, P, L, ...) or against it."""
        return next(axis for axis, have in enumerate(self.orientation) if letter in (have, OPPOSITE[have]))

    def edges_touched(self, box: Box) -> tuple[str, ...]:
        """World directions in which a box of voxels reaches the grid's edge."""
        touched = []
        for letter, (start, stop), size in zip(self.orientation, box.ranges, self.shape_zyx, strict=True):
            touched += [OPPOSITE[letter]] if start <= 0 else []
            touched += [letter] if stop >= size else []
        return tuple(touched)

    def grown(self, box: Box, low_mm: Vector, high_mm: Vector) -> Box:
        """A box with margins added towards (inferior, anterior, right) and (superior, posterior, left), cut to the grid."""
        ranges = []
        for letter, mm, (start, stop) in zip(self.orientation, self.spacing_mm, box.ranges, strict=True):
            before, after = (low_mm, high_mm) if letter in "SPL" else (high_mm, low_mm)
            world = WORLD_AXIS[letter]
            ranges.append((int(np.floor(start - before[world] / mm)), int(np.ceil(stop + after[world] / mm))))
        return Box.spanning(ranges).clipped(self.shape_zyx)

    def cropped(self, box: Box) -> Grid:
        """The grid of `array[box.slices]`."""
        matrix = np.asarray(self.direction, float)
        offset = np.array([start * mm for start, mm in zip(box.start_zyx, self.spacing_mm, strict=True)][::-1])
        origin = np.asarray(self.origin_mm) + matrix @ offset
        return replace(self, shape_zyx=box.shape_zyx, origin_mm=(float(origin[0]), float(origin[1]), float(origin[2])))

    def same_place(self, other: Grid, tolerance_mm: float = 1e-2) -> bool:
        """Whether both grids put each voxel at the same place, to `tolerance_mm` at the corners."""
        if self.shape_zyx != other.shape_zyx:
            return False
        return self._apart_mm(other) <= tolerance_mm

    def difference(self, other: Grid) -> str:
        """In words, how another grid differs: in shape, in voxel size, and by how many mm its voxels lie elsewhere at most."""
        if self.shape_zyx != other.shape_zyx:
            return f"shape {self.shape_zyx} against {other.shape_zyx}"
        near = np.allclose(self.spacing_mm, other.spacing_mm, rtol=0, atol=1e-4)
        spacing = "" if near else f"voxels of {_sizes(self)} against {_sizes(other)} mm, "
        return f"{spacing}up to {self._apart_mm(other):.3g} mm apart"

    def _apart_mm(self, other: Grid) -> float:
        """The farthest that a voxel of this grid lies from the same one of another of this shape, along one axis: at a corner."""
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape_zyx[::-1]])).reshape(3, -1)
        return float(np.abs(self._world(corners) - other._world(corners)).max())

    def _world(self, index_xyz: NDArray[Any]) -> NDArray[np.float64]:
        scaled = index_xyz * np.asarray(self.spacing_mm[::-1])[:, None]
        return np.asarray(np.asarray(self.direction) @ scaled + np.asarray(self.origin_mm)[:, None])


def nearest_rotation(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The orthogonal unit vectors (as columns, of the same handedness) that are nearest to nearly orthogonal ones."""
    left, _, right = np.linalg.svd(axes)
    return np.asarray(left @ right)


@dataclass(frozen=True)
class Reorientation:
    """Axis permutation and flips that take an array to a wanted orientation; `undo` takes labels back, exactly."""

    axes: Shape  # array axis i of the result is axis axes[i] of the source
    flips: tuple[bool, bool, bool]  # of the result's axes

    @staticmethod
    def to(grid: Grid, wanted: str) -> Reorientation:
        """The permutation and flips that make `grid` run in `wanted` ("SPL": z to Superior, y to Posterior, x to Left)."""
        return Reorientation.between(grid.orientation, wanted)

    @staticmethod
    def between(present: str, wanted: str) -> Reorientation:
        """The permutation and flips that take an array which runs in `present` to `wanted`, both such as "SPL"."""
        if sorted(wanted.translate(str.maketrans("RAI", "LPS"))) != ["L", "P", "S"]:
            raise InputError(f"orientation: got {wanted!r}, expected one letter of each pair LR, PA, SI in (z, y, x) order")
        have = present.translate(str.maketrans("RAI", "LPS"))
        want = wanted.translate(str.maketrans("RAI", "LPS"))
        z, y, x = (have.index(letter) for letter in want)
        flips = tuple(present[axis] != letter for axis, letter in zip((z, y, x), wanted, strict=True))
        return Reorientation((z, y, x), flips)  # type: ignore[arg-type]  # three axes, known

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """A view of the (z, y, x) array in the wanted orientation."""
        return array.transpose(self.axes)[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)]

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """A view of an array in the wanted orientation as it lies in the source."""
        flipped = array[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)]
        return flipped.transpose(np.argsort(self.axes))

    def transposed(self, order: Shape) -> Reorientation:
        """This reorientation followed by a transpose: axis i of the new result is axis order[i] of the old one."""
        z, y, x = order
        axes, flips = self.axes, self.flips
        return Reorientation((axes[z], axes[y], axes[x]), (flips[z], flips[y], flips[x]))

    def permuted(self, values: tuple[T, T, T]) -> tuple[T, T, T]:
        """Per-axis values of the source (spacing, shape) in the result's axis order."""
        z, y, x = self.axes
        return values[z], values[y], values[x]

    def undo_box(self, box: Box, source_shape: Shape) -> Box:
        """A box of the result, as a box of the source of this shape."""
        ranges = [(0, 0)] * 3
        for axis, flip, (low, high) in zip(self.axes, self.flips, box.ranges, strict=True):
            size = source_shape[axis]
            ranges[axis] = (size - high, size - low) if flip else (low, high)
        return Box.spanning(ranges)

    def apply_box(self, box: Box, source_shape: Shape) -> Box:
        """A box of the source of this shape, as a box of the result."""
        ranges = []
        for axis, flip in zip(self.axes, self.flips, strict=True):
            (low, high), size = box.ranges[axis], source_shape[axis]
            ranges.append((size - high, size - low) if flip else (low, high))
        return Box.spanning(ranges)

    def grid(self, source: Grid) -> Grid:
        """The grid of `apply(array)`."""
        matrix, origin = np.asarray(source.direction, float), np.asarray(source.origin_mm, float)
        columns, shape, spacing = [], [], []
        for axis, flip in zip(self.axes, self.flips, strict=True):
            column, size, mm = matrix[:, 2 - axis], source.shape_zyx[axis], source.spacing_mm[axis]
            if flip:
                origin = origin + column * mm * (size - 1)
                column = -column
            columns.append(column)
            shape.append(size)
            spacing.append(mm)
        rows = np.stack(columns[::-1], axis=1)
        direction = tuple(tuple(float(v) for v in row) for row in rows)
        place = (float(origin[0]), float(origin[1]), float(origin[2]))
        return Grid(tuple(shape), tuple(spacing), place, direction)  # type: ignore[arg-type]  # three axes, known


def _axis_directions(direction: tuple[Vector, Vector, Vector]) -> list[tuple[int, int]]:
    """(world axis, sign) nearest to each index axis in (x, y, z) order; each world axis is used once."""
    matrix = np.asarray(direction, float).copy()
    result: list[tuple[int, int]] = [(0, 1)] * 3
    for _ in range(3):
        world, index = (int(i) for i in np.unravel_index(np.abs(matrix).argmax(), (3, 3)))
        result[index] = (world, 1 if matrix[world, index] >= 0 else -1)
        matrix[world, :] = 0
        matrix[:, index] = 0
    return result


def _sizes(grid: Grid) -> str:
    return " x ".join(f"{mm:g}" for mm in grid.spacing_mm)
