"""How much surface passes through a 2x2x2 neighbourhood of voxels: the marching-cubes surfel, from geometry.

A neighbourhood is a cube whose corners are voxel centres, some inside the structure. The surface cuts the edges between
an inside and an outside corner at their middle; on each face of the cube the cuts are joined to segments, the segments
close to loops, and each loop is filled with triangles. Two choices are left open by that, and are made so that the areas
equal those of DeepMind's surface-distance (Nikolov et al. 2021), which FLARE scores with:

- where all four edges of a face are cut, the corners of the rarer kind (inside or outside) are cut off one by one;
- a loop that is not flat is filled by the triangles of largest total area on unit voxels. Ties have equal areas on every
  spacing, so the areas do not depend on the order or direction of the axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Corner = tuple[int, int, int]  # of the unit cube
Cut = frozenset[Corner]  # a cut edge, by its two corners
Triangle = tuple[Cut, Cut, Cut]

#: Corner (a, b, c) is bit 4a + 2b + c of a neighbour code.
CORNERS: tuple[Corner, ...] = tuple(product((0, 1), repeat=3))  # type: ignore[arg-type]  # three each


@cache
def surfel_areas(spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Surface in mm^2 of each of the 256 neighbour codes (read-only); `spacing_mm` in the axis order of the codes' corners."""
    a, b, c = spacing_mm
    scale = np.array([b * c, a * c, a * b])
    areas = np.array([np.linalg.norm(normals * scale, axis=1).sum() for normals in _normals()])
    areas.flags.writeable = False
    return areas


@cache
def _normals() -> tuple[NDArray[np.float64], ...]:
    """For each neighbour code the (n, 3) normals of its triangles on unit voxels; a normal is as long as the area is large."""
    table = []
    for code in range(256):
        inside = frozenset(corner for bit, corner in enumerate(CORNERS) if code >> bit & 1)
        triangles = [triangle for loop in _loops(inside) for triangle in _largest_filling(loop)]
        table.append(_triangle_normals(triangles))
    return tuple(table)


def _loops(inside: frozenset[Corner]) -> list[list[Cut]]:
    """The closed loops in which the surface meets the faces of the cube."""
    neighbours: dict[Cut, list[Cut]] = {}
    for first, second in _segments(inside):
        neighbours.setdefault(first, []).append(second)
        neighbours.setdefault(second, []).append(first)
    loops = []
    while neighbours:
        loop = [next(iter(neighbours))]
        while following := [cut for cut in neighbours.pop(loop[-1]) if cut in neighbours]:
            loop.append(following[0])
        loops.append(loop)
    return loops


def _segments(inside: frozenset[Corner]) -> Iterator[tuple[Cut, Cut]]:
    """The surface's segments on the six faces, as pairs of cut edges."""
    rarer = inside if len(inside) <= 4 else frozenset(CORNERS) - inside
    for axis, side in product(range(3), (0, 1)):
        face = [_on_face(axis, side, u, v) for u, v in ((0, 0), (0, 1), (1, 1), (1, 0))]  # once around
        edges = [frozenset((face[i], face[(i + 1) % 4])) for i in range(4)]
        cuts = [edge for edge in edges if len(edge & inside) == 1]
        if len(cuts) == 2:
            yield cuts[0], cuts[1]
        elif len(cuts) == 4:
            yield from ((edges[i - 1], edges[i]) for i in range(4) if face[i] in rarer)


def _on_face(axis: int, side: int, u: int, v: int) -> Corner:
    corner = [u, v]
    corner.insert(axis, side)
    return corner[0], corner[1], corner[2]


def _largest_filling(loop: list[Cut]) -> list[Triangle]:
    return max(_fillings(loop), key=lambda triangles: np.linalg.norm(_triangle_normals(triangles), axis=1).sum())


def _fillings(loop: list[Cut]) -> Iterator[list[Triangle]]:
    """Every way to fill a loop with triangles between its own points."""
    if len(loop) < 3:
        yield []
        return
    for i in range(1, len(loop) - 1):  # the third point of the triangle on the side from the last point to the first
        for left, right in product(_fillings(loop[: i + 1]), _fillings(loop[i:])):
            yield [*left, (loop[0], loop[i], loop[-1]), *right]


def _triangle_normals(triangles: list[Triangle]) -> NDArray[np.float64]:
    points: NDArray[Any] = np.array([[np.mean(list(cut), axis=0) for cut in triangle] for triangle in triangles])
    points = points.reshape(-1, 3, 3)
    return np.asarray(np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]) / 2)
