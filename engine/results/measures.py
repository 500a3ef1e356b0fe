"""What the labels say in numbers: volume, HU (mean, spread, median, 10th and 90th percentile), extent, and what the edge cuts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Shape, Vector
from flare_trt.engine.base.label_types import value_count
from flare_trt.engine.base.volume import Volume
from flare_trt.kernels import Box, load_host

#: Of an organ without a voxel. Where the coarse network sees no abdomen the fine one never runs.
ABSENT, UNSEEN = "not found", "not looked for"
#: Organs are looked at in parts of this size, which stay in the cache and need no fresh pages.
_PART_VOXELS = 1 << 18


@dataclass(frozen=True)
class OrganMeasure:
    """One label. Boxes are (z, y, x) voxels of the scan, half-open, and the lowest and highest LPS coordinates in mm.

    `touches_edge` names the world directions (S, I, L, ...) in which the scan's edge cuts the organ; none: it is complete.
    `slice_index` is the slice along the array's axial axis in which the organ is largest, from 0.
    An absent organ has 0 voxels and None for everything that needs one.
    """

    value: int
    name: str
    voxels: int
    volume_ml: float
    mean_hu: float | None = None
    std_hu: float | None = None
    start_zyx: Shape | None = None
    stop_zyx: Shape | None = None
    extent_mm: Vector | None = None
    low_lps_mm: Vector | None = None
    high_lps_mm: Vector | None = None
    touches_edge: tuple[str, ...] = ()
    median_hu: float | None = None
    p10_hu: float | None = None
    p90_hu: float | None = None
    slice_index: int | None = None


def measure_organs(ct: Volume, labels: Volume, names: Mapping[int, str]) -> tuple[OrganMeasure, ...]:
    """Measure each label of `names` (value -> name) in `labels` that lie on the CT's grid. Raises InputError."""
    if labels.grid.shape_zyx != ct.grid.shape_zyx:
        raise InputError(f"measures: got labels of shape {labels.grid.shape_zyx} for a CT of {ct.grid.shape_zyx}")
    rows = load_host().bounds(np.ascontiguousarray(labels.array), value_count(labels.array.dtype)).tolist()
    cuts = {value: (slice(a, x), slice(b, y), slice(c, z)) for value, (a, b, c, x, y, z, voxels) in enumerate(rows) if voxels}
    return tuple(
        _measure(ct, labels, (value, name), cuts[value]) if value in cuts else OrganMeasure(value, name, 0, 0.0)
        for value, name in names.items()
    )


def _measure(ct: Volume, labels: Volume, label: tuple[int, str], where: tuple[slice, slice, slice]) -> OrganMeasure:
    value, name = label
    box = Box.cut_by(where)
    grid = ct.grid.cropped(box)
    axial = ct.grid.axis_along("S")
    voxels, areas = _inside(ct, labels, value, box, axial)
    hu = voxels.astype(np.float64)
    p10_hu, median_hu, p90_hu = (round(value, 2) for value in percentiles(voxels, (10, 50, 90)))
    low_lps_mm, high_lps_mm = _world_box(grid)
    z_mm, y_mm, x_mm = grid.extent_mm
    return OrganMeasure(
        value=value,
        name=name,
        voxels=int(hu.size),
        volume_ml=round(float(hu.size) * ct.grid.voxel_ml, 3),
        mean_hu=round(float(hu.mean()), 2),
        std_hu=round(float(hu.std()), 2),
        median_hu=median_hu,
        p10_hu=p10_hu,
        p90_hu=p90_hu,
        start_zyx=box.start_zyx,
        stop_zyx=box.stop_zyx,
        extent_mm=(round(z_mm, 2), round(y_mm, 2), round(x_mm, 2)),
        low_lps_mm=low_lps_mm,
        high_lps_mm=high_lps_mm,
        touches_edge=ct.grid.edges_touched(box),
        slice_index=box.start_zyx[axial] + int(areas.argmax()),
    )


def _inside(ct: Volume, labels: Volume, value: int, box: Box, axial: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """A label's voxels of the CT, in their order, and how many lie in each slice along axis `axial` of the box."""
    height, width = box.shape_zyx[1:]
    planes = max(1, _PART_VOXELS // (height * width))
    parts, counts = [], []
    for part in box.slabs(planes):
        inside = labels.array[part.slices] == value
        parts.append(ct.array[part.slices][inside])
        counts.append([np.count_nonzero(plane) for plane in np.moveaxis(inside, axial, 0)])  # eight times as quick as by axes
    areas = np.concatenate(counts) if axial == 0 else np.sum(counts, axis=0)
    return np.concatenate(parts), areas


def percentiles(values: NDArray[Any], shares: Sequence[int]) -> list[float]:
    """What numpy.percentile gives, linear between neighbours, bit for bit, in a fraction of its time: it loads numpy.ma."""
    in_order, found = np.sort(values), []
    for share in shares:
        place = (in_order.size - 1) * (share / 100)
        first = math.floor(place)
        low, high = float(in_order[first]), float(in_order[min(first + 1, in_order.size - 1)])
        weight = place - first
        found.append(high - (high - low) * (1 - weight) if weight >= 0.5 else low + (high - low) * weight)
    return found


def _world_box(grid: Grid) -> tuple[Vector, Vector]:
    """Lowest and highest LPS coordinates of the outer corners of a grid, mm."""
    direction = np.asarray(grid.direction)
    first = np.asarray(grid.origin_mm) - direction @ (np.array(grid.spacing_mm[::-1]) / 2)
    edges = direction * np.array(grid.extent_mm[::-1])  # column j runs along the box's index axis j
    low = first + np.minimum(edges, 0).sum(axis=1)
    high = first + np.maximum(edges, 0).sum(axis=1)
    return _vector(low), _vector(high)


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (round(float(value), 2) for value in values)
    return x, y, z
