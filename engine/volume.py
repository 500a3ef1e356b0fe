"""A scan or its labels: an array and the Grid it lies on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.errors import InputError
from flare_trt.engine.grid import Grid


@dataclass(frozen=True)
class Volume:
    """`array` is (z, y, x): int16 or float32 HU for a CT, uint8 for labels."""

    array: NDArray[Any]
    grid: Grid

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise InputError(f"volume: got an array of {self.array.ndim} axes, expected 3 (z, y, x)")
        if tuple(self.array.shape) != self.grid.shape_zyx:
            raise InputError(f"volume: got an array of shape {self.array.shape} on a grid of {self.grid.shape_zyx}")


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
