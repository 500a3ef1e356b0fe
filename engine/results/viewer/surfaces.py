"""The surface of each structure for the page's 3-D view: surface nets (Gibson, 1998) on the labels, thinned to about 2 mm.

A vertex lies in each cell of eight voxels that the surface goes through, at the mean of where it cuts the cell's edges. The level
is the one that keeps the structure's volume, and at most half the highest value, so that no thin structure is smoothed away.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.measures import OrganMeasure
from flare_trt.kernels import Box

_VOXEL_MM = 2.0
#: Standard deviation of the smoothing, in thinned voxels, and the margin of nothing around a structure, in the same.
_SMOOTHING, _MARGIN = 0.7, 3
_CORNERS = np.array(list(product((0, 1), repeat=3)))
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]


@dataclass(frozen=True)
class Surface:
    """Triangles (m, 3) between vertices (n, 3) in RAS mm, with unit normals (n, 3) that look out."""

    value: int
    vertices_mm: NDArray[np.float32]
    normals: NDArray[np.float32]
    triangles: NDArray[np.uint32]

    def as_bytes(self) -> bytes:
        """For the page: little-endian vertices and normals interleaved, float32 (n, 6), then the triangles, uint32."""
        both = np.concatenate([self.vertices_mm, self.normals], axis=1)
        return both.astype("<f4").tobytes() + self.triangles.astype("<u4").tobytes()


def organ_surface(labels: Volume, organ: OrganMeasure) -> Surface | None:
    """The surface of a measured structure; None of one without a voxel."""
    if organ.start_zyx is None or organ.stop_zyx is None:
        return None
    box = Box(organ.start_zyx, organ.stop_zyx)
    steps = np.array([max(1, round(_VOXEL_MM / mm)) for mm in labels.grid.spacing_mm])
    field, level = _smooth(labels.array[box.slices] == organ.value, steps)
    cells, normals, triangles = surface_net(field, level)
    index_zyx = (cells - _MARGIN) * steps + (steps - 1) / 2 + np.array(box.start_zyx)
    turn = _index_to_ras(labels.grid)
    outwards = (normals / (steps * labels.grid.spacing_mm)) @ (turn / labels.grid.spacing_mm).T
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-9)
    origin = np.array(labels.grid.origin_mm) * (-1, -1, 1)
    return Surface(organ.value, (index_zyx @ turn.T + origin).astype(np.float32), outwards.astype(np.float32), triangles)


def _smooth(mask: NDArray[np.bool_], steps: NDArray[np.int_]) -> tuple[NDArray[np.float32], float]:
    """How much of each thinned voxel is the structure's, smoothed; and the level of its surface."""
    from scipy import ndimage

    padded = np.pad(mask, [(0, -size % step) for size, step in zip(mask.shape, steps, strict=True)])
    nz, ny, nx = np.array(padded.shape) // steps
    share = padded.reshape(nz, steps[0], ny, steps[1], nx, steps[2]).mean(axis=(1, 3, 5), dtype=np.float32)
    field: NDArray[np.float32] = ndimage.gaussian_filter(np.pad(share, _MARGIN), _SMOOTHING)
    voxels = max(1, round(float(share.sum())))
    inside, outside = (float(np.partition(field.ravel(), -at)[-at]) for at in (voxels, voxels + 1))
    return field, min((inside + outside) / 2, float(field.max()) / 2)  # half the crest of a thread that fills no voxel


def surface_net(field: NDArray[np.float32], level: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint32]]:
    """Vertices (n, 3) in indices of `field`, directions (n, 3) in which it falls, and triangles of the surface where it is `level`.

    The field's outermost voxels lie under the level.
    """
    inside = field > level
    count = np.add.reduce([_corner(inside, corner).astype(np.uint8) for corner in _CORNERS])
    cells = np.argwhere((count > 0) & (count < 8))
    number = np.full(count.shape, -1, np.int64)
    number[tuple(cells.T)] = np.arange(len(cells))
    values = np.stack([_corner(field, corner)[tuple(cells.T)] - level for corner in _CORNERS]).astype(np.float64)
    total, cuts = np.zeros((len(cells), 3)), np.zeros(len(cells))
    for a, b in _EDGES:
        cut = (values[a] > 0) != (values[b] > 0)
        share = values[a][cut] / (values[a][cut] - values[b][cut])
        total[cut] += _CORNERS[a] + share[:, None] * (_CORNERS[b] - _CORNERS[a])
        cuts += cut
    falls = np.stack([values[_CORNERS[:, axis] == 0].sum(0) - values[_CORNERS[:, axis] == 1].sum(0) for axis in range(3)], axis=1)
    triangles = np.concatenate([_faces(inside, number, axis) for axis in range(3)])
    return cells + total / cuts[:, None], falls, triangles.astype(np.uint32)


def _corner(field: NDArray[Any], corner: NDArray[np.int_]) -> NDArray[Any]:
    """The value at one corner of each cell."""
    z, y, x = (slice(at, size - 1 + at) for at, size in zip(corner, field.shape, strict=True))
    return field[z, y, x]


def _faces(inside: NDArray[np.bool_], number: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Two triangles around each edge along `axis` that the surface cuts, between the vertices of the four cells beside it."""
    first = np.moveaxis(inside, axis, 0)[:-1]
    cut = np.moveaxis(first != np.moveaxis(inside, axis, 0)[1:], 0, axis)
    at = np.argwhere(cut)
    u, v = (np.eye(3, dtype=int)[(axis + more) % 3] for more in (1, 2))
    around = np.stack([number[tuple((at - back).T)] for back in (0 * u, u, u + v, v)], axis=1)
    outwards = inside[tuple(at.T)]
    around[~outwards] = around[~outwards][:, ::-1]
    return np.concatenate([around[:, [0, 1, 2]], around[:, [0, 2, 3]]])


def _index_to_ras(grid: Grid) -> NDArray[np.float64]:
    """Steps in RAS mm, as columns, of the indices (z, y, x)."""
    steps: NDArray[np.float64] = (np.asarray(grid.direction) * np.array(grid.spacing_mm[::-1]))[:, ::-1] * np.array(
        [[-1], [-1], [1]]
    )
    return steps
