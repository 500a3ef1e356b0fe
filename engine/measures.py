"""What the labels say in numbers: volume, mean HU and spread, extent, and whether an organ is cut by the scan's edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flare_trt.engine.errors import InputError
from flare_trt.engine.grid import Shape, Vector
from flare_trt.engine.roi import edges_touched
from flare_trt.engine.volume import Volume
from flare_trt.kernels import Box


@dataclass(frozen=True)
class OrganMeasure:
    """One label. Boxes are (z, y, x) voxels of the scan, half-open; `touches_edge` names world directions (S, I, L, ...).

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
    touches_edge: tuple[str, ...] = ()


def measure_organs(ct: Volume, labels: Volume, names: Mapping[int, str]) -> tuple[OrganMeasure, ...]:
    """Measure each label of `names` (value -> name) in uint8 `labels` that lie on the CT's grid. Raises InputError."""
    from scipy import ndimage

    if labels.grid.shape_zyx != ct.grid.shape_zyx:
        raise InputError(f"measures: got labels of shape {labels.grid.shape_zyx} for a CT of {ct.grid.shape_zyx}")
    found = ndimage.find_objects(labels.array, max_label=max(names, default=0))
    return tuple(
        OrganMeasure(value, name, 0, 0.0) if found[value - 1] is None else _measure(ct, labels, (value, name), found[value - 1])
        for value, name in names.items()
    )


def _measure(ct: Volume, labels: Volume, label: tuple[int, str], where: tuple[slice, slice, slice]) -> OrganMeasure:
    value, name = label
    box = Box(tuple(s.start for s in where), tuple(s.stop for s in where))
    hu = ct.array[box.slices][labels.array[box.slices] == value].astype(np.float64)
    z_mm, y_mm, x_mm = (size * mm for size, mm in zip(box.shape_zyx, ct.grid.spacing_mm, strict=True))
    return OrganMeasure(
        value=value,
        name=name,
        voxels=int(hu.size),
        volume_ml=round(float(hu.size) * ct.grid.voxel_ml, 3),
        mean_hu=round(float(hu.mean()), 2),
        std_hu=round(float(hu.std()), 2),
        start_zyx=box.start_zyx,
        stop_zyx=box.stop_zyx,
        extent_mm=(round(z_mm, 2), round(y_mm, 2), round(x_mm, 2)),
        touches_edge=edges_touched(box, ct.grid),
    )
