"""Tumours in numbers: how many pieces, and of each its volume, its diameters as RECIST 1.1 takes them, and its longest extent.

A piece is a 26-connected component. Lengths run between the centres of outer voxel faces, the vertices of a marching-cubes
surface: a row of n voxels is n voxels long. Slices are the array's planes nearest to axial.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Grid, Shape
from flare_trt.engine.base.organs import is_tumour
from flare_trt.engine.base.pieces import label_pieces, piece_cuts
from flare_trt.engine.base.run_report import KeptLesion
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.measures import OrganMeasure
from flare_trt.kernels import Box

#: A piece under this volume, that of a ball 4 mm across, is counted as a speck and not measured.
SPECK_ML = 0.03
#: Surroundings of a lesion that tell its organ, mm.
BESIDE_MM = 4.0


@dataclass(frozen=True)
class Lesion:
    """One piece. `perpendicular_mm` is its longest chord at right angles to the longest axial diameter, in the same slice.

    `slice_index` counts along the array's axial axis; the box is in voxels (z, y, x) of the scan, half-open. `organ` is the one
    that most of its surroundings belong to ("" where no organ is near), `over_organ_hu` how much brighter its mean is than the
    organ's median, `certainty` the share of its voxels of which the network was surest (None where the model does not say).
    """

    volume_ml: float
    longest_axial_mm: float
    perpendicular_mm: float
    longest_3d_mm: float
    slice_index: int
    start_zyx: Shape
    stop_zyx: Shape
    touches_edge: tuple[str, ...]
    organ: str = ""
    mean_hu: float | None = None
    std_hu: float | None = None
    over_organ_hu: float | None = None
    certainty: float | None = None


@dataclass(frozen=True)
class TumourMeasure:
    """All pieces of one tumour label: lesions, largest first, and how many specks were left out."""

    value: int
    name: str
    lesions: tuple[Lesion, ...]
    specks: int


def measure_tumour(ct: Volume, labels: Volume, tumour: OrganMeasure, organs: Sequence[OrganMeasure]) -> TumourMeasure:
    """Measure the pieces of a tumour label of a uint8 volume; none where it is absent. `organs` is what `measure_organs` gave."""
    found = list(_pieces(labels, tumour))
    voxel_ml = labels.grid.voxel_ml
    hosts = [organ for organ in organs if not is_tumour(organ.name)]
    large = [
        replace(_measure(piece, box, labels.grid), **_surroundings(ct, labels, piece, box, hosts))
        for piece, box in found
        if np.count_nonzero(piece) * voxel_ml >= SPECK_ML
    ]
    lesions = tuple(sorted(large, key=lambda lesion: -lesion.volume_ml))
    return TumourMeasure(tumour.value, tumour.name, lesions, len(found) - len(lesions))


def with_certainty(tumour: TumourMeasure, kept: Sequence[KeptLesion]) -> TumourMeasure:
    """The lesions with what the run said of each, which is known by its box."""
    known = {(lesion.start_zyx, lesion.stop_zyx): lesion.certainty for lesion in kept}
    lesions = (replace(lesion, certainty=known.get((lesion.start_zyx, lesion.stop_zyx))) for lesion in tumour.lesions)
    return replace(tumour, lesions=tuple(lesions))


def _surroundings(ct: Volume, labels: Volume, piece: NDArray[np.bool_], box: Box, organs: Sequence[OrganMeasure]) -> dict[str, Any]:
    """A piece's organ, by the labels up to BESIDE_MM around it, and its HU."""
    from scipy import ndimage

    reach = [math.ceil(BESIDE_MM / mm) for mm in labels.grid.spacing_mm]
    start = [max(0, low - more) for low, more in zip(box.start_zyx, reach, strict=True)]
    stop = [min(size, high + more) for size, high, more in zip(labels.grid.shape_zyx, box.stop_zyx, reach, strict=True)]
    wide = tuple(slice(low, high) for low, high in zip(start, stop, strict=True))
    outside = np.ones([part.stop - part.start for part in wide], bool)
    outside[tuple(slice(a - b, c - b) for a, b, c in zip(box.start_zyx, start, box.stop_zyx, strict=True))] = ~piece
    near = ndimage.distance_transform_edt(outside, labels.grid.spacing_mm) <= BESIDE_MM
    counts = np.bincount(labels.array[wide][near & outside], minlength=256)
    organ = max(organs, key=lambda row: counts[row.value], default=None)
    hu = ct.array[box.slices][piece].astype(np.float64)
    facts = {"mean_hu": round(float(hu.mean()), 2), "std_hu": round(float(hu.std()), 2)}
    if organ is None or not counts[organ.value]:
        return facts
    over = None if organ.median_hu is None else round(float(hu.mean()) - organ.median_hu, 2)
    return {**facts, "organ": organ.name, "over_organ_hu": over}


