"""A scan or its labels: an array and the Grid it lies on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.scans.device_array import DeviceScan
from flare_trt.engine.scans.disk_array import SpooledArray
from flare_trt.kernels import Box


@dataclass(frozen=True)
class Volume:
    """`array` is (z, y, x): int16 or float32 HU for a CT, in memory, a `SpooledArray` or a `DeviceScan`; uint8 for labels."""

    array: Any
    grid: Grid

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise InputError(f"volume: got an array of {self.array.ndim} axes, expected 3 (z, y, x)")
        if tuple(self.array.shape) != self.grid.shape_zyx:
            raise InputError(f"volume: got an array of shape {self.array.shape} on a grid of {self.grid.shape_zyx}")

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest voxel."""
        if isinstance(self.array, (SpooledArray, DeviceScan)):
            return self.array.value_range
        return float(self.array.min()), float(self.array.max())

    @cached_property
    def nonzero_box(self) -> Box:
        """Box of the voxels that are not 0; the whole array where all are."""
        is_measured = isinstance(self.array, (SpooledArray, DeviceScan))
        return self.array.nonzero_box if is_measured else nonzero_box(self.array)


def ct_volume(array: NDArray[Any], grid: Grid) -> Volume:
    """A CT from any real array of HU: int16 where nothing is lost, else float32. Refuses NaN, infinity and a constant scan."""
    if array.dtype.kind not in "iufb":
        raise InputError(f"CT: got values of dtype {array.dtype}, expected numbers (HU)")
    if array.size == 0:
        raise InputError("CT: got no voxels")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("CT: got NaN or infinite voxels, expected HU; replace them (air is -1000) and try again")
    lowest, highest = float(array.min()), float(array.max())
    if lowest == highest:
        raise InputError(f"CT: every voxel is {lowest:g}, so there is nothing to segment; check the conversion")
    fits = array.dtype.kind in "iub" and lowest >= -32768 and highest <= 32767
    return Volume(np.ascontiguousarray(array, np.int16 if fits else np.float32), grid)


def nonzero_box(array: NDArray[Any]) -> Box:
    """Box of the non-zero voxels of (z, y, x), found from the faces inwards; the whole array where all is zero.

    nnU-Net fills holes first (nnunetv2/preprocessing/cropping/cropping.py); that never moves a box.
    """
    start, stop = [0, 0, 0], list(array.shape)
    for axis in range(3):
        rest = array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
        planes = np.moveaxis(rest, axis, 0)
        first = next((i for i in range(len(planes)) if planes[i].any()), None)
        if first is None:
            return Box((0, 0, 0), (array.shape[0], array.shape[1], array.shape[2]))
        last = next(i for i in range(len(planes), 0, -1) if planes[i - 1].any())
        start[axis], stop[axis] = start[axis] + first, start[axis] + last
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