def longest_and_perpendicular(points: NDArray[np.float64]) -> tuple[float, float]:
    """The longest distance between points (n, 2) in a plane, and their hull's longest chord at right angles to it.

    >>> longest_and_perpendicular(np.array([(0, 0), (8, 0), (2, 3), (2, -1), (5, 1.0)]))
    (8.0, 4.0)
    """
    from scipy.spatial import ConvexHull

    hull = points[ConvexHull(points).vertices]
    longest, (first, last) = _farthest(hull)
    along = (last - first) / longest
    placed = (hull - first) @ np.array([[along[0], -along[1]], [along[1], along[0]]])  # columns: along, across
    at = placed[:, 0]
    upper, lower = (_chain(placed, at, side) for side in (1, -1))
    return longest, float((upper + lower).max())


def _chain(placed: NDArray[np.float64], at: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Height of the hull on one side of the long axis, whose ends are both on the hull. A hull's chords are longest at a vertex."""
    on_side = placed[placed[:, 1] * side >= 0]
    ends = placed[[placed[:, 0].argmin(), placed[:, 0].argmax()]]
    chain = np.concatenate([on_side, ends])
    chain = chain[np.argsort(chain[:, 0], kind="stable")]
    height: NDArray[np.float64] = np.interp(at, chain[:, 0], np.abs(chain[:, 1]))
    return height


def _pieces(labels: Volume, tumour: OrganMeasure) -> Iterator[tuple[NDArray[np.bool_], Box]]:
    """Each piece as a mask of its own box."""
    if tumour.start_zyx is None or tumour.stop_zyx is None:
        return
    around = Box(tumour.start_zyx, tumour.stop_zyx)
    numbers, _ = label_pieces(labels.array[around.slices] == tumour.value)
    for number, cut in enumerate(piece_cuts(numbers), start=1):
        yield numbers[cut] == number, Box.cut_by(cut).shifted(around.start_zyx)


def _measure(piece: NDArray[np.bool_], box: Box, grid: Grid) -> Lesion:
    axis = grid.axis_along("S")
    slices = np.moveaxis(piece, axis, 0)
    through_mm = grid.spacing_mm[axis]
    pixel_mm = [mm for at, mm in enumerate(grid.spacing_mm) if at != axis]
    outlines = {index: _outline(plane) * pixel_mm for index, plane in enumerate(slices) if plane.any()}
    axial = {index: longest_and_perpendicular(outline) for index, outline in outlines.items()}
    widest = max(axial, key=lambda index: axial[index])
    return Lesion(
        volume_ml=round(float(np.count_nonzero(piece)) * grid.voxel_ml, 3),
        longest_axial_mm=round(axial[widest][0], 2),
        perpendicular_mm=round(axial[widest][1], 2),
        longest_3d_mm=round(_longest_3d(slices, outlines, (through_mm, pixel_mm[0], pixel_mm[1])), 2),
        slice_index=box.start_zyx[axis] + widest,
        start_zyx=box.start_zyx,
        stop_zyx=box.stop_zyx,
        touches_edge=grid.edges_touched(box),
    )


def _outline(plane: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Face centres (row, column) of the first and last voxel of each row: all other face centres lie in their hull."""
    rows, firsts, lasts = _row_ends(plane)
    left, right = (rows, firsts - 0.5), (rows, lasts + 0.5)
    corners = [(rows + shift, ends) for shift in (-0.5, 0.5) for ends in (firsts, lasts)]
    return np.concatenate([np.stack(pair, axis=1) for pair in (left, right, *corners)])


def _row_ends(plane: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rows = np.flatnonzero(plane.any(axis=1))
    firsts = plane[rows].argmax(axis=1)
    lasts = plane.shape[1] - 1 - plane[rows, ::-1].argmax(axis=1)
    return rows.astype(float), firsts.astype(float), lasts.astype(float)


def _longest_3d(
    slices: NDArray[np.bool_], outlines: dict[int, NDArray[np.float64]], spacing_mm: tuple[float, float, float]
) -> float:
    """Longest distance between face centres: those of the outlines, and the ones above and below each row's end voxels."""
    from scipy.spatial import ConvexHull

    through_mm, row_mm, column_mm = spacing_mm
    points = []
    for index, outline in outlines.items():
        rows, firsts, lasts = _row_ends(slices[index])
        ends = np.concatenate([np.stack((rows, side), axis=1) for side in (firsts, lasts)]) * (row_mm, column_mm)
        levels = [(outline, 0.0), (ends, -0.5), (ends, 0.5)]
        points += [np.insert(plane, 0, (index + shift) * through_mm, axis=1) for plane, shift in levels]
    cloud = np.concatenate(points)
    return _farthest(cloud[ConvexHull(cloud).vertices])[0]


def _farthest(points: NDArray[np.float64]) -> tuple[float, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The longest distance between points (n, d), and the two that are so far apart."""
    from scipy.spatial.distance import pdist

    distances = pdist(points)
    first, last = (int(index[distances.argmax()]) for index in np.triu_indices(len(points), 1))
    return float(distances.max()), (points[first], points[last])
